#!/bin/bash
# `muster redis` and what the fleet says of a real master and its real replica: loads watched to their end and learned
# from, a replica that lags behind its master's own offset, one that follows somebody else, and one that loads again
# after it was ready. MUSTER_BUILD says where the programs are.
# timeout: 240
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
command -v redis-server >/dev/null || { echo "no redis-server on PATH: apt-get install redis-server"; exit 1; }
. tests/integration/programs.sh
EXPECT_SECONDS=100

free_port() {
        local port
        until port=$((20000 + RANDOM % 20000)) && ! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
        echo "$port"
}

# server NAME PORT OPTION...: its pid is then in $pid. Slow where the test wants to see it load: key-load-delay.
server() {
        local name=$1 port=$2
        shift 2
        mkdir -p "$work/$name"
        start "$work/$name.out" redis-server --port "$port" --bind 127.0.0.1 --dir "$work/$name" --save '' \
                --appendonly yes --auto-aof-rewrite-percentage 0 --repl-diskless-sync-delay 0 --rdbcompression no \
                --loading-process-events-interval-bytes 1024 "$@"
        pid=${started[-1]}
        until_true 20 redis-cli -p "$port" info server || fail "no Redis: $(tail -n 5 "$work/$name.out")"
}

master() {
        redis-cli -p "$master_port" "$@"
}

replica() {
        redis-cli -p "$replica_port" "$@"
}

service() { # NAME FILTER
        "$muster" status --json | jq -e ".hosts[0].services[] | select(.name == \"$1\") | $2"
}

ready() {
        service bds '.phase == "ready"' && service copy '.phase == "ready"'
}

grow() { # ROUNDS of writes over three megabytes of data
        master eval 'local value = string.rep("x", 1000)
                for round = 1, tonumber(ARGV[1]) do for key = 1, 3000 do redis.call("SET", "key:" .. key, value) end end' \
                0 "$1" >/dev/null
}

set_up() {
        master_port=$(free_port)
        replica_port=$(free_port)
        server bds "$master_port"
        bds_pid=$pid
        grow 1
        master bgrewriteaof >/dev/null
        until_true 20 rewritten || fail "the base is not written"
        grow 2
        server copy "$replica_port" --replicaof "127.0.0.1 $master_port"
        cat >"$work/fleet.yaml" <<YAML
fleet: redis
hosts:
  one: {}
services:
  bds:  {kind: redis, host: one, port: $master_port, role: master, hold: 1s}
  copy: {kind: redis, host: one, port: $replica_port, role: replica, of: bds, max_lag: 1MB, hold: 1s}
YAML
        start_controller
        "$agent" join "$("$muster" host invite one 2>/dev/null)" --state "$work/one" >/dev/null
        run_agent one
        until_true 20 ready || fail "they do not become ready: $("$muster" status)"
}

rewritten() {
        [[ $(master info persistence | tr -d '\r' | grep -E '^aof_rewrite(s|_in_progress):' | xargs) == "aof_rewrite_in_progress:0 aof_rewrites:1" ]]
}

test_watch_when_ready() {
        expect 0 '^one/bds ready: master, 3000 keys' "$muster" redis watch
        expect 0 '^one/copy ready: replica, in sync' "$muster" redis watch copy
        expect 2 'holds no Redis|nothing|no ' "$muster" redis watch '%pm2'
        expect 2 "redis: unknown 'wach'; it takes .*did you mean 'watch'" "$muster" redis wach
}

# The master is killed and loads what it has: a fifth of a millisecond a key, 3000 keys in the base, twice that after it.
test_watch_a_load() {
        local load
        kill -KILL "$bds_pid"
        wait "$bds_pid" 2>/dev/null || true
        server bds "$master_port" --key-load-delay 200
        bds_pid=$pid
        until_true 10 service bds '.phase == "loading"' || fail "it is not seen to load"
        expect 0 '"phase":"ready"' "$muster" redis watch --json bds
        load=$(jq -s '[.[] | select(.phase == "loading" and .load != null)]' "$work/out")
        jq -e 'length > 3 and all(.[]; .total > 0 and .loaded <= .total and .load.learned_loads == 0)' <<<"$load" >/dev/null ||
                fail "the load is not told: $(cat "$work/out")"
        jq -e '(map(.loaded) | . == sort) and any(.[]; .load.file == "base") and any(.[]; .load.file == "incremental")' \
                <<<"$load" >/dev/null || fail "not file by file: $load"
        jq -e 'any(.[]; .load.estimated and .load.left_high_ms >= .load.left_low_ms and .load.bytes_per_s > 0)' <<<"$load" >/dev/null ||
                fail "no estimate: $load"
        jq -s -e 'last | .phase == "ready"' "$work/out" >/dev/null || fail "it did not watch to the end"
}

