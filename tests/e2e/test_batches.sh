#!/bin/bash
# timeout: 600
# What people ask of a restart besides its scope, on real hosts: batches and a canary, a time to be finished by, loads of
# one disk one after the other, an error budget; and another person who pauses, skips and retries. What came when is
# read from the hosts: each notes the starts and stops of its services by the clock that all of them share.
# shellcheck disable=SC2154 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=evidence.sh
. "$(dirname "$0")/evidence.sh"
# shellcheck source=light.sh
. "$(dirname "$0")/light.sh"
fleet_light ba- 10.84.1

# Two more Redis on db1, with data, whose unit says nothing of their loading; a start that can be held or be made to fail;
# and notes with the time.
cat >"$work/act" <<'ACT'
#!/bin/sh
echo "$1 $2 $(cat /proc/sys/kernel/random/boot_id)" >>/var/log/acts
read -r now rest </proc/uptime
echo "$now $(uname -n)/$1 $2" >>/var/log/times
ACT
chmod 755 "$work/act"
for host in db1 db2 app1; do "$testbed" push "$host" "$work/act" /usr/local/bin/act; done
for name in second third; do
        port=$([[ $name == second ]] && echo 6380 || echo 6381)
        mkdir -p "$work/db1/etc/systemd/system" "$work/db1/var/lib/light/$name"
        cat >"$work/db1/etc/systemd/system/$name.service" <<UNIT
[Service]
ExecStartPre=/bin/sh -c 'while [ -e /run/hold-$name ]; do sleep 0.1; done'
ExecStartPre=+/usr/local/bin/act $name start
ExecStart=/usr/bin/redis-server --port $port --dir /var/lib/light/$name --appendonly yes --save '' --auto-aof-rewrite-percentage 0
ExecStopPost=+/usr/local/bin/act $name stop
TimeoutStartSec=120
UNIT
done
"$testbed" push db1 "$work/db1" /
for unit in db2/web app1/front; do
        mkdir -p "$work/${unit%/*}/etc/systemd/system/${unit#*/}.service.d"
        cat >"$work/${unit%/*}/etc/systemd/system/${unit#*/}.service.d/break.conf" <<UNIT
[Service]
ExecStartPre=/bin/sh -c 'while [ -e /run/hold ]; do sleep 0.1; done; test ! -e /run/broken'
TimeoutStartSec=120
UNIT
        "$testbed" push "${unit%/*}" "$work/${unit%/*}" /
done
for host in db1 db2 app1; do on "$host" systemctl daemon-reload; done
for name in second third; do
        on db1 systemctl start "$name"
        port=$([[ $name == second ]] && echo 6380 || echo 6381)
        until_true 20 on db1 redis-cli -p "$port" ping
        on db1 redis-cli -p "$port" eval "for i = 1, 200000 do redis.call('set', 'key:' .. i, string.rep('x', 300)) end" 0 >/dev/null
done
"$control" stop
sed -i -e 's/^  db1: .*/  db1:  {groups: [data], loads_per_disk: 1}/' \
        -e 's/^\(  web: .*\)}$/\1, start_limit: 3s, on_failure: continue, policies: {unit.start: {retries: 0}}}/' \
        -e 's/^\(  front: .*\)}$/\1, policies: {unit.start: {retries: 0}}}/' "$TESTBED_DIR/control/fleet.yaml"
cat >>"$TESTBED_DIR/control/fleet.yaml" <<'FLEET'
  second: {kind: redis, host: db1, unit: second, port: 6380, role: master, hold: 100ms}
  third:  {kind: redis, host: db1, unit: third, port: 6381, role: master, hold: 100ms}
restart: {error_budget: 1}
FLEET
"$control" start
until_true 60 connected
muster check --fix >/dev/null || true
ready() {
        muster status --json | jq -e '[.hosts[].services[].phase] | length == 7 and all(. == "ready")'
}
until_true 60 ready

times() {
        local host
        for host in db1 db2 app1; do "$testbed" run "$host" cat /var/log/times; done | sort -n
}

# From now on.
times_begin() {
        local host
        for host in db1 db2 app1; do "$testbed" run "$host" sh -c 'rm -f /var/log/times; : >/var/log/times; chmod 666 /var/log/times'; done
}

