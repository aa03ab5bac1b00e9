#!/bin/bash
# PM2 saved, stopped, restored and compared by agent/pm2, against a real daemon in a home of its own: from no
# daemon, from an empty one, from half a list, with extra apps and wrong states, as root and as another user.
# timeout: 420
# MUSTER_BUILD is where pm2_driver was built; PM2 the pm2 program (default: the one on PATH).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
driver=$(realpath "${MUSTER_BUILD:-build/asan}")/tests/integration/pm2_driver
pm2=${PM2:-$(command -v pm2 || true)}
[[ -x $driver ]] || { echo "test_pm2: no $driver: build pm2_driver first" >&2; exit 1; }
[[ -n $pm2 ]] || { echo "test_pm2: no pm2 on PATH: npm install -g pm2" >&2; exit 1; }

work=$(mktemp -d /tmp/muster-pm2.XXXXXX)
chmod 755 "$work"

# The processes that have a PM2 home below FOLDER in their environment: daemons, apps, whatever they started.
processes_of() { # FOLDER
        local environ pid
        for environ in /proc/[0-9]*/environ; do
                pid=${environ#/proc/}
                pid=${pid%/environ}
                if tr '\0' '\n' 2>/dev/null <"$environ" | grep -q "^PM2_HOME=$1/"; then echo "$pid"; fi
        done
}
kill_all() { # FOLDER
        local pid
        for pid in $(processes_of "$1"); do kill -9 "$pid" 2>/dev/null || true; done
}
cleanup() {
        kill_all "$work"
        rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
# Also when this script is killed outright.
(
        trap '' INT TERM
        tail --pid=$$ -f /dev/null
        [[ ! -d $work ]] || cleanup
) </dev/null >/dev/null 2>&1 &

fail() {
        echo "test_pm2: FAILED in $case_name: $*" >&2
        [[ ! -f $work/out ]] || sed 's/^/  out: /' "$work/out" >&2
        [[ ! -f $work/err ]] || tail -n 5 "$work/err" | sed 's/^/  err: /' >&2
        exit 1
}

case_name=setup
apps=$work/apps
mkdir -p "$apps/watched"
echo 'setInterval(() => {}, 1000);' >"$apps/good.js"
echo 'console.error("cannot start: no Redis at 6379"); process.exit(1);' >"$apps/bad.js"
echo 'process.on("SIGINT", () => {}); setInterval(() => {}, 1000); require("fs").writeFileSync("stubborn.up", "");' >"$apps/stubborn.js"
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
        {...common, name: 'module', pmx_module: true},
        {name: 'bad', script: './bad.js', max_restarts: 2, min_uptime: 3000},
        {name: 'slow', script: './slow.js', wait_ready: true, listen_timeout: 4000},
        {name: 'shell', script: '/bin/sleep', args: '100000', interpreter: 'none'},
        {...common, name: 'last', kill_timeout: 500, env: {EMPTY: '', UNICODE: 'żółw'}},
]};
EOF

