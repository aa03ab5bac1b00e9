#!/bin/bash
# timeout: 240
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

told() { # LINE of INFO, within 20 s
	local left
	for ((left = 400; left > 0; left--)); do
		if redis-cli -p 17101 info persistence | grep -q "$1"; then return; fi
		sleep 0.05
	done
	fail "the master does not come to say $1"
}

see() { "$driver" "$@" >"$work/seen" || { cat "$work/seen"; return 1; }; }

start master 17101
master=$started
start replica 17102 --replicaof 127.0.0.1 17101 --repl-diskless-sync-delay 0

echo "master and replica are ready, with their files' sizes"
see redis:bds:17101:master redis:copy:17102:replica || fail "not ready"
redis-cli -p 17101 debug populate 100000 k 100 >/dev/null
redis-cli -p 17101 bgrewriteaof >/dev/null
told aof_rewrites:1
told aof_rewrite_in_progress:0
redis-cli -p 17101 eval 'for i=1,1000 do redis.call("set", "x"..i, string.rep("v", 1000)) end' 0 >/dev/null
see redis:bds:17101:master
grep -Eq '^bds ready .* base=[0-9]{6,} incremental=[0-9]{6,} ' "$work/seen" || fail "sizes: $(cat "$work/seen")"
grep -q '101000 keys' "$work/seen" || fail "keys: $(cat "$work/seen")"

echo "a full sync of a replica is a load, whose end its master may not know"
redis-cli -p 17101 config set rdb-key-save-delay 20 >/dev/null
for diskless in yes no; do
	redis-cli -p 17101 config set repl-diskless-sync $diskless repl-diskless-sync-delay 0 >/dev/null
	start fresh 17107 --replicaof 127.0.0.1 17101
	fresh=$started
	"$driver" --seconds 60 redis:fresh:17107:replica >"$work/seen" || fail "never in sync: $(tail -3 "$work/seen")"
	if [ $diskless = yes ]; then
		awk '/^fresh loading .* full sync from its master, .* so far/ {print $4}' "$work/seen" | sort -u >"$work/steps"
		[ "$(wc -l <"$work/steps")" -ge 3 ] || fail "no bytes seen: $(cat "$work/seen")"
	else
		grep -q '^fresh loading .* full sync, its master is preparing it' "$work/seen" || fail "no sync seen: $(cat "$work/seen")"
	fi
	kill -9 "$fresh"
	wait "$fresh" 2>/dev/null || true
