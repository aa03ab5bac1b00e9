#!/bin/bash
# redis.rewrite and tile38.shrink against real servers on loopback: proven when they happened, and failed when they
# only seemed to: the child killed by either signal, the server restarted, stopped, loading, without an AOF, full.
# timeout: 240
# MUSTER_BUILD is where ops_driver was built.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
driver=$(realpath "${MUSTER_BUILD:-build/asan}")/tests/integration/ops_driver
[[ -x $driver ]] || { echo "test_ops: no $driver: build ops_driver first" >&2; exit 1; }
command -v redis-server >/dev/null || { echo "test_ops: no redis-server on PATH: apt-get install redis-server" >&2; exit 1; }

work=$(mktemp -d /tmp/muster-ops.XXXXXX)
case_name=setup
out=$work/out

# Whatever was started notes its pid in a file of its own below $work.
cleanup() {
        local file
        for file in "$work"/*/pid; do
                [[ ! -s $file ]] || kill -KILL "$(cat "$file")" 2>/dev/null || true
        done
        rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
# Also when this script is killed outright.
(
        trap '' INT TERM HUP
        tail --pid=$$ -f /dev/null
        [[ ! -d $work ]] || cleanup
) </dev/null >/dev/null 2>&1 &

fail() {
        echo "test_ops: FAILED in $case_name: $*" >&2
        [[ ! -f $out ]] || sed 's/^/  out: /' "$out" >&2
        exit 1
}

passed() {
        echo "$case_name: fine"
}

until_true() { # SECONDS COMMAND...
        local deadline=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                ((SECONDS < deadline)) || fail "waited in vain for: $*"
                sleep 0.02
        done
}

op() { # EXPECTED-EXIT KIND WORD...: output in $out
        local expected=$1 got=0
        shift
        "$driver" "$@" >"$out" 2>&1 || got=$?
        [[ $got == "$expected" ]] || fail "$* exited with $got, not $expected"
}

# begin KIND WORD...: in the background, as $work_id; what an earlier one said is gone before.
begin() {
        : >"$out"
        "$driver" "$@" >"$out" 2>&1 &
        work_id=$!
}

said() { # PATTERN (extended, of a whole line)
        grep -qxE "$1" "$out" || fail "no line like: $1"
}

not_said() {
        ! grep -qxE "$1" "$out" || fail "a line like: $1"
}

figure() {
        sed -n "s/^figure $1 //p" "$out"
}

equal() { # WHAT EXPECTED GOT
        [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"
}

# --- Redis ---------------------------------------------------------------------------------------------------------

base_port=$((20000 + RANDOM % 20000))
ports=0

# redis NAME OPTION...: in $work/NAME; sets dir and port, pid.
redis() {
        dir=$work/$1
        shift
        mkdir -p "$dir"
        until port=$((base_port + ports++)) && ! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
        redis_again "$@"
}

redis_again() {
        rm -f "$dir/pid"
        redis-server --port "$port" --bind 127.0.0.1 --dir "$dir" --save '' --appendonly yes --daemonize yes \
                --pidfile "$dir/pid" --logfile "$dir/log" --unixsocket "$dir/socket" "$@" >/dev/null
        until_true 10 cli info server
        pid=$(cat "$dir/pid")
}

cli() {
        redis-cli -p "$port" "$@"
}

fill() { # KEYS TIMES
        local i
        for ((i = 0; i < $2; i++)); do
                cli eval "for i=1,$1 do redis.call('SET', 'key:'..i, string.rep(tostring(i % 10), 100)) end" 0 >/dev/null
        done
}

info() { # FIELD
        cli info | tr -d '\r' | sed -n "s/^$1://p"
}

base_of() {
        awk '$6 == "b" { print $2 }' "$dir/appendonlydir/appendonly.aof.manifest"
}

rewriting() {
        [[ $(info aof_rewrite_in_progress) == 1 ]]
}

failed_rewrite() {
        [[ $(info aof_last_bgrewrite_status) == err ]]
}

child() {
        pgrep -P "$pid" | head -n 1
}

end_redis() {
        kill -KILL "$pid"
        rm -f "$dir/pid"
}

# Each key takes the child this long: a rewrite that lasts, on a server that is small.
slow() { # MICROSECONDS
        cli config set rdb-key-save-delay "$1" >/dev/null
}

case_name="rewrite"
redis one
fill 2000 3
old=$(base_of) old_size=$(du -bc "$dir"/appendonlydir/*.aof "$dir"/appendonlydir/*.rdb | tail -n 1 | cut -f1)
op 0 redis.rewrite port=$port
said 'done rewritten in .* -> .*, new base seen'
new=$(base_of)
[[ -n $new && $new != "$old" ]] || fail "the manifest's base is $new, was $old"
equal base-file "$old -> $new" "$(figure base-file)"
equal size-before "$old_size" "$(figure size-before)"
equal base-after "$(stat -c %s "$dir/appendonlydir/$new")" "$(figure base-after)"
equal size-after "$(figure base-after)" "$(figure size-after)"
(($(figure size-after) < $(figure size-before))) || fail "it did not shrink"
equal rewrites "0 -> 1" "$(figure rewrites)"
passed

case_name="rewrite through a socket"
op 0 redis.rewrite socket="$dir/socket"
equal rewrites "1 -> 2" "$(figure rewrites)"
passed

case_name="rewrite while another runs"
slow 400
cli bgrewriteaof >/dev/null
op 0 redis.rewrite port=$port
said 'progress 0 0 waiting for a rewrite that was under way already'
said 'progress [1-9][0-9]* 2000 rewriting for .*'
equal rewrites "3 -> 4" "$(figure rewrites)"
passed

case_name="rewrite while a save runs"
cli bgsave >/dev/null
op 0 redis.rewrite port=$port
said 'progress 0 0 Background append only file rewriting scheduled'
said 'progress .* rewrite scheduled for .*'
equal rewrites "4 -> 5" "$(figure rewrites)"
passed

# SIGUSR1 is how Redis itself ends a child it no longer wants: status and count look as if it had worked.
case_name="child ended by Redis's own signal"
slow 5000
begin redis.rewrite port=$port
until_true 10 rewriting
until_true 10 grep -q 'rewriting for' "$out"
kill -USR1 "$(child)"
! wait "$work_id" || fail "done without a new base"
equal "Redis's own status" ok "$(info aof_last_bgrewrite_status)"
said 'failed EREMOTEIO the rewrite ended without a new base: it is still .*'
passed

# An agent that ended on the way holds what it noted against what is: what is proven is done, what still runs is waited
# for, and nothing is begun.
notes() { # what the last operation noted, as words for another one
        sed -n 's/^noted \(.*\)/noted=\1/p' "$out"
}

case_name="settled by looking"
slow 0
op 0 redis.rewrite port=$port
mapfile -t noted < <(notes)
[[ ${#noted[@]} -ge 5 ]] || fail "it noted nothing before it asked"
count=$(info aof_rewrites)
op 0 redis.rewrite port=$port "${noted[@]}"
said 'done rewritten while its agent was away: .* -> .*, new base seen'
equal rewrites "$((count - 1)) -> $count" "$(figure rewrites)"
equal "rewrites of Redis's" "$count" "$(info aof_rewrites)"
now=("noted=run-id=$(info run_id)" "noted=rewrites=$count" "noted=base-file=$(base_of)"
        "noted=base-inode=$(stat -c %i "$dir/appendonlydir/$(base_of)")")
op 4 redis.rewrite port=$port "${now[@]}"
said 'unsettled Redis accepted the rewrite and dropped it: its count of rewrites is still .*'
equal "rewrites of Redis's" "$count" "$(info aof_rewrites)"
slow 1000
cli bgrewriteaof >/dev/null
op 0 redis.rewrite port=$port "${now[@]}"
said 'progress .* rewriting for .*'
equal rewrites "$count -> $((count + 1))" "$(figure rewrites)"
op 4 redis.rewrite port=$port "${noted[@]/#noted=run-id=*/noted=run-id=another}"
said 'unsettled Redis was restarted during the rewrite'
slow 5000
passed