# user NAME: the rest of the case runs as NAME, in a home of its own. An empty environment but for what is named.
user() {
        who=$1
        home=$work/$1/.pm2
        snapshots=$work/$1-snapshots
        target=$1:$home
        as=()
        if [[ $1 != $(id -un) ]]; then
                as=(setpriv "--reuid=$1" "--regid=$(id -g "$1")" --init-groups --inh-caps=-all)
        fi
        install -d -o "$1" "$work/$1"
}
pm2() {
        (cd "$apps" && "${as[@]}" env -i "PATH=$(dirname "$pm2"):$PATH" "HOME=$(dirname "$home")" "PM2_HOME=$home" \
                "DAEMON_SECRET=a 'b' \"c\"" PM2_DISABLE_VERSION_CHECK=1 "$pm2" "$@") >"$work/pm2.out" 2>&1 </dev/null ||
                { cat "$work/pm2.out" >&2; fail "pm2 $*"; }
}
# drive EXIT VERB...: runs the driver, which has to end with EXIT.
drive() {
        local expected=$1 got=0
        shift
        # An environment of its own: nothing of it may reach PM2.
        (cd / && env -i PATH=/usr/bin:/bin CALLER=driver timeout 120 "$driver" "$target" "$snapshots" "$@") \
                >"$work/out" 2>"$work/err" || got=$?
        [[ $got == "$expected" ]] || fail "pm2_driver $* ended with $got, not $expected"
}
has() {
        grep -qE -- "$1" "$work/out" || fail "no line like: $1"
}
has_not() {
        ! grep -qE -- "$1" "$work/out" || fail "a line like: $1"
}
# What must be the same after as before. Processes, times and PM2's own counters are not.
state() {
        drive 0 state
        sed -E 's/ (restarts|pid)=[0-9]+//g' "$work/out"
}
# The environments of all running processes, as the kernel has them, without what PM2 sets anew at each start. A
# cluster's worker has the daemon's and one variable with all of the app's.
environments() {
        local id pid
        drive 0 state
        while read -r id pid; do
                echo "== $id"
                tr '\0' '\n' <"/proc/$pid/environ" | grep -vE '^(pm_uptime|created_at|prev_restart_delay|node_version|version|versioning|pm2_env)=' | sort
        done < <(sed -nE 's/^([0-9]+) .* pid=([1-9][0-9]*) .*/\1 \2/p' "$work/out")
}
daemon_pid() {
        cat "$home/pm2.pid"
}
# But for the channel to the pm2 command that started it.
daemon_environment() {
        tr '\0' '\n' <"/proc/$(daemon_pid)/environ" | grep -vE '^(NODE_CHANNEL_[A-Z_]*|SILENT)=' | sort
}
gone() { # PID: waits for its end, bounded
        for _ in $(seq 200); do
                kill -0 "$1" 2>/dev/null || return 0
                sleep 0.05
        done
        fail "process $1 is still there"
}
appears() { # FILE: waits for it, bounded
        for _ in $(seq 200); do
                [[ ! -e $1 ]] || return 0
                sleep 0.05
        done
        fail "$1 does not appear"
}
# No process of the home but those in PM2's list and its daemon.
alone() {
        drive 0 state
        { sed -nE 's/.* pid=([1-9][0-9]*) .*/\1/p' "$work/out"; daemon_pid; echo; } | grep . | sort >"$work/known"
        processes_of "$(dirname "$home")" | sort >"$work/there"
        diff -u "$work/known" "$work/there" >&2 || fail "processes that PM2 does not know"
}
settle=settle=1200