done
redis-cli -p 17101 config set rdb-key-save-delay 0 >/dev/null

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
awk '/^bds loading/ {print $4}' "$work/seen" | sort -u >"$work/steps"
[ "$(wc -l <"$work/steps")" -ge 3 ] || fail "no progress seen: $(cat "$work/seen")"
total=$(awk '/^bds loading/ {split($4, part, "/"); total = part[2]} END {print total}' "$work/seen")
files=$(cat "$work"/master/appendonlydir/*.rdb "$work"/master/appendonlydir/*.aof | wc -c)
[ "$total" = "$files" ] || fail "total $total, files $files"
base=$(cat "$work"/master/appendonlydir/*.base.rdb | wc -c)
grep -q "^bds loading .* base=$base incremental=$((files - base)) " "$work/seen" || fail "no sizes while loading: $(cat "$work/seen")"
grep -m1 -n '^bds ready' "$work/seen" >/dev/null || fail "no ready line"

echo "a Unix socket is as good as a port"
start socket 0 --unixsocket "$work/redis.sock"
see "redis:sock:0:socket=$work/redis.sock" || fail "not ready through its socket"

echo "a password comes from the agent's folder, and may come late"
start secret 17104 --requirepass s3cret
mkdir -m 700 "$work/agent"
"$driver" --folder "$work/agent" redis:bull:17104 >"$work/late" &
late=$!
pids+=("$late")
wait_for() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "waited in vain for: $*: $(cat "$work/seen" "$work/late")"
		sleep 0.05
	done
}
wait_for 20 grep -q '^bull degraded .*NOAUTH.*put "bull \[USER\] PASSWORD" into' "$work/late"
(umask 077 && echo "bull s3cret" >"$work/agent/redis-logins")
wait "$late" || fail "not ready with its password: $(cat "$work/late")"
grep -q s3cret "$work/late" && fail "the password was shown"
redis-cli -p 17104 --no-auth-warning -a s3cret acl setuser watcher on '>other' +@all '~*' >/dev/null
(umask 077 && echo "bull watcher other" >"$work/agent/redis-logins")
see --folder "$work/agent" redis:bull:17104 || fail "not ready as a user"

echo "an operation logs in as well"
ops=$build/tests/integration/ops_driver
redis-cli -p 17104 --no-auth-warning -a s3cret set key value >/dev/null
OPS_FOLDER=$work/agent "$ops" redis.rewrite port=17104 >"$work/seen" && fail "rewritten without a login: $(cat "$work/seen")"
grep -q '^failed EACCES .*NOAUTH' "$work/seen" || fail "no reason: $(cat "$work/seen")"
(umask 077 && echo "tested s3cret" >>"$work/agent/redis-logins")
OPS_FOLDER=$work/agent "$ops" redis.rewrite port=17104 >"$work/seen" || fail "not rewritten: $(cat "$work/seen")"
grep -q '^figure rewrites 0 -> 1$' "$work/seen" || fail "figures: $(cat "$work/seen")"
grep -q s3cret "$work/seen" && fail "the password was shown"

# geo NAME PORT: a tile38, in $started
geo() {
	mkdir -p "$work/$1"
	setpriv --pdeathsig KILL tile38-server -h 127.0.0.1 -p "$2" -d "$work/$1" >"$work/$1.log" 2>&1 &
	pids+=($!)
	started=$!
}

if command -v tile38-server >/dev/null; then
	echo "tile38 is ready by its own word"
	geo geo 17103
	leader=$started
	see --until ready tile38:geo:17103 || fail "tile38 not ready"
	wait_for 10 redis-cli -p 17103 set fleet truck point 1 2 >/dev/null 2>&1
	see tile38:geo:17103 || fail "tile38 not ready"
	grep -Eq '^geo ready .*objects, AOF' "$work/seen" || fail "tile38 text: $(cat "$work/seen")"

	echo "what a shrink left behind is seen"
	touch "$work/geo/appendonly.aof-shrink"
	see tile38:geo:17103 || fail "tile38 not ready"
	grep -q 'leftover of a failed shrink' "$work/seen" || fail "leftover: $(cat "$work/seen")"
	echo kept >"$work/geo/appendonly.aof-bak"
	see tile38:geo:17103 || fail "tile38 not ready"
	grep -q 'the old file of an interrupted shrink' "$work/seen" || fail "its old file: $(cat "$work/seen")"
	rm "$work/geo/appendonly.aof-shrink" "$work/geo/appendonly.aof-bak"

	echo "a follower is ready when it has caught up, and not without its leader"
	geo follower 17105
	see tile38:copy:17105 || fail "follower not ready"
	redis-cli -p 17105 follow 127.0.0.1 17103 >/dev/null
	see tile38:copy:17105 || fail "follower not caught up: $(cat "$work/seen")"
	kill -9 "$leader"
	see --until degraded tile38:copy:17105 || fail "a follower without its leader passed"
	grep -q 'not caught up' "$work/seen" || fail "follower's text: $(cat "$work/seen")"

	echo "a load of tile38 is seen, and is not ready"
	for i in $(seq 20000); do echo "SET fleet t$i FIELD speed $i POINT 1 2"; done >"$work/sets"
	geo fat 17106
	fat=$started
	wait_for 10 redis-cli -p 17106 ping >/dev/null 2>&1
	redis-cli -p 17106 <"$work/sets" >/dev/null
	kill -9 "$fat"
	for i in $(seq 5); do cat "$work/fat/appendonly.aof"; done >"$work/fat.aof"
	mv "$work/fat.aof" "$work/fat/appendonly.aof"
	geo fat 17106
	see --seconds 120 tile38:fat:17106 || fail "never ready: $(tail -3 "$work/seen")"
	# A server from before HEALTHZ does not listen while it loads.
	loading='^fat loading'
	[[ $(redis-cli -p 17106 healthz) != 'ERR unknown command'* ]] || loading='^fat failed .*Connection refused'
	grep -q "$loading" "$work/seen" || fail "no load seen: $(cat "$work/seen")"
	grep -q '^fat ready .* 20000 objects' "$work/seen" || fail "objects: $(cat "$work/seen")"
fi
echo "all as it should be"