case_name="child killed"
begin redis.rewrite port=$port
until_true 10 grep -q 'rewriting for' "$out"
kill -KILL "$(child)"
! wait "$work_id" || fail "done though its child was killed"
said "failed EREMOTEIO the rewrite failed: aof_last_bgrewrite_status is 'err'.*"
slow 0
op 0 redis.rewrite port=$port
passed

# As Redis itself may do it, for ever. Between the two nobody looks.
case_name="child killed, and another begun"
slow 3000
begin redis.rewrite port=$port
until_true 10 grep -q 'rewriting for' "$out"
kill -STOP "$work_id"
kill -KILL "$(child)"
until_true 10 failed_rewrite
cli bgrewriteaof >/dev/null
until_true 10 rewriting
kill -CONT "$work_id"
! wait "$work_id" || fail "done though its child was killed"
said "failed EREMOTEIO the rewrite failed: aof_last_bgrewrite_status is 'err'.*"
rewriting || fail "the other one has ended: nothing is shown"
slow 0
op 0 redis.rewrite port=$port
said 'progress 0 0 waiting for a rewrite that was under way already'
passed

case_name="files that cannot be seen"
cli config set requirepass secret >/dev/null
op 1 redis.rewrite port=$port
said 'failed EACCES Redis does not answer INFO as it should: NOAUTH .*'
redis-cli -p $port -a secret --no-auth-warning config set requirepass '' >/dev/null
cli acl setuser default -config >/dev/null
# Its process tells its folder.
op 0 redis.rewrite port=$port
said 'done rewritten in .* -> .*, new base seen'
cli acl setuser default +config >/dev/null
passed

