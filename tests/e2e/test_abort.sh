#!/bin/bash
# timeout: 600
# A restart of Redis, tile38, units and PM2 that is aborted in the middle, on real hosts: by a person, by a policy, and
# with --leave. What it stopped is up again by systemd's own word, and what it had not stopped was never touched; left
# down, it comes back by the commands that were printed, typed as they stand.
# shellcheck disable=SC2154 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=evidence.sh
. "$(dirname "$0")/evidence.sh"
# shellcheck source=light.sh
. "$(dirname "$0")/light.sh"
fleet_light "${TEST_PREFIX:-ab-}" "${TEST_NET:-10.91.71}"

# Stops that can be held.
for unit in db1/cache db2/web; do
        mkdir -p "$work/${unit%/*}/etc/systemd/system/${unit#*/}.service.d"
        printf '[Service]\nExecStop=/bin/sh -c "while [ -e /run/hold ]; do sleep 0.1; done"\nTimeoutStopSec=300\n' \
                >"$work/${unit%/*}/etc/systemd/system/${unit#*/}.service.d/hold.conf"
        "$testbed" push "${unit%/*}" "$work/${unit%/*}" /
        on "${unit%/*}" systemctl daemon-reload
done
"$control" stop
sed -i 's/^\(  web: .*\)}$/\1, policies: {unit.stop: {retries: 0, deadline: 3s, on_failure: abort}}}/' "$TESTBED_DIR/control/fleet.yaml"
"$control" start
until_true 60 connected
muster check --fix >/dev/null || true
on db2 systemctl restart geo # with a file that a restart rewrites: that one has been
units=(db1/cache db2/geo db2/web app1/front)

ready() {
        muster status --json | jq -e '[.hosts[].services[].phase] | length == 5 and all(. == "ready")'
}
until_true 60 ready

newest() { # FIELD of the newest run
        muster run ls --limit 1 --json | jq -r ".runs[0].$1"
}

is_newest() { # FIELD VALUE
        [[ $(newest "$1") == "$2" ]]
}

stopping() { # HOST/UNIT
        [[ $(on "${1%/*}" systemctl show --property=ActiveState --value "${1#*/}") == deactivating ]]
}

# HOST/UNIT PID STATE, one line a unit.
processes() {
        local unit
        for unit in "${units[@]}"; do
                echo "$unit $(on "${unit%/*}" systemctl show --property=MainPID,ActiveState --value "${unit#*/}" | tr '\n' ' ')"
        done
}

# assert_up STAYED...: all units are up, those named as the same processes as before, the others as other ones.
assert_up() {
        local unit state pid was
        while read -r unit pid state; do
                equal "$unit, by systemd's word" active "$state"
                was=$(sed -n "s|^$unit \([0-9]*\) active *\$|\1|p" "$work/processes")
                if [[ " $* " == *" $unit "* ]]; then
                        equal "the process of $unit, which was not to be touched" "$was" "$pid"
                else
                        [[ $pid != "$was" ]] || fail "$unit was not restarted"
                fi
        done < <(processes)
        until_true 60 ready
}

# --- a person aborts while all is down ---------------------------------------------------------------------------------

processes >"$work/processes"
deeds_remember
on db1 touch /run/hold
begin
until_true 120 stopping db1/cache
muster run abort "$(newest run)" --yes | tee "$work/out"
grep -qE '^what it took down is brought up, in [0-9]' "$work/out" || fail "it does not say what it brings up"
on db1 rm /run/hold
wait "$begun"
equal "exit of the restart that a person aborted" 1 "$(cat "$work/exit")"
is_newest state aborted || fail "the run is $(newest state)"
assert_up
assert_deeds restart cache geo web front one two
echo "aborted by a person: all up again, each once"

# --- a policy aborts while half is down --------------------------------------------------------------------------------

processes >"$work/processes"
on db2 touch /run/hold
begin
until_true 120 stopping db2/web
aborted() { muster run show | grep 'aborted, as db2/web unit.stop is to do when it fails'; }
until_true 60 aborted
on db2 rm /run/hold
wait "$begun"
equal "exit of the restart that a policy aborted" 1 "$(cat "$work/exit")"
is_newest state failed || fail "the run is $(newest state)"
assert_up db1/cache
echo "aborted by a policy: what was down is up again, the Redis was never touched"

# --- left as it is -----------------------------------------------------------------------------------------------------

processes >"$work/processes"
on db1 touch /run/hold
begin
until_true 120 stopping db1/cache
muster run abort "$(newest run)" --leave --yes | tee "$work/out"
on db1 rm /run/hold
wait "$begun"
is_newest state aborted || fail "the run is $(newest state)"
for unit in db1/cache db2/web app1/front; do # geo may be back already: nothing that it needs was to go down
        equal "$unit of a run that was left" inactive "$(on "${unit%/*}" systemctl show --property=ActiveState --value "${unit#*/}")"
done
sed -n 's/^\(to bring them up\|then\): muster //p' "$work/out" >"$work/commands"
equal "commands" 2 "$(wc -l <"$work/commands")"
muster run show | sed -n 's/^  \(to bring them up\|then\): muster //p' | diff "$work/commands" - || fail "run show names other commands"
down() { muster status --json | jq -e '[.hosts[].services[].phase | select(. == "ready")] | length <= 1'; }
until_true 60 down
# What the run had begun again loads, and is not restarted before it has.
none_loads() { muster status --json | jq -e '[.hosts[].services[].phase] | all(. != "loading" and . != "starting")'; }
until_true 60 none_loads
while read -r command; do
        echo "muster $command"
        # shellcheck disable=SC2086 # as it would be typed
        muster $command --yes </dev/null
done <"$work/commands"
assert_up
echo "left down: up again by the commands that were printed"
