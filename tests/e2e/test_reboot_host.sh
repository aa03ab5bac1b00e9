#!/bin/bash
# timeout: 420
# What a reboot does to a host itself, on a real one: what is different afterwards has a name.
# shellcheck disable=SC2154 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
own_testbed rh- 10.93.7
work=$(mktemp -d)
before_down() {
        if [[ $1 -ne 0 && -e $TESTBED_DIR/control/log ]]; then
                echo "-- the controller's log:"
                tail -n 40 "$TESTBED_DIR/control/log"
                tail -n 20 "$work"/watch "$TESTBED_DIR"/hosts/h1/console.log
        fi
        "$control" down
        rm -rf "$work"
}

enabled_unit() { # NAME LINE...
        unit "$1" "${@:2}" '[Install]' 'WantedBy=multi-user.target'
        on systemctl enable --quiet "$1"
}

said() { # FILE PATTERN
        grep -qE "$2" "$1" || { cat "$1"; fail "$1 has no line like: $2"; }
}

boot() {
        on cat /proc/sys/kernel/random/boot_id
}

"$testbed" up h1
"$control" install
printf '%s\n' 'fleet: one' 'hosts:' '  h1: {}' 'services:' '  web: {kind: unit, host: h1, unit: web}' \
        >"$TESTBED_DIR/control/fleet.yaml"
enabled_unit web.service '[Service]' 'ExecStart=/usr/bin/redis-server --port 7000 --save ""'
enabled_unit second.service '[Service]' 'Type=oneshot' 'RemainAfterExit=yes' \
        'ExecStart=/usr/bin/test ! -e /var/lib/booted'
enabled_unit late.service '[Unit]' 'After=web.service' '[Service]' 'ExecStart=/usr/bin/redis-server --port 7002 --save ""'
on systemctl start web.service second.service
on touch /var/lib/booted
on mkdir -p /srv/data /boot
on mount -t tmpfs tmpfs /srv/data
on systemd-run --quiet redis-server --port 7001 --save ''
flavour=$(uname -r | sed -n 's/^[^a-z]*-\([a-z].*\)/-\1/p')
on touch "/boot/vmlinuz-99.0.0$flavour"
"$control" start
"$control" join
"$testbed" up h2 # what for: the end of this test
until_true 30 sh -c "'$control' muster status --json | jq -e '.hosts[0].host.facts.listeners | any(. == \"127.0.0.1:7001\" or . == \"0.0.0.0:7001\")'"

first=$(boot)
run=$(muster reboot --yes --force --detach | sed -n 's/^run \(r[^ ]*\) started.*/\1/p')
[[ -n $run ]] || fail "no run was started"
until_true 30 sh -c "'$control' muster run show '$run' | grep -q 'h1 host.reboot'"
# What was noted is in the journal: the controller may go meanwhile.
"$control" kill
"$control" start
muster run watch "$run" | tee "$work/run"
[[ $(boot) != "$first" ]] || fail "h1 was not rebooted"
said "$work/run" 'h1 before its reboot: [0-9]+ failed units?, [0-9]+ mounts?, [0-9]+ listening ports?, kernel'
said "$work/run" 'h1 is not as it was before its reboot: .*newly failed unit: second.service'
said "$work/run" 'mount gone: /srv/data \(tmpfs\)'
muster report "$run" >"$work/report"
said "$work/report" '^- h1 after its reboot: newly failed unit: second\.service'
said "$work/report" '^- h1 after its reboot: mount gone: /srv/data \(tmpfs\)'
said "$work/report" '^- h1 after its reboot: nothing listens any more on: 0\.0\.0\.0:7001'
said "$work/report" '^- h1 after its reboot: newly listening: 0\.0\.0\.0:7002'
said "$work/report" '^- h1 after its reboot: old kernel: runs .*, 99\.0\.0.* is installed'
said "$work/report" "^- on h1: systemctl status 'second\.service'"
! grep -E 'after its reboot: .*(7000|:22)' "$work/report" || fail "what was there before and after is called different"
muster run show --json "$run" | jq -se '[.[] | select(.event_kind == "compared" and .host == "h1") | .figures[]
        | select(.name == "mount-gone" and .value == "/srv/data (tmpfs)")] | length == 1' >/dev/null ||
        fail "the difference is not in the JSON of the run"
