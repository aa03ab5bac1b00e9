#!/bin/bash
# PM2 saved, stopped, restored and compared by agent/pm2, against a real daemon in a home of its own: from no
# daemon, from an empty one, from half a list, with extra apps and wrong states, as root and as another user.
# timeout: 420
# MUSTER_BUILD, PM2: see pm2_home.sh.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/integration/pm2_home.sh

mkdir -p "$apps/watched" "$apps/watched-too" "$apps/module"
echo '{"name": "a-module", "version": "1.0.0", "apps": [{"script": "../good.js"}]}' >"$apps/module/package.json"
echo 'console.error("cannot start: no Redis at 6379"); process.exit(1);' >"$apps/bad.js"
echo 'process.on("SIGINT", () => {}); setInterval(() => {}, 1000); require("fs").writeFileSync("stubborn.up", "");' >"$apps/stubborn.js"
echo 'require("fs").appendFileSync(require("path").dirname(process.env.PM2_HOME) + "/once.ran", "x"); process.exit(0);' >"$apps/once.js"
echo 'setTimeout(() => process.send("ready"), 300); setInterval(() => {}, 1000);' >"$apps/slow.js"
cat >"$apps/ecosystem.config.js" <<'EOF'
const common = {script: './good.js'};
module.exports = {apps: [
        {...common, name: 'first', env: {SECRET: 'it\'s "quoted" $HOME `x`\nand has two lines', NUMBER: 12345678901234567890}},
        {...common, name: 'cluster', instances: 2, exec_mode: 'cluster', env: {CLUSTERED: '1'}},
        {...common, name: 'gap'},
        {...common, name: 'forked', instances: 2, exec_mode: 'fork', namespace: 'space', increment_var: 'PORT', env: {PORT: 3000}},
        {...common, name: 'args', args: ['--password', 'two words'], node_args: '--max-old-space-size=64', cron_restart: '0 3 * * *'},
        {...common, name: 'manual', autostart: false},
        {...common, name: 'watcher', watch: ['./watched']},
        {...common, name: 'once', script: './once.js', autorestart: false, watch: ['./watched-too'], watch_delay: 10},
        {name: 'bad', script: './bad.js', max_restarts: 2, min_uptime: 3000},
        {name: 'slow', script: './slow.js', wait_ready: true, listen_timeout: 4000},
        {name: 'shell', script: '/bin/sleep', args: '100000', interpreter: 'none'},
        {...common, name: 'last', kill_timeout: 500, env: {EMPTY: '', UNICODE: 'żółw'}},
]};
EOF

# A change restarts what runs, and starts what is stopped and watched; a change elsewhere does nothing.
is_watched() {
        local restarts runs
        drive 0 state
        restarts=$(watcher_restarts)
        runs=$(once_runs)
        touch "$apps/watched/changed" "$apps/watched-too/changed"
        watches_have_seen $((restarts + 1)) $((runs + 1))
        restarts=$(watcher_restarts)
        runs=$(once_runs)
        touch "$apps/elsewhere"
        touch "$apps/watched-too/changed"
        watches_have_seen "$restarts" $((runs + 1))
        [[ $(watcher_restarts) == "$restarts" ]] || fail "more is watched than was"
}
watcher_restarts() {
        sed -nE 's/.* watcher online .*restarts=([0-9]+) .*/\1/p' "$work/out"
}
once_runs() {
        stat -c %s "$(dirname "$home")/once.ran"
}
watches_have_seen() { # RESTARTS RUNS: waits for at least so many, and that nothing runs that is to be stopped
        for _ in $(seq 100); do
                drive 0 state
                if [[ $(watcher_restarts) -ge $1 && $(once_runs) -ge $2 ]] && grep -qE ' once stopped ' "$work/out"; then return; fi
                sleep 0.1
        done
        fail "files are not watched"
}
settle=settle=1200

# Apps of all kinds, ids with gaps, one stopped by hand, one errored; saved as "before".
populate() {
        pm2 start ecosystem.config.js
        (apps=$apps/module && pm2 install .) # PM2's own word for a module: it watches its folder
        pm2 delete gap
        pm2 stop forked
        pm2 start forked
        drive 0 state
        local second
        second=$(awk '$2 == "forked" { id = $1 } END { print id }' "$work/out")
        pm2 stop "$second"
        for _ in $(seq 100); do
                drive 0 state
                ! grep -qE ' bad errored ' "$work/out" || ! grep -qE ' once stopped ' "$work/out" || break
                sleep 0.1
        done
        has ' bad errored '
        has ' manual stopped '
        has ' once stopped '
        has ' a-module online .* module=1 '
        state >"$work/state.$who"
        environments >"$work/environments.$who"
        drive 0 save before
        drive 0 diff before
}
# The state is as before, but that what was errored is stopped.
is_as_before() {
        sed -E 's/^([0-9]+ bad) errored /\1 stopped /' "$work/state.$who" >"$work/expected"
        state >"$work/state.after"
        diff -u "$work/expected" "$work/state.after" >&2 || fail "the state differs"
}

