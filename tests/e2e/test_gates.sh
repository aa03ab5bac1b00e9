#!/bin/bash
# timeout: 300
# Gates on a real host, with loads that real servers make slow (key-load-delay): a load that outlasts its start_limit, one that
# stands still, one that is killed and started again each time; another role, another master, a full sync, a replica that lags;
# what loads again while others wait for it; and a server that is killed in its last save.
# shellcheck disable=SC2154,SC2016 # lib.sh sets some; the shell inside expands others
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
own_testbed "${TEST_PREFIX:-ga-}" "${TEST_NET:-10.91.5}"
work=$(mktemp -d)

before_down() {
        if [[ $1 -ne 0 ]]; then
                echo "-- the newest run, the controller's log:"
                muster run show || true
                tail -n 20 "$TESTBED_DIR/control/log" || true
        fi
        "$control" down
        rm -rf "$work"
}

redis_file() { # NAME PORT LINE...
        push "/etc/test-redis/$1.conf" "port $2" 'bind 127.0.0.1' "dir /var/lib/redis-$1" 'auto-aof-rewrite-percentage 0' \
                'enable-debug-command yes' 'loading-process-events-interval-bytes 1024' "${@:3}"
}

cli() { # PORT WORD...
        on redis-cli -p "$@"
}

info() { # PORT FIELD
        cli "$1" info | tr -d '\r' | sed -n "s/^$2://p"
}

info_is() { # PORT FIELD PATTERN
        info "$1" "$2" | grep -qxE "$3"
}

newest() { # FIELD of the newest run
        muster run ls --limit 1 --json | jq -r ".runs[0].$1"
}

run_is() { # STATE
        [[ $(newest state) == "$1" ]]
}

shown() { # PATTERN of the newest run's steps and events
        muster run show | grep -qE -- "$1"
}

# By its agent's word: that is what a run goes by.
slow_loads() {
        muster status slow --json | jq -e '[.hosts[].services[] | select(.name == "slow")][0].phase == "loading"'
}

reported() { # PATTERN
        grep -qE -- "$1" "$work/report" || { cat "$work/report"; fail "the report has no line like: $1"; }
}

# --- a host ------------------------------------------------------------------------------------------------------------

"$testbed" create h1
unit redis@.service '[Service]' 'ExecStartPre=/bin/mkdir -p /var/lib/redis-%i' \
        'ExecStart=/usr/bin/redis-server /etc/test-redis/%i.conf'
unit redis@dies.service.d/again.conf '[Unit]' 'StartLimitIntervalSec=0' '[Service]' 'Restart=always' 'RestartSec=500ms'
unit redis@killed.service.d/short.conf '[Service]' 'TimeoutStopSec=1'
# It has nothing of its own to begin with, so that all has to come from its master.
unit redis@copy.service.d/empty.conf '[Service]' 'ExecStartPre=/bin/rm -f /var/lib/redis-copy/dump.rdb'
# Whoever kills it half way, as the kernel does when memory ends.
unit killer.service '[Service]' "ExecStart=/bin/sh -c 'while :; do test ! -e /run/kill || \
        ! redis-cli -p 6503 info persistence | grep -q \"^loading_loaded_perc:[3-9]\" || \
        systemctl kill --signal=KILL redis@dies; sleep 0.1; done'"
unit proxy.service '[Service]' 'ExecStart=/usr/sbin/haproxy -db -f /etc/proxy.cfg'
push /etc/proxy.cfg 'defaults' ' mode tcp' ' timeout connect 2s' ' timeout client 1h' ' timeout server 1h' 'listen proxy' \
        ' bind 127.0.0.1:6600' ' server master 127.0.0.1:6506'
unit web.service '[Service]' "ExecStartPre=/bin/sh -c 'while test -e /run/hold-start; do sleep 0.1; done'" \
        'ExecStart=/bin/sleep infinity' "ExecStop=/bin/sh -c 'while test -e /run/hold-stop; do sleep 0.1; done'"
unit last.service '[Service]' 'ExecStart=/bin/sleep infinity'
for name in slow:6501 stuck:6502 dies:6503; do
        redis_file "${name%:*}" "${name#*:}" 'save ""' 'appendonly yes' 'key-load-delay 4000'
done
redis_file killed 6504 'save 3600 1'
redis_file any 6505 'save ""'
redis_file master 6506 'save ""' 'rdbcompression no' 'repl-diskless-sync yes' 'repl-diskless-sync-delay 0'
redis_file copy 6507 'save ""' 'replicaof 127.0.0.1 6600'
"$testbed" up h1
on systemctl start redis@{slow,stuck,dies,killed,any,master,copy} proxy web last killer
for port in 6501 6502 6503 6504 6505 6506 6507; do until_true 20 info_is $port loading 0; done
for port in 6501 6502 6503 6504 6506; do cli $port debug populate 1200 k 1000 >/dev/null; done
"$control" install
cat >"$TESTBED_DIR/control/fleet.yaml" <<'YAML'
fleet: gates
hosts:
  h1: {}
