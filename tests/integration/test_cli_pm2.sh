#!/bin/bash
# `muster pm2` through a real controller and agent, on a real PM2: snapshots taken, listed, compared with what is live and
# with PM2's own dump, and brought back; what it says when a side cannot be had, an app fails or a run holds the host.
# timeout: 300
# MUSTER_BUILD says where the programs are.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
command -v pm2 >/dev/null || { echo "no pm2 on PATH: npm install -g pm2"; exit 1; }
. tests/integration/programs.sh
home=$work/.pm2

# PM2's daemon and its apps are nobody's children.
end_pm2() {
        local environ pid
        for environ in /proc/[0-9]*/environ; do
                pid=${environ#/proc/}
                pid=${pid%/environ}
                if tr '\0' '\n' 2>/dev/null <"$environ" | grep -qx "PM2_HOME=$home"; then kill -9 "$pid" 2>/dev/null || true; fi
        done
}
before_end() { end_pm2; }
# Also if this script is killed.
(
        trap '' INT TERM
        tail --pid=$$ -f /dev/null
        end_pm2
) </dev/null >/dev/null 2>&1 &

pm2() {
        (cd "$work" && env -i "PATH=$PATH" "HOME=$work" "PM2_HOME=$home" PM2_DISABLE_VERSION_CHECK=1 "$(type -P pm2)" "$@") \
                >"$work/pm2.out" 2>&1 </dev/null || { cat "$work/pm2.out" >&2; fail "pm2 $*"; }
}

has() { # PATTERN of a line of stdout
        grep -qE -- "$1" "$work/out" || fail "no line like '$1': $(cat "$work/out")"
}

set_up() {
        echo 'setInterval(() => {}, 1000);' >"$work/good.js"
        cat >"$work/fleet.yaml" <<YAML
fleet: pm2
hosts:
  one: {}
  two: {}
services:
  apps: {kind: pm2, host: one, user: $(id -un), home: $home, hold: 4s}
  nobodys: {kind: pm2, host: one, user: muster-no-such-user, home: $work/nobodys}
  far: {kind: pm2, host: two, user: $(id -un), home: $home}
  web: {kind: unit, host: one, unit: muster-no-such-unit}
  cache: {kind: redis, host: one, socket: $work/redis/socket, role: master}
YAML
        mkdir "$work/redis"
        start "$work/redis.out" redis-server --port 0 --unixsocket "$work/redis/socket" --dir "$work/redis" --save '' \
                --appendonly yes --auto-aof-rewrite-percentage 0
        start_controller
        "$agent" join "$("$muster" host invite one 2>/dev/null)" --state "$work/one" >/dev/null
        run_agent one
}

save() { # NAME, as the agent's operation does it
        "$build/tests/integration/pm2_agent" "$(id -un)" "$home" "$work/one" op save "$1" >/dev/null 2>&1 || fail "no snapshot $1"
}

test_nothing_there() {
        expect 0 "^no snapshots; muster pm2 save" "$muster" pm2 ls apps
        expect 2 "one/apps: not compared: there is no snapshot of PM2 home" "$muster" pm2 diff apps
        expect 5 "one/nobodys: not compared: .*muster-no-such-user" "$muster" pm2 diff nobodys
        expect 5 "one/nobodys: .*muster-no-such-user" "$muster" pm2 ls nobodys
        expect 0 "no difference between PM2's dump \(there is none\) and live \(no PM2 daemon runs\): 0 apps" "$muster" pm2 diff apps --from dump
}

test_usage() {
        expect 2 "web is of kind unit" "$muster" pm2 diff web
        expect 2 "no host or service 'nothing'" "$muster" pm2 ls nothing
        expect 2 "what is compared is 'live', 'dump' or a snapshot's name" "$muster" pm2 diff apps --from ../x
        expect 2 "nothing to compare" "$muster" pm2 diff apps --from live
        expect 2 "it takes ls, save, diff, restore" "$muster" pm2
        expect 0 "usage: muster pm2 diff \[SCOPE\]" "$muster" pm2 diff --help
        expect 2 "something is missing" "$muster" pm2 restore --yes
        expect 2 "give --yes" "$muster" pm2 restore apps
        expect 2 "'dump' is no snapshot" "$muster" pm2 restore apps dump --yes
        expect 2 "web is of kind unit" "$muster" pm2 restore web --yes
        expect 2 "one service is restored at a time; %pm2 holds 3" "$muster" pm2 restore %pm2 --yes
}

test_compared() {
        pm2 start good.js --name first
        pm2 start good.js --name second
        pm2 start good.js --name third
        pm2 stop third
        save before
        expect 0 "^one/apps: no difference between snapshot before of 2.* UTC and live: 3 apps, 2 online, 1 stopped$" \
                "$muster" pm2 diff apps
        pm2 stop second
        pm2 start good.js --name fourth
        (cd "$work" && SECRET=hunter2 PM2_HOME=$home HOME=$work "$(type -P pm2)" restart first --update-env) >/dev/null 2>&1
        expect 1 "^one/apps: 3 apps differ between snapshot before of" "$muster" pm2 diff apps
        has '^  APP +ID +WHAT +before +LIVE$'
        has '^  first +0 +env +#[0-9a-f]{12} +#[0-9a-f]{12}$'
        has '^  second +1 +status +online +stopped$'
        has '^  fourth +3 +extra +- +online$'
        expect 1 "fourth" "$muster" pm2 diff apps --json
        jq -e '.services[0] | .host == "one" and .service == "apps" and .comparison.from.name == "before" and .to.name == "live"
                and .comparison.total == 3 and .comparison.apps_fallen == 1 and .failure == 0' "$work/out" >/dev/null ||
                fail "the comparison as JSON: $(cat "$work/out")"
        if grep -q hunter2 "$work/out" "$work"/*.log; then fail "a value of the environment travelled"; fi
        # The other way round, and the one that is named.
        save after
        expect 1 "between snapshot after of .* and snapshot before of" "$muster" pm2 diff apps --to before
        has '^  second +1 +status +stopped +online$'
        expect 0 "" "$muster" pm2 diff apps --from after --to live
        expect 2 "no snapshot never of PM2 home" "$muster" pm2 diff apps --from never
        expect 2 "no snapshot never of PM2 home" "$muster" pm2 diff apps --to never
}

test_dump() {
        expect 1 "PM2's dump \(there is none\)" "$muster" pm2 diff apps --from dump
        pm2 save
        expect 0 "no difference between PM2's dump of 2.* and live" "$muster" pm2 diff apps --from dump
        pm2 restart second
        expect 1 "1 app differs between live and PM2's dump of" "$muster" pm2 diff apps --from live --to dump
        has '^  second +1 +status +online +stopped$'
        echo '[{"name"' >"$home/dump.pm2"
        expect 5 "not compared: PM2's dump .* cannot be understood" "$muster" pm2 diff apps --from dump
        expect 5 "PM2's dump .* cannot be understood" "$muster" pm2 diff apps --to dump
        rm "$home/dump.pm2"
        ln -s /etc/shadow "$home/dump.pm2"
        expect 5 "not compared: PM2's dump" "$muster" pm2 diff apps --from dump
        rm "$home/dump.pm2"
}

check() {
        local status=0
        timeout 30 "$muster" check apps >"$work/out" 2>"$work/err" || status=$?
        [[ $status -le 1 && ! -s $work/err ]] || fail "check: exit $status: $(cat "$work/err")"
        cases=$((cases + 1))
}

# What would come back is not what runs: `muster check` says so, and that nothing of it blocks.
test_check() {
        pm2 stop second
        pm2 save
        check
        if grep -qE "pm2-(snapshot|dump)" "$work/out"; then fail "live is as saved, and something is found: $(cat "$work/out")"; fi
        pm2 start good.js --name fifth
        check
        has '^informs  one/apps pm2-snapshot$'
        has '1 app differs from snapshot after of 2.* UTC; first: fifth \(4\) is new now$'
        has '^informs  one/apps pm2-dump$'
        has "1 app differs from PM2's own dump of 2.* UTC: pm2 resurrect would bring back what that says; first: fifth"
        pm2 delete fifth
        pm2 stop fourth
        check
        has '^warns    one/apps pm2-snapshot$'
        has '1 app of apps ran at snapshot after .* and does not now; first: fourth \(3\): status was online, is stopped$'
        has 'muster pm2 restore apps after'
        # Of both states of a repair's caller: what is found before is found after, as long as nobody repairs it.
        "$muster" check apps --fix --json >"$work/out" 2>/dev/null || true
        jq -e '(.repairs == []) or ([.findings, .remaining] | all(any(.[]; .id == "pm2-snapshot")))' "$work/out" >/dev/null ||
                fail "the finding is lost after the repairs: $(cat "$work/out")"
        pm2 restart fourth
        echo 'nonsense' >"$home/dump.pm2"
        check
        has '^warns    one/apps pm2-dump$'
        has "could not be compared with PM2's own dump: PM2's dump .* cannot be understood"
        rm "$home/dump.pm2"
}

test_list() {
        local file
        expect 0 "SNAPSHOT" "$muster" pm2 ls apps
        has '^one +apps +after +20[0-9-]+ [0-9:]+ +4 +2 +2 +0 +[0-9.]+ kB$'
        has '^one +apps +before +20[0-9-]+ [0-9:]+ +3 +2 +1 +0 +[0-9.]+ kB$'
        [[ $(sed -n '2s/ .*//p' "$work/out") == one && $(sed -n 2p "$work/out") == *" after "* ]] || fail "the newest is not first"
        # Changed by somebody: never taken for what was.
        file=$(echo "$work"/one/pm2/*/before.json)
        sed -i 's/"stopped"/"online"/' "$file"
        expect 0 "digest differs" "$muster" pm2 ls apps
        expect 5 "not compared: .*digest differs" "$muster" pm2 diff apps --from before
        rm "$file"
        expect 0 "after" "$muster" pm2 ls apps --json
        jq -e '.services[0].snapshots | length == 1 and .[0].side.apps == 4' "$work/out" >/dev/null || fail "as JSON: $(cat "$work/out")"
}

test_away() {
        expect 5 "two/far: not compared: host two is not connected" "$muster" pm2 diff far
        expect 3 "host two is not connected" "$muster" pm2 diff --from after
        expect 3 "two/far: host two is not connected" "$muster" pm2 ls
}

test_no_daemon() {
        pm2 kill
        expect 1 "4 apps differ between snapshot after of .* and live \(no PM2 daemon runs\)" "$muster" pm2 diff apps
        has '^  second +1 +missing +stopped +-$'
}

newest() {
        "$muster" pm2 ls apps --json | jq -r '.services[0].snapshots[0].side.name'
}

audited() { # ACTION: how many times
        "$muster" audit ls --limit 1000 --json | jq "[.entries[] | select(.action == \"$1\" and .user == \"admin\")] | length"
}

# The list as PM2 has it, without what a start changes.
state() {
        pm2 jlist
        jq -c '[.[] | {name, id: .pm_id, status: .pm2_env.status}] | sort_by(.id)' "$work/pm2.out"
}

test_save() {
        expect 1 "FAILED +one/apps .*no PM2 daemon answers" "$muster" pm2 save apps
        echo 'setInterval(() => {}, 1000);' >"$work/fragile.js"
        pm2 start good.js --name first
        pm2 start good.js --name second
        pm2 start fragile.js --name fragile --max-restarts 1
        pm2 stop second
        expect 0 "^done +one/apps s20[0-9]{6}-[0-9]{6}-[0-9a-f]{4}: saved: 3 apps, 2 online, 1 stopped, 0 errored$" "$muster" pm2 save apps
        saved=$(newest)
        [[ $saved == s20* ]] || fail "the newest snapshot is $saved"
        state >"$work/saved"
        expect 5 "two/far .*not connected" "$muster" pm2 save far
        expect 3 "\"far\"" "$muster" pm2 save apps,far --json
        jq -e '[.operations[] | .report != null and .report.state == "done" and (.snapshot | startswith("s20"))] | any' "$work/out" >/dev/null ||
                fail "the ends as JSON: $(cat "$work/out")"
        "$muster" audit ls --json | jq -e --arg s "$saved" '[.entries[] | select(.action == "pm2 save" and .text == "pm2.save of one/apps, snapshot " + $s)] | length == 1' \
                >/dev/null || fail "the save is not in the audit trail"
}

test_nothing_to_restore() {
        expect 0 "no difference between snapshot $saved" "$muster" pm2 restore apps "$saved" --yes
        expect 0 "" "$muster" pm2 restore apps "$saved" --yes --json
        jq -e '.before.comparison.total == 0 and .result == null and .remaining == null' "$work/out" >/dev/null ||
                fail "the restore as JSON: $(cat "$work/out")"
        expect 2 "no snapshot never" "$muster" pm2 restore apps never --yes
        expect 5 "host two is not connected" "$muster" pm2 restore far --yes
        [[ $(audited "pm2 restore") -eq 0 ]] || fail "something was restored"
}

on_terminal() { # PATTERN ANSWER COMMAND
        local terminal
        rm -f "$work/asked"
        start "$work/terminal.out" env TERM=xterm script -qfec "$3; echo exit \$?" "$work/asked" <&8
        terminal=${started[-1]}
        if until_true 20 grep -q "$1" "$work/asked"; then echo "$2" >&8; else fail "no '$1': $(cat "$work/asked")"; fi
        until_true 90 grep -q "^exit [0-9]" "$work/asked" || fail "it does not end: $(tail -c 300 "$work/asked")"
        wait "$terminal" || true
}

# Asked, refused, done; what a newer snapshot says is not what was asked for.
test_restore() {
        mkfifo "$work/keys"
        exec 8<>"$work/keys"
        pm2 delete first
        pm2 start good.js --name later
        expect 0 "saved: 3 apps" "$muster" pm2 save apps
        on_terminal "Type yes" no "$muster pm2 restore apps $saved"
        grep -q "1 app that the snapshot does not know will be deleted" "$work/asked" || fail "it is not said what is deleted"
        grep -q "^exit 1" "$work/asked" || fail "'no' does not exit with 1"
        [[ $(audited "pm2 restore") -eq 0 ]] || fail "'no' restored"
        on_terminal "Type yes" yes "$muster pm2 restore apps $saved"
        grep -q "^exit 0" "$work/asked" || fail "'yes' does not restore: $(tail -c 800 "$work/asked")"
        grep -q "one/apps: settling: " "$work/asked" || fail "no progress is shown: $(cat "$work/asked")"
        grep -q "no difference.* between snapshot $saved of .* and live: 3 apps, 2 online, 1 stopped" "$work/asked" || fail "what remains is not shown"
        state | cmp -s - "$work/saved" || fail "live is $(state)"
        [[ $(audited "pm2 restore") -eq 1 ]] || fail "the restore is not in the audit trail once"
}

# From no daemon at all, with one app that does not come back.
test_restore_in_part() {
        pm2 kill
        # PM2 drops what a process says in its last moment.
        echo 'console.error("no Redis at 6379"); setTimeout(() => process.exit(1), 500);' >"$work/fragile.js"
        EXPECT_SECONDS=90 expect 3 "^FAILED +one/apps $saved: 2 of 3 apps as saved, 1 of 2 online" "$muster" pm2 restore apps "$saved" --yes
        has '^  failed  fragile \(2\): errored'
        has '^  log  fragile \(2\): no Redis at 6379$'
        has '^one/apps: 1 app differs between snapshot'
        has '^  fragile +2 +status +online +errored$'
}

# A restart would not find what it is to bring back: an app that PM2 has given up, one that it starts again and again,
# a daemon that does not answer, and none.
test_check_apps() {
        restarts() {
                pm2 jlist && jq -e '.[] | select(.name == "looping") | .pm2_env | .restart_time > 1 and .status == "online"' "$work/pm2.out"
        }
        check
        has '^warns    one/apps pm2-errored$'
        has '^ +1 app of apps is errored: fragile$'
        has "PM2_HOME=$home pm2 logs 2; mend it, or stop it"
        if grep -q 'pm2-reachable' "$work/out"; then fail "it answers: $(cat "$work/out")"; fi
        echo 'setTimeout(() => process.exit(1), 1500);' >"$work/looping.js"
        pm2 start looping.js --name looping --max-restarts 100000
        until_true 60 restarts || fail "PM2 does not start it again"
        check
        grep -A 1 '^warns    one/apps pm2-restarting$' "$work/out" | grep -qE 'within the last minute: .*looping \((waiting restart, )?[0-9]+ restarts' ||
                fail "an app that ends again and again is not found: $(cat "$work/out")"
        pm2 delete looping
}

# What was errored when it was saved is started only if that is asked for. How long an app has to run is the file's.
test_start_errored() {
        expect 0 "saved: 3 apps, 1 online, 1 stopped, 1 errored" "$muster" pm2 save apps
        expect 0 "no difference" "$muster" pm2 restore apps --yes
        echo 'setTimeout(() => process.exit(1), 2000);' >"$work/fragile.js"
        EXPECT_SECONDS=120 expect 3 "^FAILED +one/apps " "$muster" pm2 restore apps --start-errored --yes
        has '^  failed  fragile \(2\): restarts: [0-9]+ so far, never up for 4.0 s'
        echo 'setInterval(() => {}, 1000);' >"$work/fragile.js"
        EXPECT_SECONDS=90 expect 0 "^done +one/apps s20.*: 3 of 3 apps as saved, 2 online, 1 stopped" \
                "$muster" pm2 restore apps --start-errored --yes
        has '^apps that were errored are started$'
        has '^  fragile +2 +status +errored +online$'
        "$muster" audit ls --json | jq -e '[.entries[] | select(.action == "pm2 restore" and (.text | endswith(", errored apps started")))] | length == 2' \
                >/dev/null || fail "what was asked for is not in the audit trail"
}

test_check_silent() {
        kill -STOP "$(cat "$home/pm2.pid")"
        apps_silent() { "$muster" status apps --json | jq -e '.hosts[0].services[] | select(.name == "apps") | .pm2.reachable | not'; }
        until_true 40 apps_silent || fail "the agent does not see that the daemon does not answer"
        check
        kill -CONT "$(cat "$home/pm2.pid")"
        has '^blocks   one/apps pm2-reachable$'
        pm2 kill
        check
        has '^blocks   one/apps pm2-reachable$'
        has "PM2 in $home does not answer \(.*\): its apps could not be saved"
        if grep -qE 'pm2-(errored|restarting)' "$work/out"; then fail "what does not answer is not known: $(cat "$work/out")"; fi
}

run_is() { # STATE
        [[ $("$muster" run ls --limit 1 --json | jq -r '.runs[0].state') == "$1" ]]
}

apps_ready() {
        "$muster" status apps --json | jq -e '.hosts[0].services[] | select(.name == "apps") | .phase == "ready"'
}

redis() {
        redis-cli -s "$work/redis/socket" "$@"
}

cache_has_grown() {
        "$muster" status cache --json |
                jq -e '.hosts[0].services[] | select(.name == "cache") | .redis.incremental_bytes > 40000000'
}

# While a run has the host, nobody else does anything to it: not even when it is paused.
test_held() {
        local run
        until_true 30 apps_ready || fail "the apps do not become ready again"
        expect 0 "started" "$muster" restart apps --yes --force --detach
        run=$("$muster" run ls --limit 1 --json | jq -r '.runs[0].run')
        expect 0 "is paused|is running" "$muster" run pause "$run"
        expect 1 "FAILED +one/apps s20.*: left alone: run $run holds one \(a restart, started by admin\)" "$muster" pm2 save apps
        expect 1 "run $run holds one: nothing is restored by hand meanwhile" "$muster" pm2 restore apps "$saved" --yes
        [[ $(audited "pm2 restore") -eq 1 ]] || fail "a restore was begun"
        # What the run does not touch is left alone as well: the host is its own.
        redis eval 'local value = string.rep("x", 1000)
                for round = 1, 50 do for key = 1, 1000 do redis.call("SET", "key:" .. key, value) end end' 0 >/dev/null
        until_true 20 cache_has_grown || fail "the agent does not see that the file has grown"
        expect 1 "left alone: run $run holds one \(a restart, started by admin\); muster run watch $run" "$muster" redis rewrite cache
        timeout 60 "$muster" check cache --fix >"$work/out" 2>&1 || true
        has "left alone: run $run holds one"
        [[ $(redis info persistence | tr -d '\r' | sed -n 's/^aof_rewrites://p') -eq 0 ]] || fail "a rewrite was done beside the run"
        until_true 60 run_is paused || fail "the run does not pause"
        expect 0 "is running" "$muster" run resume "$run"
        EXPECT_SECONDS=90 expect 0 "done" "$muster" run watch "$run"
        state | cmp -s - "$work/saved" || fail "live is $(state)"
        expect 0 "^done +one/apps" "$muster" pm2 save apps
        expect 0 "^done +one/cache" "$muster" redis rewrite cache
}

main() {
        set_up
        test_nothing_there
        test_usage
        test_compared
        test_dump
        test_check
        test_list
        test_away
        test_no_daemon
        test_save
        test_nothing_to_restore
        test_restore
        test_held
        test_restore_in_part
        test_check_apps
        test_start_errored
        test_check_silent
        ends_well muster-agent "$agent_pid" "$work/one.log"
        ends_well muster-controller "$controller_pid" "$work/controller.log"
        conclude
}

main
