# shellcheck shell=bash disable=SC2034,SC2154
# For tests of agent/pm2 against a real PM2 in homes of their own. Sourced, with the root of the tree as the present
# folder; it sets $work, where all homes are, and $apps, where pm2 is run. No process of these homes outlives the test.
# MUSTER_BUILD is where pm2_driver was built; PM2 the pm2 program (default: the one on PATH).
test_name=$(basename "$0" .sh)
driver=$(realpath "${MUSTER_BUILD:-build/asan}")/tests/integration/pm2_driver
pm2=${PM2:-$(command -v pm2 || true)}
[[ -x $driver ]] || { echo "$test_name: no $driver: build pm2_driver first" >&2; exit 1; }
[[ -n $pm2 ]] || { echo "$test_name: no pm2 on PATH: npm install -g pm2" >&2; exit 1; }

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
        umount -l "$work/silent" 2>/dev/null || true
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
        echo "$test_name: FAILED in $case_name: $*" >&2
        [[ ! -f $work/out ]] || sed 's/^/  out: /' "$work/out" >&2
        [[ ! -f $work/err ]] || tail -n 5 "$work/err" | sed 's/^/  err: /' >&2
        exit 1
}

case_name=setup
apps=$work/apps
mkdir "$apps"
echo 'setInterval(() => {}, 1000);' >"$apps/good.js"

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
also=() # more for its environment
pm2() {
        (cd "$apps" && "${as[@]}" env -i "PATH=$(dirname "$pm2"):$PATH" "HOME=$(dirname "$home")" "PM2_HOME=$home" \
                "DAEMON_SECRET=a 'b' \"c\"" PM2_DISABLE_VERSION_CHECK=1 "${also[@]}" "$pm2" "$@") >"$work/pm2.out" 2>&1 </dev/null ||
                { cat "$work/pm2.out" >&2; fail "pm2 $*"; }
}
# drive EXIT VERB...: runs the driver, which has to end with EXIT; or, where that is "any", with anything.
drive() {
        local expected=$1 got=0
        shift
        # An environment of its own: nothing of it may reach PM2.
        (cd / && env -i PATH=/usr/bin:/bin CALLER=driver timeout 120 "$driver" "$target" "$snapshots" "$@") \
                >"$work/out" 2>"$work/err" || got=$?
        [[ $expected == any || $got == "$expected" ]] || fail "pm2_driver $* ended with $got, not $expected"
}
# begin VERB...: the same beside what follows; $begun is its process, "$work/began" what it tells.
begin() {
        : >"$work/began"
        (cd / && exec env -i PATH=/usr/bin:/bin CALLER=driver "$driver" "$target" "$snapshots" "$@") >/dev/null 2>"$work/began" &
        begun=$!
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
        local pid
        for _ in $(seq 50); do
                drive 0 state
                { sed -nE 's/.* pid=([1-9][0-9]*) .*/\1/p' "$work/out"; daemon_pid; echo; } | grep . | sort >"$work/known"
                processes_of "$(dirname "$home")" | sort >"$work/there"
                ! cmp -s "$work/known" "$work/there" || return 0
                sleep 0.1 # PM2 itself starts git for an app that is new
        done
        for pid in $(comm -13 "$work/known" "$work/there"); do
                echo "$pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")" >&2
        done
        diff -u "$work/known" "$work/there" >&2
        fail "processes that PM2 does not know"
}