whole_story() {
        case_name="no daemon ($1)"
        user "$1"
        populate
        if [[ $1 != root ]]; then
                [[ $(stat -c %u "/proc/$(daemon_pid)") == $(id -u "$1") ]] || fail "the daemon is not $1's"
        fi
        pm2 save --force
        sha256sum <"$home/dump.pm2" >"$work/dump.before"
        daemon_environment >"$work/daemon.before"
        local old
        old=$(daemon_pid)
        drive 0 stop end
        gone "$old"
        has 'killed=0 no-daemon=0'
        [[ -z $(processes_of "$work/$1") ]] || fail "an app has outlived the stop"
        sha256sum <"$home/dump.pm2" | cmp -s - "$work/dump.before" || fail "PM2's dump was changed by the stop"
        drive 0 stop end
        has 'no-daemon=1'

        drive 0 restore before "$settle"
        has 'daemon=1'
        has '^held bad \([0-9]+\): was errored.*log: .*no Redis at 6379'
        is_as_before
        environments >"$work/environments.after"
        diff -u "$work/environments.$who" "$work/environments.after" >&2 || fail "a process has another environment"
        [[ $(stat -c %u "/proc/$(daemon_pid)") == $(id -u "$1") ]] || fail "the daemon is not $1's"
        daemon_environment >"$work/daemon.after"
        diff -u "$work/daemon.before" "$work/daemon.after" >&2 || fail "the daemon has another environment"
        [[ $(readlink "/proc/$(daemon_pid)/cwd") == "$apps" ]] || fail "the daemon stands elsewhere"
        [[ $(ps -o ppid= -p "$(daemon_pid)" | tr -d ' ') != "$$" ]] || fail "the daemon is a child of the test"

        is_watched

        case_name="nothing to do ($1)"
        local first
        first=$(awk '$2 == "first"' "$work/state.after")
        drive 0 restore before "$settle"
        has 'kept=14 added=0 removed=0 daemon=0'
        drive 0 verify before "$settle"
        has 'expected=14 as-saved=14 wanted=10 online=10 stopped=4'
        [[ -n $first ]] || fail "no app named first"
}

whole_story root
whole_story nobody
user root

case_name="the daemon is killed outright"
old=$(daemon_pid)
kill -9 "$old"
gone "$old"
[[ -n $(processes_of "$work/root") ]] || fail "no app has outlived its daemon: nothing is tested here"
drive 0 restore before "$settle"
has 'daemon=1 leftovers=[1-9]'
is_as_before
alone

case_name="a daemon without its socket"
old=$(daemon_pid)
rm "$home/rpc.sock" "$home/pub.sock"
drive 0 restore before "$settle"
has 'daemon=1 leftovers=[1-9]'
gone "$old"
is_as_before
alone

case_name="one value of an environment"
(cd "$apps" && env -i "PATH=$PATH" "PM2_HOME=$home" HOME="$work/root" SECRET=other "$pm2" restart first --update-env) >/dev/null
drive 4 diff before
has '^first \([0-9]+\): env was #[0-9a-f]{12}, is #[0-9a-f]{12}$'
has_not 'other'
drive 4 verify before "$settle"
has 'as-saved=13'
drive 0 restore before "$settle"
has 'kept=13 added=1 removed=1'
is_as_before

case_name="extra app"
pm2 start good.js --name extra
drive 4 diff before
has '^extra \([0-9]+\): extra$'
drive 0 restore before "$settle" keep-extra
has 'kept=14 added=0 removed=0'
drive 0 restore before "$settle"
has 'removed=1'
is_as_before

case_name="wrong states"
pm2 stop first cluster
pm2 start forked
drive 4 diff before
has '^first \([0-9]+\): status was online, is stopped$'
drive 0 restore before "$settle"
has 'kept=10 added=0 removed=0'
is_as_before

case_name="half a cluster"
second=$(awk '$2 == "cluster" { id = $1 } END { print id }' "$work/state.$who")
pm2 delete "$second"
drive 4 diff before
has '^cluster \([0-9]+\): missing$'
has '^cluster \([0-9]+\): instances was 2, is 1$'
drive 0 restore before "$settle"
has 'added=1 removed=0 daemon=0'
is_as_before