# The next load starts with what that one taught, and says so from its first bytes on.
test_learned() {
        kill -KILL "$bds_pid"
        wait "$bds_pid" 2>/dev/null || true
        server bds "$master_port" --key-load-delay 200
        bds_pid=$pid
        until_true 10 service bds '.phase == "loading"' || fail "it is not seen to load"
        expect 0 '^one/bds loading: (base|incremental) .* left$' "$muster" redis watch bds
        expect 0 '^one/bds ready: master' "$muster" redis watch bds
        until_true 30 ready || fail "the replica does not come back: $("$muster" status)"
}

# Other findings may block, and make the exit 1.
found() { # FILTER of a finding
        { "$muster" check copy --json || true; } | jq -e ".findings[] | select(.id == \"replica-link\") | select($1)"
}

# The replica has an append-only file of its own; one at a time, both on record.
test_rewrite() {
        local before
        grow 4
        until_true 30 service bds '.redis.incremental_bytes > 12000000' || fail "the growth is not seen"
        expect 0 '^done .* one/bds: rewritten in .*: [12][0-9.]+ MB -> 3\.[0-9] MB, new base seen$' "$muster" redis rewrite
        grep -qE '^done .* one/copy: rewritten in ' "$work/out" || fail "the replica is not rewritten: $(cat "$work/out")"
        grep -qE '^ +the next load takes .* to .* less$' "$work/out" || fail "what it saves is not said: $(cat "$work/out")"
        [[ $("$muster" audit ls --json | jq '[.entries[] | select(.action == "redis rewrite" and .user == "admin")] | length') -eq 2 ]] ||
                fail "the rewrites are not in the audit trail"
        expect 0 '"saved_high_ms"' "$muster" redis rewrite bds --json
        jq -e '.operations | length == 1 and .[0].report.state == "done" and .[0].saves and .[0].saved_high_ms >= .[0].saved_low_ms' \
                "$work/out" >/dev/null || fail "not told as JSON: $(cat "$work/out")"
        expect 2 'nothing of kind redis|no service|scope' "$muster" redis rewrite '%pm2'
}

# What is loading is refused and left alone.
test_rewrite_of_what_loads() {
        local instance
        instance=$(service copy '.redis.run_id')
        expect 1 'one/copy: Redis is still loading its data \(' "$muster" redis rewrite copy
        [[ $(service copy '.redis.run_id') == "$instance" ]] || fail "it was restarted"
}

lags() {
        found '.severity == "warns" and (.evidence | test("behind its master"))'
}

does_not_lag() {
        ! lags
}

linked() {
        replica info replication | grep -q '^master_link_status:up'
}

# Paused, a replica applies nothing of what its master sends.
test_lag() {
        until_true 60 linked || fail "the replica does not follow its master"
        replica client pause 600000 write >/dev/null
        grow 1
        until_true 40 lags || fail "the lag is not found: $("$muster" check copy)"
        linked || fail "its link is down: another matter"
        replica client unpause >/dev/null
        until_true 40 does_not_lag || fail "it has caught up, and is still found: $("$muster" check copy)"
}

follows_another() {
        found '.severity == "blocks" and (.evidence | test("follows 127.0.0.1:'"$other_port"', which is not bds"))'
}

# Its role is as declared and its link is up: to somebody else.
test_another_master() {
        other_port=$(free_port)
        server other "$other_port"
        replica replicaof 127.0.0.1 "$other_port" >/dev/null
        until_true 40 follows_another || fail "another master is not found: $("$muster" check copy)"
}

loads_again() {
        service copy '.phase == "loading"'
}

# PONG was not the last word: sent back to its master, it has to take everything anew, and counts as ready from then on
# only, from nought.
test_loading_after_ready() {
        local before
        before=$(service copy '.ready_for_ms')
        replica config set key-load-delay 300 >/dev/null
        replica replicaof 127.0.0.1 "$master_port" >/dev/null
        until_true 20 loads_again || fail "it is not seen to load again: $("$muster" status)"
        # What loads is left alone: it would begin anew.
        expect 1 "'copy' on 'one' is loading its data" "$muster" plan restart copy
        test_rewrite_of_what_loads
        "$muster" status --watch --json >"$work/stream" 2>/dev/null &
        started+=("$!")
        until_true 60 grep -q '"name":"copy","kind":"redis","phase":"ready"' "$work/stream" || fail "it does not become ready"
        kill -KILL "${started[-1]}"
        jq -s -e --argjson before "$before" '[.[].hosts[0].services[] | select(.name == "copy")] |
                ([.[] | select(.phase == "loading")] | all(.[]; .ready_for_ms == 0)) and
                (map(select(.phase == "ready")) | first | .ready_for_ms < $before)' "$work/stream" >/dev/null ||
                fail "it is ready as long as before"
}

main() {
        set_up
        test_watch_when_ready
        test_watch_a_load
        test_learned
        test_rewrite
        test_lag
        test_another_master
        test_loading_after_ready
        ends_well muster-agent "$agent_pid" "$work/one.log"
        ends_well muster-controller "$controller_pid" "$work/controller.log"
        conclude
}

main
