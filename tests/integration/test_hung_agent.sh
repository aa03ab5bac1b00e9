#!/bin/bash
# What hangs with a disk must not hang the agent: while a rewrite, a shrink and a look at a PM2 home wait for folders
# that do not answer, the same agent does what it is asked for elsewhere; and each of them fails in the end, saying
# why. The file systems are real ones: FUSE mounts whose server never says a word.
# timeout: 240
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
[[ -w /dev/fuse ]] || { echo "no /dev/fuse that could be opened here"; exit 77; }
if [[ ${1:-} != inside ]]; then
        unshare --mount true 2>/dev/null || { echo "no mount namespace of its own: needs root"; exit 77; }
        exec unshare --mount "$0" inside
fi
. tests/integration/programs.sh
# A thread that waits for such a disk cannot be stopped, which is what looking for leaks does first.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
driver=$build/tests/integration/ops_driver
hung=()

# Closing the descriptor is what ends the waiting.
heal() {
        exec 7>&- 8>&- 9>&-
        ((${#hung[@]} == 0)) || umount --lazy "${hung[@]}" 2>/dev/null || true
        hung=()
}

before_end() {
        heal
        if [[ -s $work/home/.pm2/pm2.pid ]]; then
                kill -KILL "$(cat "$work/home/.pm2/pm2.pid")" 2>/dev/null || true
        fi
}

hang() { # DESCRIPTOR FOLDER
        mount -t fuse -o "fd=$1,rootmode=40000,user_id=0,group_id=0" hung "$2"
        hung+=("$2")
}

free_port() {
        local port
        until port=$((20000 + RANDOM % 20000)) && ! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
        echo "$port"
}

redis() { # NAME PORT
        mkdir "$work/$1"
        start "$work/$1.out" redis-server --port "$2" --bind 127.0.0.1 --dir "$work/$1" --appendonly yes --save ''
        until_true 20 redis-cli -p "$2" ping || fail "no Redis: $(tail -n 5 "$work/$1.out")"
}

is() { # SERVICE PHASE [PATTERN of its detail]
        "$muster" status --json |
                jq -e --arg detail "${3:-}" ".hosts[0].services[] | select(.name == \"$1\" and .phase == \"$2\") | .detail | test(\$detail)"
}

set_up() {
        bds_port=$(free_port)
        redis bds "$bds_port"
        other_port=$(free_port)
        redis other "$other_port"
        geo=false
        if command -v tile38-server >/dev/null; then
                geo=true
                geo_port=$(free_port)
                mkdir "$work/geo"
                start "$work/geo.out" tile38-server -h 127.0.0.1 -p "$geo_port" -d "$work/geo"
                until_true 20 redis-cli -p "$geo_port" healthz || fail "no tile38"
        fi
        mkdir -p "$work/home/.pm2"
        cat >"$work/fleet.yaml" <<YAML
fleet: hung
hosts:
  one: {}
services:
  bds:   {kind: redis, host: one, port: $bds_port, role: master}
  other: {kind: redis, host: one, port: $other_port, role: master}
  apps:  {kind: pm2, host: one, user: root, home: $work/home/.pm2}
YAML
        start_controller
        "$agent" join "$("$muster" host invite one 2>/dev/null)" --state "$work/one" >/dev/null
        run_agent one
        until_true 20 is bds ready || fail "not ready: $("$muster" status)"
        until_true 20 is other ready || fail "not ready: $("$muster" status)"
        until_true 20 is apps stopped 'no PM2 daemon' || fail "not looked at: $("$muster" status)"
}

# begin NAME COMMAND...: in the background; its output is $work/NAME.end, and then its exit code is in $work/NAME.code.
begin() {
        local name=$1
        shift
        start "$work/$name.end" bash -c "\"\$@\"; echo \$? >'$work/$name.code'" begin "$@"
}

# ended NAME EXIT PATTERN
ended() {
        cases=$((cases + 1))
        until_true 60 test -s "$work/$1.code" || fail "$1 does not end"
        [[ $(cat "$work/$1.code") -eq $2 ]] || fail "$1: exit $(cat "$work/$1.code") instead of $2"
        grep -qE -- "$3" "$work/$1.end" || fail "$1: no line matches '$3': $(tail -n 3 "$work/$1.end")"
}

not_ended() {
        [[ ! -s $work/$1.code ]] || fail "$1 has ended already: $(cat "$work/$1.end")"
}

rewriting() {
        redis-cli -p "$bds_port" info persistence | grep -q '^aof_rewrite_in_progress:1'
}

rewrites() { # PORT
        redis-cli -p "$1" info persistence | tr -d '\r' | sed -n 's/^aof_rewrites://p'
}

# All three wait at once; what they do not stand on is done meanwhile.
test_hung() {
        exec 7<>/dev/fuse 8<>/dev/fuse
        hang 7 "$work/bds"
        hang 8 "$work/home/.pm2"
        begin rewrite "$muster" redis rewrite bds
        begin diff "$muster" pm2 diff apps --from dump
        expect 0 'one.*alive' "$muster" exec one -- echo alive
        not_ended rewrite
        if $geo; then
                exec 9<>/dev/fuse
                hang 9 "$work/geo"
                # A deadline that comes first is kept: the loop turns.
                expect 3 '^deadline$' "$driver" tile38.shrink port="$geo_port" deadline=1s
                expect 1 '^failed ETIMEDOUT the files of this tile38 do not answer: a shrink would hang, and was not asked for;' \
                        "$driver" tile38.shrink port="$geo_port"
        fi
        ended rewrite 1 "one/bds: .*$work/bds/appendonlydir does not answer: a rewrite would hang, and was not asked for"
        ended diff 5 "PM2 home $work/home/.pm2 does not answer"
        [[ $(rewrites "$bds_port") -eq 0 ]] || fail "it was asked for all the same"
        until_true 30 is apps failed 'does not answer: mend the disk' || fail "the home is not named: $("$muster" status)"
        host_is one up >/dev/null || fail "the agent was lost"
}

# The home answers, its dump does not: one file that hangs, as after a cut in the middle of reading.
test_hung_dump() {
        heal
        until_true 30 is apps stopped 'no PM2 daemon' || fail "it does not come back: $("$muster" status)"
        echo '[]' >"$work/home/.pm2/dump.pm2"
        expect 0 'no difference|same|0 apps' "$muster" pm2 diff apps --from dump
        exec 8<>/dev/fuse
        mount -t fuse -o "fd=8,rootmode=100000,user_id=0,group_id=0" hung "$work/home/.pm2/dump.pm2"
        hung+=("$work/home/.pm2/dump.pm2")
        begin dump "$muster" pm2 diff apps --from dump
        expect 0 '^done .* one/other: rewritten in ' "$muster" redis rewrite other
        not_ended dump
        ended dump 5 'the dump of PM2 home .* cannot be read: its disk or network file system does not answer'
        heal
}

pm2() {
        env -i "PATH=$PATH" "HOME=$work/home" "PM2_HOME=$work/home/.pm2" PM2_DISABLE_VERSION_CHECK=1 pm2 "$@" >"$work/pm2.out" 2>&1 ||
                fail "pm2 $*: $(tail -n 3 "$work/pm2.out")"
}

# A restore looks at that dump last, for a figure, and does without.
test_hung_restore() {
        local drive=("$build/tests/integration/pm2_agent" root "$work/home/.pm2" "$work/restored" op)
        echo 'setInterval(() => {}, 1000);' >"$work/home/app.js"
        pm2 start "$work/home/app.js"
        pm2 save
        expect 0 '^done: saved: 1 apps' "${drive[@]}" save one
        exec 8<>/dev/fuse
        mount -t fuse -o "fd=8,rootmode=100000,user_id=0,group_id=0" hung "$work/home/.pm2/dump.pm2"
        hung+=("$work/home/.pm2/dump.pm2")
        begin restore "${drive[@]}" restore one
        ended restore 0 '^done: 1 of 1 apps as saved'
        heal
        pm2 kill
}

# The disk hangs while the child writes.
test_hung_on_the_way() {
        heal
        until_true 30 is bds ready 'AOF [^;]*$' || fail "it does not come back: $("$muster" status)"
        redis-cli -p "$bds_port" config set rdb-key-save-delay 10000000 >/dev/null
        redis-cli -p "$bds_port" mset one 1 two 2 three 3 four 4 five 5 six 6 >/dev/null
        begin way "$muster" redis rewrite bds
        until_true 20 rewriting || fail "no rewrite: $(cat "$work/way.end")"
        exec 7<>/dev/fuse
        hang 7 "$work/bds"
        expect 0 'one.*alive' "$muster" exec one -- echo alive
        expect 1 'redis.rewrite is under way on bds .* and only one at a time is on a host' "$muster" redis rewrite other
        not_ended way
        ended way 1 "one/bds: .* does not answer: whether the rewrite ends cannot be seen"
        heal
}

main() {
        set_up
        test_hung
        test_hung_dump
        if command -v pm2 >/dev/null; then
                test_hung_restore
        fi
        test_hung_on_the_way
        ends_well muster-agent "$agent_pid" "$work/one.log"
        ends_well muster-controller "$controller_pid" "$work/controller.log"
        conclude
}

main