# When the userspace of a host was begun, by the same clock.
booted() { # HOST
        on "$1" systemctl show --property=UserspaceTimestampMonotonic --value | sed 's/......$/.&/'
}

# in_order WHAT NUMBER...: each is larger than the one before.
in_order() {
        printf '%s\n' "${@:2}" | sort -C -n || fail "$1: not in this order: ${*:2}"
}

nth() { # WHICH HOST/SERVICE WORD
        times | sed -n "s|^\([0-9.]*\) $2 $3\$|\1|p" | sed -n "${1}p"
}

newest() { # FIELD of the newest run
        muster run ls --limit 1 --json | jq -r ".runs[0].$1"
}

# --- loads of one disk -------------------------------------------------------------------------------------------------

on db1 touch /run/hold-second /run/hold-third
muster plan restart second,third | tee "$work/plan"
equal "starts that say how many loads there may be" 2 "$(grep -c 'unit.start.*1 load of its disk at a time' "$work/plan")"
begin second,third
waits_for_disk() {
        newest waiting_for | grep -E 'db1/(second|third) unit.start \((third|second) is loading from its disk, at most 1 at a time\)'
}
until_true 60 waits_for_disk
newest waiting_for
equal "units that systemd is starting" 1 "$(on db1 systemctl list-jobs --no-legend | grep -cE '(second|third).service')"
on db1 rm /run/hold-second /run/hold-third
wait "$begun"
equal "exit of the restart" 0 "$(cat "$work/exit")"

# The one that begins later begins when the other has loaded, by Redis's own word.
moments() { # SERVICE PATTERN
        on db1 journalctl --quiet --output=short-unix --unit="$1" | grep -E "$2" | tail -n 1 | cut -d ' ' -f 1
}
ready_of() { moments "$1" 'Ready to accept connections'; }
start_of() { moments "$1" 'Redis is starting'; }
echo "second: $(start_of second) to $(ready_of second), third: $(start_of third) to $(ready_of third)"
if [[ $(printf '%s\n' "$(start_of second)" "$(start_of third)" | sort -n | head -n 1) == "$(start_of second)" ]]; then
        in_order "loads" "$(start_of second)" "$(ready_of second)" "$(start_of third)" "$(ready_of third)"
else
        in_order "loads" "$(start_of third)" "$(ready_of third)" "$(start_of second)" "$(ready_of second)"
fi
echo "loads: one after the other, and what waits says so"

# --- a time to be finished by --------------------------------------------------------------------------------------------

status=0
muster reboot --yes --finish-by 2026-01-01T00:00Z >"$work/out" 2>&1 || status=$?
equal "exit of what cannot be finished in time" 1 "$status"
grep -qE 'begun now it may last until [^ ]+, and it is to be finished by 2026-01-01T00:00:00' "$work/out" || fail "it does not name both: $(tail -n 3 "$work/out")"
status=0
muster reboot --yes --finish-by "$(date -u -d '+20 seconds' +%Y-%m-%dT%H:%M:%SZ)" >"$work/out" 2>&1 || status=$?
equal "exit of what may not be finished in time" 1 "$status"
muster plan reboot --finish-by "$(date -u -d '+20 seconds' +%Y-%m-%dT%H:%M:%SZ)" >"$work/out" 2>&1
grep -q 'may last until' "$work/out" || fail "the plan does not say that it may be late"
equal "boots after refusals" 1 "$(boots_noted db1)"

# Begun with a little to spare, and then held up: said once.
upper=$(muster plan restart front --json | jq '.estimate_high_ms / 1000 | ceil')
"$testbed" run app1 touch /run/hold
begin front --finish-by "$(date -u -d "+$((upper + 15)) seconds" +%Y-%m-%dT%H:%M:%SZ)"
said_late() {
        muster run show | grep -c 'it may not be finished by'
}
until_true 120 said_late
on app1 rm /run/hold
wait "$begun"
equal "exit of the late restart" 0 "$(cat "$work/exit")"
equal "times that it is said" 1 "$(said_late)"
muster report | grep -q 'may not be finished by' || fail "the report does not speak of it"
echo "finish-by: refused beforehand, said once when it is late"