case_name="stopped apps are missing"
second=$(awk '$2 == "forked" { id = $1 } END { print id }' "$work/state.$who")
pm2 delete manual "$second" bad
running() { # ids, names and processes of what runs
        drive 0 state
        sed -nE 's/^([0-9]+ [^ ]+ online) .*( pid=[0-9]+) .*/\1\2/p' "$work/out"
}
running >"$work/running"
drive 0 restore before "$settle"
has 'kept=11 added=3 removed=0 daemon=0'
is_as_before
running | diff -u "$work/running" - >&2 || fail "an app that ran was disturbed"
alone
[[ $(stat -c %Y "$home/logs/manual-out.log" 2>/dev/null || echo 0) == 0 ]] || fail "a stopped app was run"

case_name="an app that PM2 watches is missing"
pm2 delete watcher once
running >"$work/running"
drive 0 restore before "$settle"
has 'kept=12 added=2 removed=0 daemon=0'
is_as_before
running | grep -v ' watcher ' | diff -u "$work/running" - >&2 || fail "an app that ran was disturbed"
is_watched

case_name="all but the module are missing"
pm2 delete all
drive 0 restore before "$settle"
has 'kept=1 added=13 removed=0'
is_as_before

case_name="empty daemon"
drive 0 stop end
pm2 ping
drive 0 restore before "$settle"
has 'kept=0 added=14 removed=0 daemon=0'
is_as_before

case_name="other ids, as resurrect gives them"
pm2 save --force
drive 0 stop end
pm2 resurrect
drive 4 diff before
drive 0 restore before "$settle"
is_as_before

case_name="the daemon is killed in the middle of a restore"
drive 0 stop end
drive 0 restore before settle=4000 &
waiting=$!
for _ in $(seq 200); do
        ! grep -q 'settling' "$work/err" || break
        sleep 0.05
done
old=$(daemon_pid)
kill -9 "$old"
wait "$waiting" || fail "the restore did not begin again"
[[ $(daemon_pid) != "$old" ]] || fail "the daemon was not killed: nothing is tested here"
has 'daemon=1 leftovers=[1-9]'
is_as_before
alone

case_name="errored apps started when asked"
drive 3 restore before "$settle" start-errored
has '^failed bad \([0-9]+\): errored: PM2 gave up after .*log: .*no Redis at 6379'
has 'expected=14 as-saved=14 wanted=11 online=10|expected=14 as-saved=13 wanted=11 online=10'

case_name="PM2's own dump"
drive 0 restore before "$settle"
pm2 save --force
drive 0 diff-dump
pm2 stop last
drive 4 diff-dump
has '^last \([0-9]+\): status was online, is stopped$'

case_name="stop with the daemon kept, and a stubborn app"
pm2 start stubborn.js --name stubborn --kill-timeout 400
appears "$apps/stubborn.up"
drive 0 stop
drive 0 state
has_not ' online '
has ' stubborn stopped '
rm "$apps/stubborn.up"
pm2 restart stubborn
appears "$apps/stubborn.up"
drive 0 stop end
has 'running=1 killed=1'
drive 0 restore before "$settle"
is_as_before

case_name="snapshots"
drive 1 save before
grep -q 'there is a snapshot before already' "$work/err" || fail "a snapshot was written over"
file=$(echo "$snapshots"/*/before.json)
[[ $(stat -c %a "$file") == 600 ]] || fail "the snapshot is not private"
sed -i 's/"name":"first"/"name":"First"/' "$file"
drive 1 diff before
grep -q 'its digest differs' "$work/err" || fail "a changed snapshot was taken"
drive 1 diff absent
for name in a b c d e f g; do drive 0 save "$name"; done
[[ $(find "$snapshots" -name '*.json' | wc -l) == 5 ]] || fail "not five snapshots are kept"
[[ -f $(dirname "$file")/g.json ]] || fail "the newest was deleted"

version=$(sed -E 's/.*"version":"([^"]*)".*/\1/' "$(dirname "$file")/g.json")
case_name="a socket of somebody else"
user nobody
nobody_target=$target
user root
target=root:${nobody_target#nobody:}
drive 1 state
grep -q 'not talking to it' "$work/err" || fail "somebody else's daemon was talked to"
target=$nobody_target
drive 0 stop end
target=root:$home
drive 0 stop end

echo "test_pm2: all passed with PM2 $version"