# Apps of all kinds, ids with gaps, one stopped by hand, one errored; saved as "before".
populate() {
        pm2 start ecosystem.config.js
        pm2 delete gap
        pm2 stop forked
        pm2 start forked
        drive 0 state
        local second
        second=$(awk '$2 == "forked" { id = $1 } END { print id }' "$work/out")
        pm2 stop "$second"
        for _ in $(seq 100); do
                drive 0 state
                ! grep -qE ' bad errored ' "$work/out" || break
                sleep 0.1
        done
        has ' bad errored '
        has ' manual stopped '
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
        has 'daemon=1 rebuilt=0'
        has '^held bad \([0-9]+\): was errored.*log: .*no Redis at 6379'
        is_as_before
        environments >"$work/environments.after"
        diff -u "$work/environments.$who" "$work/environments.after" >&2 || fail "a process has another environment"
        [[ $(stat -c %u "/proc/$(daemon_pid)") == $(id -u "$1") ]] || fail "the daemon is not $1's"
        daemon_environment >"$work/daemon.after"
        diff -u "$work/daemon.before" "$work/daemon.after" >&2 || fail "the daemon has another environment"
        [[ $(readlink "/proc/$(daemon_pid)/cwd") == "$apps" ]] || fail "the daemon stands elsewhere"
        [[ $(ps -o ppid= -p "$(daemon_pid)" | tr -d ' ') != "$$" ]] || fail "the daemon is a child of the test"

        case_name="nothing to do ($1)"
        local first
        first=$(awk '$2 == "first"' "$work/state.after")
        drive 0 restore before "$settle"
        has 'kept=13 added=0 removed=0 daemon=0 rebuilt=0'
        drive 0 verify before "$settle"
        has 'expected=13 as-saved=13 wanted=10 online=10 stopped=3'
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
has 'daemon=1 rebuilt=0 leftovers=[1-9]'
is_as_before
alone

case_name="a daemon without its socket"
old=$(daemon_pid)
rm "$home/rpc.sock" "$home/pub.sock"
drive 0 restore before "$settle"
has 'daemon=1 rebuilt=0 leftovers=[1-9]'
gone "$old"
is_as_before
alone

case_name="one value of an environment"
(cd "$apps" && env -i "PATH=$PATH" "PM2_HOME=$home" HOME="$work/root" SECRET=other "$pm2" restart first --update-env) >/dev/null
drive 4 diff before
has '^first \([0-9]+\): env was #[0-9a-f]{12}, is #[0-9a-f]{12}$'
has_not 'other'
drive 4 verify before "$settle"
has 'as-saved=12'
drive 0 restore before "$settle"
has 'kept=12 added=1 removed=1'
is_as_before

case_name="extra app"
pm2 start good.js --name extra
drive 4 diff before
has '^extra \([0-9]+\): extra$'
drive 0 restore before "$settle" keep-extra
has 'kept=13 added=0 removed=0'
drive 0 restore before "$settle"
has 'removed=1'
is_as_before

case_name="wrong states"
pm2 stop first cluster
pm2 start forked
drive 4 diff before
has '^first \([0-9]+\): status was online, is stopped$'
drive 0 restore before "$settle"
has 'kept=9 added=0 removed=0'
is_as_before

case_name="half a cluster"
second=$(awk '$2 == "cluster" { id = $1 } END { print id }' "$work/state.$who")
pm2 delete "$second"
drive 4 diff before
has '^cluster \([0-9]+\): missing$'
has '^cluster \([0-9]+\): instances was 2, is 1$'
drive 0 restore before "$settle"
has 'added=1 removed=0 daemon=0 rebuilt=0'
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
has 'kept=10 added=3 removed=0 daemon=0 rebuilt=0'
is_as_before
running | diff -u "$work/running" - >&2 || fail "an app that ran was disturbed"
alone
[[ $(stat -c %Y "$home/logs/manual-out.log" 2>/dev/null || echo 0) == 0 ]] || fail "a stopped app was run"

case_name="an app that PM2 watches is missing"
pm2 delete watcher
drive 0 restore before "$settle"
has 'rebuilt=1'
is_as_before

case_name="empty daemon"
pm2 delete all
drive 0 restore before "$settle"
has 'added=13 removed=0 daemon=0 rebuilt=0'
is_as_before

case_name="other ids, as resurrect gives them"
pm2 save --force
drive 0 stop end
pm2 resurrect
drive 4 diff before
drive 0 restore before "$settle"
has 'rebuilt=1'
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
has 'daemon=1 .* leftovers=[1-9]'
is_as_before
alone

case_name="errored apps started when asked"
drive 3 restore before "$settle" start-errored
has '^failed bad \([0-9]+\): errored: PM2 gave up after .*log: .*no Redis at 6379'
has 'expected=13 as-saved=13 wanted=11 online=10|expected=13 as-saved=12 wanted=11 online=10'

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

case_name="watching after a restore"
touch "$apps/watched/changed"
for _ in $(seq 100); do
        drive 0 state
        ! grep -qE ' watcher online .*restarts=[1-9]' "$work/out" || break
        sleep 0.1
done
has ' watcher online .*restarts=[1-9]'

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