# Files of another name: the folder tells of the room, Redis of the rest.
case_name="files that cannot be found"
main=$port main_dir=$dir main_pid=$pid
redis other --appendfilename other.aof
fill 100 1
cli acl setuser default -config >/dev/null
op 0 redis.rewrite port=$port
said 'done rewritten in .* \(by Redis.s word: its files cannot be seen from here\)'
end_redis
port=$main dir=$main_dir pid=$main_pid
passed

case_name="restart during a rewrite"
slow 5000
begin redis.rewrite port=$port
until_true 10 grep -q 'rewriting for' "$out"
end_redis
redis_again
! wait "$work_id" || fail "done though Redis was restarted"
said 'failed ECONNRESET Redis was restarted during the rewrite'
passed

case_name="server that stops answering"
kill -STOP "$pid"
op 3 redis.rewrite port=$port deadline=1s
kill -CONT "$pid"
until_true 10 cli ping
slow 5000
begin redis.rewrite port=$port deadline=3s
until_true 10 grep -q 'rewriting for' "$out"
kill -STOP "$pid"
got=0
wait "$work_id" || got=$?
equal exit 3 $got
said deadline
kill -CONT "$pid"
passed

case_name="loading"
slow 0
end_redis
# 10 ms a key, and a look at who asks after every tenth of them
redis_again --key-load-delay 10000 --loading-process-events-interval-bytes 1024
equal loading 1 "$(info loading)"
op 1 redis.rewrite port=$port
said 'failed EBUSY Redis is still loading its data \(.* of .*\); rewrite when it is ready'
end_redis
passed

case_name="no server"
op 1 redis.rewrite port=$port
said 'failed ECONNREFUSED Redis does not answer: Connection refused'
op 1 redis.rewrite socket="$dir/none"
said 'failed ENOENT Redis does not answer: No such file or directory'
passed

# One that waits for a save is forgotten when the file is turned off; where the files cannot be seen, only the count tells.
case_name="rewrite that is dropped"
redis dropped --appendfilename other.aof
fill 2000 1
slow 1000
cli bgsave >/dev/null
cli acl setuser default -config >/dev/null
begin redis.rewrite port=$port
until_true 10 grep -q 'rewrite scheduled for' "$out"
cli acl setuser default +config >/dev/null
equal "rewrites" 0 "$(info aof_rewrites)"
cli config set appendonly no >/dev/null
! wait "$work_id" || fail "done though nothing was rewritten"
said 'failed EREMOTEIO Redis accepted the rewrite and dropped it: its count of rewrites is still 0; .*'
end_redis
passed

case_name="no append-only file"
redis off --appendonly no
op 1 redis.rewrite port=$port
said 'failed EOPNOTSUPP this Redis keeps no append-only file .*'
end_redis
passed

