#!/bin/bash
# timeout: 400
# What the probes say of units where a real systemd runs: template instances, enabled or not, masked, failed, starting;
# services that stop and come back; a router that leads elsewhere; a tile38 that loads. Judged by what the host says.
# shellcheck disable=SC2154,SC2016 # lib.sh sets some; systemd and the shell inside expand others
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
driver=$(realpath "${MUSTER_BUILD:-$root/build/release}")/tests/integration/probe_driver
[[ -x $driver ]] || fail "no $driver: build probe_driver first"
own_testbed tr- 10.99.0
work=$(mktemp -d)
before_down() { rm -rf "$work"; }
out=$work/out

see() { # PHASE SPEC...: all in that phase, WITHIN seconds; output in $out
        local phase=$1
        shift
        on /srv/probe_driver --seconds "${WITHIN:-120}" --until "$phase" "$@" >"$out" 2>&1 || { cat "$out"; fail "not $phase: $*"; }
}

said() { # NAME PATTERN: the last line of that service
        grep "^$1 " "$out" | tail -1 | grep -qE "$2" || { cat "$out"; fail "$1: no '$2'"; }
}

wanted='[Install]
WantedBy=multi-user.target'
"$testbed" create h1
"$testbed" push h1 "$driver" /srv/probe_driver
unit plain@.service '[Service]' 'ExecStart=/bin/sleep infinity' "$wanted"
unit static.service '[Service]' 'ExecStart=/bin/sleep infinity'
unit broken.service '[Service]' 'ExecStart=/bin/false' "$wanted"
unit slow.service '[Service]' 'Type=notify' 'NotifyAccess=all' \
        "ExecStart=/bin/sh -c 'until [ -e /run/go ]; do sleep 0.1; done; systemd-notify --ready; sleep infinity'" 'TimeoutStartSec=120'
unit redis@.service '[Service]' "ExecStart=/usr/bin/redis-server --port %i --bind 127.0.0.1 --save ''" "$wanted"
unit router.service '[Service]' 'Type=notify' 'ExecStart=/usr/sbin/haproxy -Ws -f /etc/router.cfg' \
        'ExecReload=/bin/kill -USR2 $MAINPID' 'KillMode=mixed'
unit tile38.service '[Service]' 'ExecStart=/usr/local/bin/tile38-server -h 127.0.0.1 -p 9851 -d /var/lib/geo'
route() { # PORT
        push /etc/router.cfg 'defaults' ' mode tcp' ' timeout connect 2s' ' timeout client 1h' ' timeout server 1h' \
                'frontend in' ' bind 127.0.0.1:6400' ' default_backend out' 'backend out' " server one 127.0.0.1:$1"
}
route 6379
"$testbed" up h1

echo "units are told apart as systemd tells them apart"
on systemctl enable --quiet plain@one.service
on systemctl start plain@one.service plain@two.service static.service
see ready unit:one:0:unit=plain@one.service unit:two:0:unit=plain@two.service unit:static:0:unit=static.service
said one 'unit=active/enabled active \(running\), enabled'
said two 'unit=active/disabled '
said static 'unit=active/static '
grep -q ' agent=not-found$' "$out" || fail "the agent's own unit: $(cat "$out")"
see stopped unit:three:0:unit=plain@three.service
said three 'unit=inactive/disabled '
on systemctl mask --quiet plain@three.service
see stopped unit:three:0:unit=plain@three.service
said three 'unit=inactive/masked '
see failed unit:none:0:unit=nonexistent.service
said none 'does not know this unit'
on systemctl start broken.service
see failed unit:broken:0:unit=broken.service
said broken 'unit=failed/disabled failed \(failed\)'
grep -q ' failed=1 ' "$out" || fail "the host's failed units: $(tail -3 "$out")"

echo "a unit that is still starting is starting, then ready"
on systemctl start --no-block slow.service
see starting unit:slow:0:unit=slow.service
on /srv/probe_driver --seconds 60 unit:slow:0:unit=slow.service >"$out" 2>&1 &
watching=$!
until_true 60 grep -q '^slow starting ' "$out"
on touch /run/go
wait "$watching" || { cat "$out"; fail "slow never became ready"; }