# --- batches and a canary -------------------------------------------------------------------------------------------------

muster plan reboot --batch 1 --canary db2 >"$work/plan"
grep -q '^batch 1, the canary: db2$' "$work/plan" && grep -q '^batch 2: db1$' "$work/plan" && grep -q '^batch 3: app1$' "$work/plan" ||
        fail "the plan does not name its batches: $(grep batch "$work/plan")"
times_begin
status=0
muster reboot --batch 1 --canary db2 --yes >"$work/run" 2>&1 || status=$?
equal "exit of the reboot in batches" 0 "$status"
for host in db1 db2 app1; do equal "boots of $host" 2 "$(boots_noted "$host")"; done
in_order "boots, the canary's first" "$(booted db2)" "$(booted db1)" "$(booted app1)"
times
# What stands on db2 is back before anything of db1 is stopped; what stands on db1, before anything of app1 alone.
in_order "db2, then db1" "$(booted db2)" "$(nth 1 db2/web start)" "$(nth 1 app1/front start)" "$(nth 1 db1/cache stop)" "$(booted db1)"
in_order "db1, then app1" "$(booted db1)" "$(nth 1 db1/cache start)" "$(nth 2 db2/web start)" "$(nth 2 app1/front start)" \
        "$(nth 3 app1/front stop)" "$(booted app1)"
grep -q 'batch 3 of 3 begins: app1' "$work/run" || fail "the run does not name its batches"
status=0
muster reboot --canary web --yes >"$work/out" 2>&1 || status=$?
[[ $status -ne 0 ]] && grep -q "the canary 'web' is none of the hosts" "$work/out" || fail "a service as a canary: $(cat "$work/out")"
status=0
muster reboot --soft --yes >"$work/out" 2>&1 || status=$?
equal "exit of a soft reboot" 1 "$status"
for host in db1 db2 app1; do
        grep -q "$host has systemd $(on "$host" systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')[^ ]*, soft reboots came with 254" \
                "$work/out" || fail "a soft reboot is not refused for $host: $(cat "$work/out")"
done
echo "batches: one host after the other, the canary first"

# --- an error budget, and another person ----------------------------------------------------------------------------------

until_true 60 ready
line=$(muster user add viktor | tail -n 1)
"$control" muster user join "$line" --folder "$work/viktor" >/dev/null
viktor() {
        muster --identity "$work/viktor/identity" "$@"
}
on db2 touch /run/broken
on app1 touch /run/broken
begin web,front
paused() { [[ $(newest state) == paused ]]; }
until_true 60 paused
run=$(newest run)
newest waiting_for
newest waiting_for | grep -q 'db2/web ready failed, more than the error budget of 1 forgives' || fail "it does not name the budget"
wait "$begun"
equal "exit of the restart that pauses" 4 "$(cat "$work/exit")"
step=$(newest waiting_for | sed -n 's/.*muster run retry [^ ]* \([0-9]*\).*/\1/p')
status=0
viktor run skip "$run" "$step" >"$work/out" 2>&1 || status=$?
[[ $status -ne 0 ]] && grep -q 'say why' "$work/out" || fail "skipped without a why: $(cat "$work/out")"
viktor run pause "$run" --why "a look at web first"
viktor run skip "$run" "$step" --why "web is looked at by hand"
equal "the run, held" "paused" "$(newest state)"
viktor run resume "$run"
failed_front() { newest waiting_for | grep 'app1/front unit.start failed'; }
until_true 60 failed_front
on app1 rm /run/broken
viktor run retry "$run" "$(newest waiting_for | sed -n 's/.*muster run retry [^ ]* \([0-9]*\).*/\1/p')"
status=0
muster run watch "$run" >"$work/out" 2>&1 || status=$?
cat "$work/out"
equal "exit of a run that was done in part" 3 "$status"
for word in 'paused by viktor: a look at web first' 'skipped by viktor: web is looked at by hand' 'resumed by viktor' 'tried again by viktor'; do
        grep -q "$word" "$work/out" || fail "the journal does not say: $word"
done
on app1 systemctl is-active --quiet front || fail "front is not up"
echo "error budget: named, and steered by another person"