case_name="full disk"
if unshare -rm true 2>/dev/null; then
        # shellcheck disable=SC2016 # for the inner shell
        dir=$work/full out=$out driver=$driver unshare -rm bash -c '
                set -e
                mkdir "$dir" && mount -t tmpfs -o size=3m full "$dir"
                redis-server --port 0 --dir "$dir" --save "" --appendonly yes --auto-aof-rewrite-percentage 0 \
                        --unixsocket "$dir/socket" --logfile "$dir/log" &
                trap "kill -KILL $!" EXIT
                until redis-cli -s "$dir/socket" ping >/dev/null 2>&1; do kill -0 $!; sleep 0.02; done
                redis-cli -s "$dir/socket" eval "for i=1,2000 do redis.call([[SET]], i, string.rep([[x]], 800)) end" 0
                ! "$driver" redis.rewrite socket="$dir/socket" >"$out" 2>&1
                redis-cli -s "$dir/socket" acl setuser default -config
                ! "$driver" redis.rewrite socket="$dir/socket" >"$out.refused" 2>&1' >/dev/null || fail "it did not fail"
        for out in "$out.refused" "$out"; do
                said 'failed ENOSPC too little disk for a second copy: up to .* needed, .* available; .*'
                not_said 'progress .*'
        done
        passed

        # Its process is another one here, as in a container: what could not be looked at is said.
        case_name="process that cannot be seen"
        mkdir "$work/far"
        # shellcheck disable=SC2016 # for the inner shell
        unshare -rpf --kill-child redis-server --port 0 --dir "$work/far" --save "" --appendonly yes \
                --unixsocket "$work/far/socket" --logfile "$work/far/log" --pidfile "$work/far/inner" &
        echo $! >"$work/far/pid"
        far() { redis-cli -s "$work/far/socket" "$@"; }
        until_true 10 far ping
        far acl setuser default -config >/dev/null
        op 0 redis.rewrite socket="$work/far/socket"
        said 'done rewritten in .* \(by Redis.s word: .* nor could the room for new ones before\)'
        kill -KILL "$(cat "$work/far/pid")"
        rm "$work/far/pid"
        passed
else
        echo "$case_name: not tried, no mount namespaces here (the judgement itself is a unit test)"
fi

# --- tile38 --------------------------------------------------------------------------------------------------------

case_name="tile38"
if ! command -v tile38-server >/dev/null; then
        echo "the rest needs tile38-server on PATH"
        exit 77
fi

# tile38 NAME OPTION...: like redis. It is ours as long as this shell is.
tile38() {
        dir=$work/$1
        shift
        mkdir -p "$dir/data"
        until port=$((base_port + ports++)) && ! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
        setsid tile38-server -h 127.0.0.1 -p "$port" -d "$dir/data" "$@" >"$dir/log" 2>&1 &
        pid=$!
        disown
        echo $pid >"$dir/pid"
}

# Versions from before HEALTHZ answer only once they have loaded.
healthy() {
        [[ $(cli healthz) =~ ^(OK|ERR unknown command.*)$ ]]
}

begun() {
        cli ping || [[ -n $(find "/proc/$pid/fd" -lname "*/appendonly.aof") ]]
}

gone() {
        ! kill -0 "$pid"
}

aof_inode() {
        stat -c %i "$dir/data/appendonly.aof"
}

case_name="shrink"
tile38 geo
until_true 10 healthy
for ((i = 0; i < 2000; i++)); do
        echo "SET fleet truck$((i % 20)) POINT $((i % 80)).5 $((i % 170)).25"
done | cli >/dev/null
old=$(aof_inode) old_size=$(stat -c %s "$dir/data/appendonly.aof")
op 0 tile38.shrink port=$port
said 'done shrunk in .* -> .*, new file seen'
equal aof-inode "$old -> $(aof_inode)" "$(figure aof-inode)"
[[ $old != "$(aof_inode)" ]] || fail "the file is the same"
equal size-before "$old_size" "$(figure size-before)"
equal size-after "$(stat -c %s "$dir/data/appendonly.aof")" "$(figure size-after)"
(($(figure size-after) < old_size / 10)) || fail "it did not shrink"
equal objects 20 "$(cli scan fleet count | tail -n 1)"
passed

