#!/bin/bash
# timeout: 120
# What the agent's probes say of real servers: a master and a replica, a wrong role, a load with its progress,
# a server that is not there, tile38.
set -euo pipefail

build=${MUSTER_BUILD:-build/release}
driver=$build/tests/integration/probe_driver
work=$(mktemp -d)
pids=()
cleanup() {
	for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# start NAME PORT [redis-server options]
start() {
	local name=$1 port=$2
	shift 2
	mkdir -p "$work/$name"
	setpriv --pdeathsig KILL redis-server --port "$port" --bind 127.0.0.1 --dir "$work/$name" --appendonly yes \
		--save "" --auto-aof-rewrite-percentage 0 --enable-debug-command yes "$@" >"$work/$name.log" 2>&1 &
	pids+=($!)
	started=$!
}

see() { "$driver" "$@" >"$work/seen" || { cat "$work/seen"; return 1; }; }

start master 17101
master=$started
start replica 17102 --replicaof 127.0.0.1 17101 --repl-diskless-sync-delay 0

echo "master and replica are ready, with their files' sizes"
see redis:bds:17101:master redis:copy:17102:replica || fail "not ready"
redis-cli -p 17101 debug populate 300000 k 100 >/dev/null
redis-cli -p 17101 bgrewriteaof >/dev/null
until redis-cli -p 17101 info persistence | grep -q 'aof_rewrites:1'; do :; done
until redis-cli -p 17101 info persistence | grep -q 'aof_rewrite_in_progress:0'; do :; done
redis-cli -p 17101 eval 'for i=1,1000 do redis.call("set", "x"..i, string.rep("v", 1000)) end' 0 >/dev/null
see redis:bds:17101:master
grep -Eq '^bds ready .* base=[0-9]{6,} incremental=[0-9]{6,} ' "$work/seen" || fail "sizes: $(cat "$work/seen")"
grep -q '301000 keys' "$work/seen" || fail "keys: $(cat "$work/seen")"

echo "a role that is not the declared one is not ready"
see --until degraded redis:bds:17101:replica || fail "wrong role passed"
grep -q 'is a master, declared replica' "$work/seen" || fail "role text"

echo "a replica without its master is not ready"
kill -9 "$master"
see --until degraded redis:copy:17102:replica || fail "link down passed"
grep -q 'link to its master is down' "$work/seen" || fail "link text: $(cat "$work/seen")"

echo "what is gone is failed, with the reason"
see --until failed redis:bds:17101:master || fail "gone passed"
grep -q 'Connection refused' "$work/seen" || fail "no reason: $(cat "$work/seen")"

echo "a load is seen with bytes that grow and end in ready"
start master 17101 --key-load-delay 50 --loading-process-events-interval-bytes 1024
"$driver" --seconds 60 redis:bds:17101:master >"$work/seen" || fail "never ready: $(tail -3 "$work/seen")"
grep '^bds loading' "$work/seen" | awk '{print $4}' | sort -u >"$work/steps"
[ "$(wc -l <"$work/steps")" -ge 3 ] || fail "no progress seen: $(cat "$work/seen")"
total=$(grep '^bds loading' "$work/seen" | awk 'END {split($4, part, "/"); print part[2]}')
files=$(cat "$work"/master/appendonlydir/*.rdb "$work"/master/appendonlydir/*.aof | wc -c)
[ "$total" = "$files" ] || fail "total $total, files $files"
grep -m1 -n '^bds ready' "$work/seen" >/dev/null || fail "no ready line"

if command -v tile38-server >/dev/null; then
	echo "tile38 is ready by its own word"
	setpriv --pdeathsig KILL tile38-server -h 127.0.0.1 -p 17103 -d "$work/geo" >"$work/geo.log" 2>&1 &
	pids+=($!)
	see --until ready tile38:geo:17103 || fail "tile38 not ready"
	until redis-cli -p 17103 set fleet truck point 1 2 >/dev/null; do :; done
	see tile38:geo:17103 || fail "tile38 not ready"
	grep -Eq '^geo ready .*objects, AOF' "$work/seen" || fail "tile38 text: $(cat "$work/seen")"
fi
echo "all as it should be"