services:
  slow:   {kind: redis, host: h1, unit: redis@slow, port: 6501, role: master, hold: 100ms, start_limit: 3s}
  stuck:  {kind: redis, host: h1, unit: redis@stuck, port: 6502, role: master, hold: 100ms, start_limit: 3s}
  dies:   {kind: redis, host: h1, unit: redis@dies, port: 6503, role: master, hold: 100ms}
  killed: {kind: redis, host: h1, unit: redis@killed, port: 6504, role: master, hold: 100ms}
  any:    {kind: redis, host: h1, unit: redis@any, port: 6505, hold: 100ms}
  master: {kind: redis, host: h1, unit: redis@master, port: 6506, role: master, hold: 100ms}
  copy:   {kind: redis, host: h1, unit: redis@copy, port: 6507, role: replica, of: master, hold: 15s, start_limit: 3s, max_lag: 100kB}
  web:    {kind: unit, host: h1, unit: web, needs: [slow], hold: 100ms}
  last:   {kind: unit, host: h1, unit: last, needs: [web], hold: 100ms}
YAML
"$control" start
"$control" join
ready() {
        muster status --json | jq -e '[.hosts[].services[].phase] | length == 9 and all(. == "ready")'
}
until_true 60 ready
echo "a host: up, with its agent"

# --- one run in which each comes back otherwise ------------------------------------------------------------------------

cli 6504 config set rdb-key-save-delay 10000 >/dev/null # its last save takes longer than systemd waits
redis_file any 6505 'save ""' 'replicaof 127.0.0.1 6506'
redis_file copy 6507 'save ""' 'replicaof 127.0.0.1 6501'
on touch /run/kill
muster restart stuck,dies,killed,any,copy --yes --detach
run=$(newest run)
until_true 60 info_is 6502 loading_loaded_perc '[1-9].*'
on systemctl kill --signal=STOP redis@stuck
until_true 60 shown 'h1/stuck ready failed: no progress for 3.0 s: '
echo "a load that stands still: given up"
until_true 60 shown 'h1/dies ready failed: dies has been started anew 3 times( \(result of its unit: signal\))?, and each time'
muster run show >"$work/show"
grep 'h1/dies ready failed' "$work/show"
echo "a load that always begins anew: given up"
until_true 60 shown 'h1/copy ready failed: .*: it is a replica of 127.0.0.1:6501, and does not follow master'
echo "a replica of another master: not ready"
until_true 10 shown 'h1/any ready: ready'
run_is paused || fail "the run is $(newest state)"
on rm /run/kill
on systemctl kill --signal=CONT redis@stuck
cli 6507 replicaof 127.0.0.1 6600 >/dev/null
until_true 60 run_is 'done'
muster report "$run" >"$work/report"
reported '^- h1/any came back as replica of 127.0.0.1:6506; it was master when the run was planned, the fleet file says any$'
reported '^- after .*: h1/killed unit.stop: redis@killed.service has stopped, but ended as failed \(timeout: killed after TimeoutStopSec'
reported "^- on h1: journalctl -u 'redis@killed.service': killed was killed as it was stopped \(timeout\), so give its unit a longer"
reported '^- 10 off: 1 service was killed as it was stopped$'
echo "another role, and one that was killed in its last save: deviations"

# --- what loads, and loads again, under those who wait for it ------------------------------------------------------------

on touch /run/hold-stop /run/hold-start
muster restart slow,web,last --yes >"$work/out" 2>&1 &
restart=$!
until_true 60 eval 'on systemctl show -p SubState --value web | grep -qx stop'
on systemctl restart redis@slow
until_true 20 slow_loads
on rm /run/hold-stop
waits() { newest waiting_for | grep -q 'h1/slow unit.stop (slow is loading'; }
until_true 20 waits
until_true 60 eval 'on systemctl show -p SubState --value web | grep -qx start-pre'
on sh -c 'redis-cli -p 6501 debug loadaof >/dev/null &'
until_true 20 slow_loads
on rm /run/hold-start
until_true 20 shown 'h1/slow ready no longer: loading'
wait "$restart" || fail "the restart ended with $?: $(tail -n 3 "$work/out")"
on journalctl --quiet --output=cat --unit=redis@slow >"$work/slow"
equal "starts of slow that loaded to their end" "$(grep -c 'Redis is starting' "$work/slow")" "$(grep -c 'Ready to accept connections' "$work/slow")"
longest=$(sed -n 's/.*DB loaded from append only file: \([0-9]*\).*/\1/p' "$work/slow" | sort -n | tail -n 1)
((longest > 3)) || fail "a load of $longest s does not outlast a start_limit of 3 s"
echo "what loads is waited for, at a stop and after its gate was open; and longer than its start_limit"

# --- a full sync, and what is behind -------------------------------------------------------------------------------------

redis_file copy 6507 'save ""' 'replicaof 127.0.0.1 6600'
cli 6506 config set rdb-key-save-delay 15000 >/dev/null # 18 s for the master's data, and nobody knows how much it is
muster restart copy --yes --detach
until_true 60 info_is 6507 master_sync_in_progress 1
until_true 60 info_is 6507 master_link_status up
on systemctl kill --signal=STOP proxy
cli 6506 eval 'for i = 1, 200 do redis.call("set", "more" .. i, string.rep("x", 1000)) end' 0 >/dev/null
until_true 60 shown 'h1/copy ready failed: .*: it is 2[0-9.]+ kB behind its master master, 100.0 kB at most are allowed'
on systemctl kill --signal=CONT proxy
until_true 60 run_is 'done'
echo "a full sync: waited for as long as its bytes move; a replica that is behind: not ready"