case_name="shrink settled by looking"
mapfile -t noted < <(notes)
[[ ${#noted[@]} -eq 3 ]] || fail "it noted nothing before it asked"
new=$(aof_inode)
op 0 tile38.shrink port=$port "${noted[@]}"
said 'done shrunk while its agent was away: .* -> .*, new file seen'
equal "the file" "$new" "$(aof_inode)"
op 4 tile38.shrink port=$port "${noted[@]/#noted=aof-inode=*/noted=aof-inode=$new}"
said 'unsettled tile38 said OK, but its append-only file was not replaced; see its log'
equal "the file" "$new" "$(aof_inode)"
op 4 tile38.shrink port=$port "${noted[@]/#noted=pid=*/noted=pid=1}"
said 'unsettled tile38 was restarted during the shrink'
passed

# Its work file's name is taken by a folder: it says OK, and only its log tells that it failed.
case_name="shrink that fails"
mkdir -p "$dir/data/appendonly.aof-shrink/taken"
equal "tile38's answer" OK "$(cli aofshrink)"
op 1 tile38.shrink port=$port
said 'failed EREMOTEIO the shrink failed and left .*/data/appendonly.aof-shrink behind; .*'
rm -r "$dir/data/appendonly.aof-shrink"
echo old >"$dir/data/appendonly.aof-shrink"
op 0 tile38.shrink port=$port
[[ ! -e $dir/data/appendonly.aof-shrink ]] || fail "the leftover of a former shrink is still there"
passed

# It ended between the two steps of its swap: what is aside is all there is of the data, and its next start has made an
# empty file. A shrink would put that over it.
case_name="shrink after a swap that was interrupted"
mv "$dir/data/appendonly.aof" "$dir/data/appendonly.aof-bak"
cp "$dir/data/appendonly.aof-bak" "$dir/data/appendonly.aof-shrink"
kept=$(cksum "$dir/data/appendonly.aof-bak" "$dir/data/appendonly.aof-shrink")
kill -KILL "$pid"
until_true 10 gone
tile38 geo
until_true 10 healthy
equal "size of the new file" 0 "$(stat -c %s "$dir/data/appendonly.aof")"
op 1 tile38.shrink port=$port
said 'failed EEXIST .*/data/appendonly.aof-bak is there: an AOFSHRINK was interrupted while it swapped the files.*'
equal "what was put aside" "$kept" "$(cksum "$dir/data/appendonly.aof-bak" "$dir/data/appendonly.aof-shrink")"
kill -KILL "$pid"
until_true 10 gone
mv "$dir/data/appendonly.aof-bak" "$dir/data/appendonly.aof"
rm "$dir/data/appendonly.aof-shrink"
tile38 geo
until_true 10 healthy
equal objects 20 "$(cli scan fleet count | tail -n 1)"
op 0 tile38.shrink port=$port
passed

# Its folder has another name now: it cannot write beside its file, nothing is left behind, and it says OK.
case_name="shrink that leaves nothing"
mv "$dir/data" "$dir/moved"
equal "tile38's answer" OK "$(cli aofshrink)"
op 1 tile38.shrink port=$port
said "failed EREMOTEIO tile38 said OK, but its append-only file was not replaced; see its log"
mv "$dir/moved" "$dir/data"
op 0 tile38.shrink port=$port
passed

# Its work file is a pipe that nobody reads: once that is full it hangs in writing, and answers as ever.
case_name="shrink that hangs"
fat() { # COUNT: objects of five megabytes each, by commands of sixty bytes
        local i
        for ((i = 0; i < $1; i++)); do echo "JSET fat object$i list.1000000 1"; done | cli >/dev/null
}
shrinking() {
        [[ $(cli info persistence) == *aof_rewrite_in_progress:1* ]]
}
not_shrinking() {
        ! shrinking
}
fat 1
mkfifo "$dir/data/appendonly.aof-shrink"
op 1 tile38.shrink port=$port deadline=8s unit=geo.service
said 'progress 0 0 shrinking for .*, 0 B written'
said 'failed ETIMEDOUT the shrink has not written anything for 2\.[0-9] s, and tile38 still runs it; to end it, restart tile38: systemctl restart geo.service, then remove .*/data/appendonly.aof-shrink \(not before.*'
# The next one waits for it as long, and no longer.
op 1 tile38.shrink port=$port deadline=8s
said 'progress 0 0 waiting for a shrink that was under way already, 0 B written'
said 'failed ETIMEDOUT the shrink has not written anything for .*'
shrinking || fail "it has ended by itself"
# What it was told to do helps.
kill -KILL "$pid"
until_true 10 gone
rm "$dir/data/appendonly.aof-shrink"
tile38 geo
until_true 10 healthy
op 0 tile38.shrink port=$port
said 'done written anew, and larger .*, in .* -> 5\.[0-9] MB, new file seen'
passed

# Short commands have made large objects: what is to replace the file outgrows it.
case_name="shrink that outgrows its file"
kill -KILL "$pid"
until_true 10 gone
tile38 grown
until_true 10 healthy
fat 20
op 1 tile38.shrink port=$port
said 'failed EFBIG the shrink has written [0-9.]+ MB, more than the 1\.2 kB that it is to replace, and tile38 still runs it; to end it, restart tile38, then remove .*'
until_true 60 not_shrinking
kill -KILL "$pid"
until_true 10 gone
rm -r "$dir/data"
tile38 geo
until_true 10 healthy
passed

case_name="not a tile38, not a Redis"
op 1 redis.rewrite port=$port
said 'failed EPROTO Redis does not answer: .*'
geo=$port geo_pid=$pid
redis two
op 1 tile38.shrink port=$port
said 'failed EACCES tile38 cannot be asked: ERR unknown command .*'
end_redis
port=$geo pid=$geo_pid dir=$work/geo
passed

case_name="tile38 that stops answering"
kill -STOP "$pid"
op 3 tile38.shrink port=$port deadline=1s
kill -CONT "$pid"
until_true 10 healthy
kill -KILL "$pid"
until_true 10 gone
op 1 tile38.shrink port=$port
said 'failed ECONNREFUSED tile38 does not answer: Connection refused'
passed

case_name="tile38 without a file"
tile38 none --appendonly no
until_true 10 healthy
op 1 tile38.shrink port=$port
said 'failed EOPNOTSUPP this tile38 keeps no append-only file .*'
kill -KILL "$pid"
passed

case_name="tile38 with a file of another name"
mkdir -p "$work/named" "$work/linked"
tile38 named --appendfilename "$work/named/positions.aof"
until_true 10 healthy
for ((i = 0; i < 100; i++)); do echo "SET fleet truck POINT $((i % 80)).5 7"; done | cli >/dev/null
old=$(stat -c %i "$dir/positions.aof")
op 0 tile38.shrink port=$port
equal aof-inode "$old -> $(stat -c %i "$dir/positions.aof")" "$(figure aof-inode)"
echo kept >"$dir/positions.aof-bak"
op 1 tile38.shrink port=$port
said 'failed EEXIST .*/named/positions.aof-bak is there: .*'
rm "$dir/positions.aof-bak"
mkfifo "$dir/positions.aof-shrink"
fat 1
op 1 tile38.shrink port=$port deadline=8s
said 'failed ETIMEDOUT .*, then remove .*/named/positions.aof-shrink .*'
kill -KILL "$pid"
passed

# By another name than it was told it is not found; a shrink would be bounded by nothing.
case_name="tile38 whose file is not seen"
ln -s real.aof "$work/linked/positions.aof"
tile38 linked --appendfilename "$work/linked/positions.aof"
until_true 10 healthy
cli set fleet truck point 1 2 >/dev/null
op 1 tile38.shrink port=$port
said 'failed ENOENT the append-only file of this tile38 is not among the open files of its process .*'
[[ ! -e $dir/positions.aof-shrink ]] || fail "it was asked for all the same"
kill -KILL "$pid"
passed

case_name="tile38 that loads"
mkdir -p "$work/load/data"
awk 'BEGIN { for (i = 0; i < 300000; i++) { a = (i * 7919) % 160 - 80 "." i % 997; b = (i * 7907) % 340 - 170 "." i % 991
        printf "*6\r\n$3\r\nSET\r\n$5\r\nfleet\r\n$%d\r\n%s\r\n$5\r\nPOINT\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n",
        length("t" i), "t" i, length(a), a, length(b), b } }' >"$work/load/data/appendonly.aof"
tile38 load
# New ones listen at once, and say so; old ones do not listen before they have loaded.
until_true 5 begun
op 1 tile38.shrink port=$port
said 'failed (EACCES tile38 cannot be asked: LOADING .*|ECONNREFUSED tile38 does not answer: .*)'
until_true 60 healthy
# One runs when the next is asked for.
cli aofshrink >/dev/null
op 0 tile38.shrink port=$port
said 'done shrunk in .*, new file seen'
kill -KILL "$pid"
passed