echo "a Redis that is stopped, killed and started again"
see stopped redis:bds:6379:master:unit=redis@6379.service
on systemctl start redis@6379.service redis@6380.service
see ready redis:bds:6379:master:unit=redis@6379.service redis:other:6380:unit=redis@6380.service
said bds 'unit=active/disabled master'
on systemctl kill --signal=KILL redis@6379.service
see failed redis:bds:6379:master:unit=redis@6379.service
on systemctl reset-failed redis@6379.service
on systemctl start redis@6379.service
see ready redis:bds:6379:master:unit=redis@6379.service

echo "a Redis that does not answer is not ready, though its unit is active"
on systemctl kill --signal=STOP redis@6379.service
WITHIN=20 see degraded redis:bds:6379:master:unit=redis@6379.service
said bds 'unit=active/disabled does not answer: '
on systemctl kill --signal=CONT redis@6379.service
see ready redis:bds:6379:master:unit=redis@6379.service

echo "at rest, what systemd changes is heard of"
on /srv/probe_driver --seconds 120 --until stopped unit:two:0:unit=plain@two.service >"$out" 2>&1 &
watching=$!
# Ready for longer than a service is looked at closely.
until_true 60 grep -qE '^two ready (1[6-9]|[2-9][0-9])[0-9]{3} ' "$out"
on systemctl enable --quiet plain@two.service
until_true 20 grep -q '^two ready .*unit=active/enabled ' "$out" # sooner than it would be asked for again
on systemctl kill --signal=TERM plain@two.service
wait "$watching" || { cat "$out"; fail "a process that went was not noticed"; }

echo "a router is ready when it leads to the Redis that is meant, by new connections"
run_id() { on redis-cli -p "$1" info server | tr -d '\r' | sed -n 's/^run_id://p'; }
bds=$(run_id 6379)
other=$(run_id 6380)
see stopped "unit:router:6400:unit=router.service:run_id=$bds"
on systemctl start router.service
see ready "unit:router:6400:unit=router.service:run_id=$bds"
said router "leads to master, run_id ${bds:0:12}"
on /srv/probe_driver --seconds 60 "unit:router:6400:unit=router.service:run_id=$other" >"$out" 2>&1 &
watching=$!
until_true 60 grep -q "^router degraded .*leads to run_id ${bds:0:12}…, not ${other:0:12}…" "$out"
route 6380
on systemctl reload router.service
wait "$watching" || { cat "$out"; fail "the router's new way was not seen"; }
on systemctl stop redis@6380.service
see degraded "unit:router:6400:unit=router.service:run_id=$other"
said router 'active; no PONG through port 6400'

if on test -x /usr/local/bin/tile38-server; then
        echo "a tile38 that loads says how far it is"
        on sh -c 'mkdir -p /var/lib/geo; for i in $(seq 20000); do echo "SET fleet t$i POINT 1 2"; done >/run/sets'
        on systemctl start tile38.service
        see ready tile38:geo:9851:unit=tile38.service
        on sh -c 'redis-cli -p 9851 </run/sets >/dev/null'
        on systemctl stop tile38.service
        on sh -c 'cd /var/lib/geo; for i in $(seq 8); do cat appendonly.aof; done >fat; mv fat appendonly.aof'
        total=$(on stat -c %s /var/lib/geo/appendonly.aof)
        on systemctl start tile38.service
        see ready tile38:geo:9851:unit=tile38.service
        grep -qE "^geo loading 0 [0-9]+/$total .* loading .* of " "$out" || { cat "$out"; fail "no progress"; }
        awk '/^geo loading/ {print $4}' "$out" | sort -u >"$work/steps"
        [[ $(wc -l <"$work/steps") -ge 2 ]] || { cat "$out"; fail "no progress seen"; }

        # A stand-in for one of before 1.37: a port that refuses, beside a unit that is active and has its file open.
        echo "a tile38 that refuses connections while it has its file open is loading"
        WITHIN=20 see loading tile38:old:9852:unit=tile38.service
        grep -qE "^old loading 0 [0-9]+/$total .* loading .* of " "$out" || { cat "$out"; fail "not by its file"; }
fi
echo "all as it should be"
