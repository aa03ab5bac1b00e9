#!/bin/bash
# `muster check --fix` on a real Redis whose append-only file has grown: the finding, its repair, and that it is gone.
# MUSTER_BUILD says where the programs are.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
command -v redis-server >/dev/null || { echo "no redis-server on PATH: apt-get install redis-server"; exit 1; }
. tests/integration/programs.sh
socket=$work/redis/socket

redis() {
        redis-cli -s "$socket" "$@"
}

info() { # FIELD of INFO
        redis info persistence | tr -d '\r' | sed -n "s/^$1://p"
}

set_up() {
        mkdir "$work/redis"
        start "$work/redis.out" redis-server --port 0 --unixsocket "$socket" --dir "$work/redis" --save '' \
                --appendonly yes --auto-aof-rewrite-percentage 0
        until_true 20 redis ping || fail "no Redis: $(tail -n 5 "$work/redis.out")"
        # The same thousand keys again and again: fifty megabytes of writes, one of data.
        redis eval 'local value = string.rep("x", 1000)
                for round = 1, 50 do for key = 1, 1000 do redis.call("SET", "key:" .. key, value) end end' 0 >/dev/null
        cat >"$work/fleet.yaml" <<YAML
fleet: checks
hosts:
  one: {}
services:
  cache: {kind: redis, host: one, socket: $socket, role: master}
YAML
        start_controller
        "$agent" join "$("$muster" host invite one 2>/dev/null)" --state "$work/one" >/dev/null
        run_agent one
        until_true 20 seen || fail "the agent does not see the append-only file"
}

seen() {
        "$muster" status --json | jq -e '.hosts[0].services[0].redis.incremental_bytes > 40000000'
}

# What else may be wrong with this machine is not the question: the exit is 0 or 1.
check() { # ARGUMENT...
        local status=0
        cases=$((cases + 1))
        timeout 60 "$muster" check "$@" >"$work/out" 2>"$work/err" || status=$?
        [[ $status -le 1 ]] || fail "check $*: exit $status: $(cat "$work/err")"
}

test_found() {
        check cache
        grep -q "^warns    one/cache aof-growth$" "$work/out" || fail "the growth is not found: $(cat "$work/out")"
        grep -q "muster check --fix does it" "$work/out" || fail "it is not said that it can be repaired"
        [[ $(info aof_rewrites) -eq 0 ]] || fail "a check without --fix rewrote"
}

test_fixed() {
        check cache --fix --json
        jq -e '[.findings, .repairs, .remaining] | flatten | all((.progress // "") == "")' "$work/out" >/dev/null ||
                fail "what was of the moment is told as JSON: $(cat "$work/out")"
        jq -e '[.findings[] | select(.id == "aof-growth" and .fix == "redis_rewrite")] | length == 1' "$work/out" >/dev/null ||
                fail "the finding is not told: $(cat "$work/out")"
        jq -e '[.repairs[] | select(.finding.id == "aof-growth" and (.repair_failed | not))] | length == 1' "$work/out" >/dev/null ||
                fail "the repair is not told, or failed: $(jq .repairs "$work/out")"
        jq -e '[.repairs[].repair | select(test("rewritten in .*; the next load takes .* to .* less$"))] | length == 1' \
                "$work/out" >/dev/null || fail "what it saves is not said: $(jq .repairs "$work/out")"
        jq -e '[.remaining[] | select(.id == "aof-growth")] | length == 0' "$work/out" >/dev/null ||
                fail "the finding remains: $(jq .remaining "$work/out")"
        [[ $(info aof_rewrites) -eq 1 ]] || fail "$(info aof_rewrites) rewrites instead of one"
        # Where systemd runs there may be more to repair than this one.
        "$muster" audit ls --json |
                jq -e '[.entries[] | select(.action == "fix" and .user == "admin" and (.text | startswith("redis.rewrite")))]
                        | length == 1' >/dev/null ||
                fail "the repair is not in the audit trail"
        check cache --fix
        if grep -q "aof-growth" "$work/out"; then fail "it is found again: $(cat "$work/out")"; fi
        [[ $(info aof_rewrites) -eq 1 ]] || fail "nothing was left to repair, and it was repaired"
}

# A check reads anew: what has just changed is judged, time after time.
test_read_live() {
        local i
        for i in 1 2 3 4 5; do
                redis replicaof 127.0.0.1 1 >/dev/null
                check cache
                grep -q "^blocks   one/cache role$" "$work/out" || fail "round $i: an old role was judged: $(cat "$work/out")"
                redis replicaof no one >/dev/null
                check cache
                if grep -q " role$" "$work/out"; then fail "round $i: an old role was judged: $(cat "$work/out")"; fi
        done
}