muster report "$run" --format json | jq -e '.deviations | any(contains("second.service"))' >/dev/null ||
        fail "the difference is not in the JSON of the report"
echo "differences: named"

# A shutdown that takes its time: for as long as this test wants it to.
enabled_unit slow.service '[Service]' 'Type=oneshot' 'RemainAfterExit=yes' 'ExecStart=/bin/true' \
        "ExecStop=/bin/sh -c 'until test -e /run/go; do sleep 0.1; done'" 'TimeoutStopSec=300'
on rm -f /var/lib/booted "/boot/vmlinuz-99.0.0$flavour"
on systemctl start slow.service

# Who holds it back is said before, and respected.
on systemd-run --quiet --unit=blocker systemd-inhibit --what=shutdown --who=backup --why='the nightly one runs' \
        --mode=block sleep infinity
on systemd-run --quiet --unit=delayer systemd-inhibit --what=shutdown:sleep --who=saver --why='saves its papers' \
        --mode=delay sleep infinity
on systemd-run --quiet --unit=other systemd-inhibit --what=sleep --who=sleeper --why=dreams --mode=block sleep infinity
until_true 30 on sh -c '[ $(systemd-inhibit --list | grep -cE "backup|saver") -eq 2 ]'
until_true 30 sh -c "'$control' muster check | grep -q 'saver delays a shutdown of h1: saves its papers'"
muster check >"$work/check" || true
said "$work/check" '^blocks +h1 inhibitors'
said "$work/check" 'backup blocks a shutdown of h1: the nightly one runs'
said "$work/check" '^informs +h1 inhibitors'
! grep -q dreams "$work/check" || fail "who only holds sleep back is in the way"
status=0
muster reboot --yes >"$work/refused" 2>&1 || status=$?
equal "exit of a reboot that is blocked" 1 "$status"
second=$(boot)
status=0
muster reboot --yes --force >"$work/run" || status=$?
equal "exit of a run that meets a block" 4 "$status"
said "$work/run" 'h1 host.reboot failed: a shutdown of this host is inhibited by backup \(the nightly one runs\)'
equal "boot id" "$second" "$(boot)"
echo "inhibitors: said and respected"

on systemctl stop blocker.service
run=$(muster run ls --json | jq -r '[.runs // .][0][0].run')
muster run retry "$run" 1 >/dev/null
muster run watch --json "$run" >"$work/watch" &
watching=$!
until_true 60 grep -q 'shutting down, which waits for slow.service' "$work/watch"
said "$work/watch" 'h1 host.reboot \(attempt 2\), held back by .*saver \(delay: saves its papers\)'
muster exec h1 -- true >"$work/exec" 2>&1 && fail "a command was begun on a host that shuts down"
said "$work/exec" 'the host is shutting down'
equal "boot id" "$second" "$(boot)"
muster run show "$run" >"$work/show"
! grep -q 'host.reboot: up on a new boot' "$work/show" || fail "it was called rebooted before it was"
on touch /run/go
wait "$watching" || fail "the run ended with $?"
muster run show "$run" >"$work/show"
said "$work/show" 'host.reboot: up on a new boot'
[[ $(boot) != "$second" ]] || fail "h1 was not rebooted"
equal "boots that h1 noted" 3 "$(on sh -c 'wc -l </var/log/boots')"
echo "slow shutdown: seen, and waited for"
muster plan reboot >"$work/plan"
said "$work/plan" 'learned from 1 reboot'

is_on() { # BOOT: connected, and no longer on that one
        [[ $(boot) != "$1" ]] && muster status --json | jq -e '.hosts[0] | .connected and (.host.stopping | not)'
}

shuts_down() {
        muster status --json | jq -e '.hosts[0].host.stopping'
}

# Somebody else reboots it: whoever asks, its agent begins nothing more, nor says that it did.
third=$(boot)
on systemctl disable --quiet web.service
on systemctl --no-block reboot
until_true 60 shuts_down
muster check --fix web >"$work/fix" 2>&1 && fail "a repair was begun on a host that shuts down"
said "$work/fix" 'h1/web unit.enable: .*the host is shutting down; nothing new is begun'
! on grep -q unit.enable /var/lib/muster-agent/ledger || fail "an operation was accepted on a host that shuts down"
on touch /run/go
until_true 60 is_on "$third"
equal "web at boot" disabled "$(on systemctl is-enabled web.service || true)"
on systemctl enable --quiet --now web.service
echo "operations on a host that shuts down: refused"

# It goes down and does not return: what is known is said; and when it is back after all, nobody has to type anything.
"$control" stop
printf '%s\n' 'policies:' '  host.reboot: {deadline: 20s}' >>"$TESTBED_DIR/control/fleet.yaml"
"$control" start
fourth=$(boot)
until_true 60 is_on "$third"
run=$(muster reboot --yes --force --detach | sed -n 's/^run \(r[^ ]*\) started.*/\1/p')
waits_for_slow() {
        muster status --json | jq -e '.hosts[0].host.facts.stopping | index("slow.service")'
}
until_true 60 waits_for_slow
"$testbed" crash h1
status=0
muster run watch "$run" >"$work/run" || status=$?
equal "exit of a run whose host does not return" 4 "$status"
said "$work/run" 'h1 has not come back within 20\.0 s, last seen .* ago shutting down, which waits for slow\.service.*; look at its console'
muster run ls --json | jq -r '.runs[0].waiting_for' >"$work/waiting"
said "$work/waiting" "look at its console.*muster run retry $run [0-9]+, .*muster run abort $run"
"$testbed" start h1
is_done() {
        [[ $(muster run ls --json | jq -r '.runs[0].state') == 'done' ]]
}
until_true 90 is_done
[[ $(boot) != "$fourth" ]] || fail "h1 is on the boot of before"
muster run show "$run" >"$work/show"
equal "reboots that were asked for" 1 "$(grep -cE ' h1 host\.reboot$' "$work/show")"
echo "a host that does not return: said, and awaited"

# A copy of the host, key and all, that is up too: kept out, and that is said; also while the host is away.
"$testbed" pull h1 /var/lib/muster-agent "$work/copy"
"$testbed" push h2 "$TESTBED_DIR/control/tree" /
"$testbed" push h2 "$work/copy" /var/lib/muster-agent
until_true 60 "$testbed" run h2 sh -c '[ $(ps -o etimes= -p 1) -gt 40 ]' # longer than a word may be on its way
"$testbed" run h2 systemctl daemon-reload
"$testbed" run h2 systemctl start muster-agent.service
until_true 60 sh -c "'$control' muster status --json | jq -e '.hosts[0].another | contains(\"another machine has its key\")'"
last=$(boot)
equal "whose boot is shown" "${last//-/}" "$(muster status --json | jq -r '.hosts[0].host.boot_id')"
muster check >"$work/check" || true
said "$work/check" '^blocks +h1 two-machines'
on touch /run/go # slowness has been seen
muster reboot --yes --force >"$work/run" || { cat "$work/run"; fail "the run with a copy about ended with $?"; }
equal "boots that h1 noted" 6 "$(on sh -c 'wc -l </var/log/boots')"
equal "boots that h2 noted" 1 "$("$testbed" run h2 sh -c 'wc -l </var/log/boots')"
! grep -q 'booted anew' "$work/run" || fail "the copy was taken for the host"
echo "a copy: kept out"