# A login that may not ask CONFIG: what is not known is said, and nothing is made up of it.
test_config_refused() {
        redis config set appendonly no >/dev/null
        check cache
        grep -q "^warns    one/cache persistence$" "$work/out" || fail "it keeps nothing: $(cat "$work/out")"
        redis config set save '3600 1' >/dev/null
        redis acl setuser root on '>root' '~*' '&*' +@all >/dev/null
        redis acl setuser default -config >/dev/null
        check cache
        grep -A 1 "^warns    one/cache config$" "$work/out" | grep -q 'cache refuses CONFIG GET (NOPERM .*save points' ||
                fail "what is not known is not said: $(cat "$work/out")"
        if grep -q " persistence$" "$work/out"; then fail "it has save points: $(cat "$work/out")"; fi
        # All that muster needs.
        redis --user root --pass root --no-auth-warning acl setuser default -@all +info +ping '+config|get' +bgrewriteaof >/dev/null
        check cache
        if grep -qE " (config|persistence|ready)$" "$work/out"; then fail "more is needed: $(cat "$work/out")"; fi
}

# An agent that does not answer is not waited for long, and what it said before is not passed off as new.
test_late() {
        kill -STOP "$agent_pid"
        # Who goes away meanwhile leaves nothing that is answered later. One signal, to the command alone: the look for
        # leaks at its end does not bear another.
        timeout --foreground --kill-after=20 1 "$muster" check >/dev/null 2>&1 || true
        timeout --foreground --kill-after=20 1 "$muster" plan restart >/dev/null 2>&1 || true
        check
        kill -CONT "$agent_pid"
        grep -A 1 "^warns    one connected$" "$work/out" | grep -q "did not look anew in time; .* s ago" ||
                fail "an old state is passed off as new: $(cat "$work/out")"
        check
        if grep -q " connected$" "$work/out"; then fail "it answers again: $(cat "$work/out")"; fi
}

# A repair that cannot be done is told, and what it was for remains.
test_repair_fails() {
        redis eval 'local value = string.rep("y", 1000)
                for round = 1, 50 do for key = 1, 1000 do redis.call("SET", "key:" .. key, value) end end' 0 >/dev/null
        until_true 20 seen || fail "the agent does not see that the file has grown again"
        # No new base can be written where a folder has its name.
        mkdir "$work/redis/appendonlydir/appendonly.aof.3.base.rdb"
        check cache --fix --json
        jq -e '[.repairs[] | select(.finding.id == "aof-growth" and .repair_failed)] | length == 1' "$work/out" >/dev/null ||
                fail "the failed repair is not told: $(jq .repairs "$work/out")"
        jq -e '[.remaining[] | select(.id == "aof-growth")] | length == 1' "$work/out" >/dev/null ||
                fail "what could not be repaired does not remain: $(jq .remaining "$work/out")"
}

# What it will do is named before it is done, and while it lasts a terminal shows how far it is; a pipe gets no such lines.
test_fix_shown() {
        local line
        rmdir "$work/redis/appendonlydir/appendonly.aof.3.base.rdb"
        redis config set rdb-key-save-delay 3000 >/dev/null
        mkfifo "$work/keys"
        exec 8<>"$work/keys"
        start "$work/terminal.out" env TERM=xterm script -qfec "$muster check cache --fix; echo exit \$?" "$work/shown" <&8
        until_true 60 grep -q '^exit [0-9]' "$work/shown" || fail "it does not end: $(cat "$work/shown")"
        tr -d '\r' <"$work/shown" | sed 's/\x1b\[K/\n/g' >"$work/lines"
        grep -nE '^         will do  one/cache redis.rewrite$|^ *([0-9]+% )?one/cache redis.rewrite: .*[0-9]|fixed.*one/cache redis.rewrite: rewritten' "$work/lines" |
                sed -E 's/^[0-9]+: *//; s/.*fixed.*/fixed/; s/^will do.*/will do/; s/^([0-9]+% )?one.*/progress/' | uniq >"$work/order"
        [[ $(tr '\n' ' ' <"$work/order") == "will do progress fixed " ]] || fail "not named, followed, done: $(cat "$work/lines")"
        redis eval 'local value = string.rep("z", 1000)
                for round = 1, 50 do for key = 1, 1000 do redis.call("SET", "key:" .. key, value) end end' 0 >/dev/null
        redis config set rdb-key-save-delay 0 >/dev/null
        until_true 20 seen || fail "the agent does not see that the file has grown again"
        check cache --fix
        for line in '^         will do  one/cache redis.rewrite$' '^fixed    one/cache redis.rewrite: rewritten'; do
                grep -qE "$line" "$work/out" || fail "no line like '$line': $(cat "$work/out")"
        done
        [[ $(grep -c redis.rewrite "$work/out") -eq 2 ]] || fail "progress in a pipe: $(cat "$work/out")"
}

main() {
        set_up
        test_found
        test_fixed
        test_read_live
        test_late
        test_repair_fails
        test_fix_shown
        test_config_refused
        ends_well muster-agent "$agent_pid" "$work/one.log"
        ends_well muster-controller "$controller_pid" "$work/controller.log"
        conclude
}

main
