#!/bin/bash
# The agent's operations on PM2 and its reader of homes, against a real PM2: what they answer and when they refuse.
# timeout: 300
# MUSTER_BUILD is where pm2_agent was built; PM2 the pm2 program (default: the one on PATH).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
agent=$(realpath "${MUSTER_BUILD:-build/asan}")/tests/integration/pm2_agent
[[ -x $agent ]] || { echo "test_pm2_agent: no $agent: build pm2_agent first" >&2; exit 1; }
pm2=${PM2:-$(command -v pm2 || true)}
[[ -n $pm2 ]] || { echo "test_pm2_agent: no pm2 on PATH: npm install -g pm2" >&2; exit 1; }

work=$(mktemp -d /tmp/muster-pm2-agent.XXXXXX)
home=$work/.pm2
cleanup() {
        local environ pid
        for environ in /proc/[0-9]*/environ; do
                pid=${environ#/proc/}
                pid=${pid%/environ}
                if tr '\0' '\n' 2>/dev/null <"$environ" | grep -qx "PM2_HOME=$home"; then kill -9 "$pid" 2>/dev/null || true; fi
        done
        rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
(
        trap '' INT TERM
        tail --pid=$$ -f /dev/null
        [[ ! -d $work ]] || cleanup
) </dev/null >/dev/null 2>&1 &

fail() {
        echo "test_pm2_agent: FAILED in $case_name: $*" >&2
        sed 's/^/  out: /' "$work/out" >&2 || true
        exit 1
}
pm2() {
        (cd "$work" && env -i "PATH=$PATH" "HOME=$work" "PM2_HOME=$home" PM2_DISABLE_VERSION_CHECK=1 "$pm2" "$@") >"$work/pm2.out" 2>&1 \
                </dev/null || fail "pm2 $*: $(cat "$work/pm2.out")"
}
drive() { # EXIT ARGUMENT...
        local expected=$1 got=0
        shift
        (cd / && env -i PATH=/usr/bin:/bin timeout 120 "$agent" "$(id -un)" "$home" "$work/agent" "$@") >"$work/out" 2>"$work/err" || got=$?
        [[ $got == "$expected" ]] || fail "pm2_agent $* ended with $got, not $expected"
}
has() {
        grep -qE -- "$1" "$work/out" || fail "no line like: $1"
}

case_name=setup
echo 'setInterval(() => {}, 1000);' >"$work/good.js"
echo 'if (require("fs").existsSync("broken")) { console.error("no Redis at 6379"); process.exit(1); } console.log("up"); setInterval(() => {}, 1000);' >"$work/fragile.js"

case_name="no daemon"
drive 0 probe
[[ ! -e $home/rpc.sock ]] || fail "a look has started a daemon"
has '^stopped: no PM2 daemon answers at .*; snapshot=$'
drive 1 op save none
has '^failed: no PM2 daemon answers'
drive 1 op stop none
has 'not stopped without a snapshot'
drive 1 op restore none
has 'no snapshot none'
drive 1 op verify ../none
has 'is no name for a snapshot'

case_name="save"
pm2 start good.js --name first
pm2 start good.js --name second
pm2 start fragile.js --name fragile --max-restarts 2
pm2 stop second
drive 0 op save one
has '^apps=3$'
has '^done: saved: 3 apps, 2 online, 1 stopped, 0 errored$'
pm2 stop first
drive 0 op save one
has '^online=2$'
has '^done: was saved already'
pm2 restart first
drive 0 probe 3
has '^ready: PM2 [0-9.]+: 2 online, 1 stopped, 0 errored, 0 other; snapshot=one$'
has '^0 first online restarts=[0-9]+ up=1$'
has '^1 second stopped restarts=0 up=0$'
! grep -q "$work" "$work/out" || fail "more than names and states was told"

case_name="verify"
drive 0 op verify one
has '^done: 3 of 3 apps as saved'

case_name="stop"
pm2 start good.js --name afterthought
pm2 stop first # only in another state: nothing of it would be lost
drive 0 op stop one
has '^running=2$'
has '^late=1$'
has '^late-snapshot=one-late$'
has '^late-app=afterthought \(3\): extra$'
has 'saved beside it as one-late, first: afterthought \(3\): extra$'
[[ -e $(echo "$work"/agent/pm2/*/one-late.json) ]] || fail "nothing was saved beside it"
drive 0 op stop one
has '^done: no PM2 daemon runs$'
drive 0 probe
has '^stopped: '

case_name="restore"
drive 0 op restore one
has '^expected=3$'
has '^as-saved=3$'
has '^online=2$'
has '^done: 3 of 3 apps as saved, 2 online, 1 stopped'
grep -q 'registering' "$work/err" || fail "no progress was told"

case_name="stop, after one that did not come to its end"
drive 0 op save again
pm2 start good.js --name late-one
drive 0 op save again-late # as that one has
pm2 start good.js --name late-two
drive 0 op stop again
has '^late=2$'
has '^late-snapshot=again-late-2$'
drive 0 op restore again-late-2
has '^done: 5 of 5 apps as saved'
drive 0 op stop again
has '^late-snapshot=again-late-2$'
[[ ! -e $(echo "$work"/agent/pm2/*/again-late-3.json) ]] || fail "what was saved already was saved again"
drive 0 op restore one

case_name="save while apps are being restarted"
echo 'const fs = require("fs"), at = process.env.PM2_HOME + "/";
process.on("SIGINT", () => { if (fs.existsSync(at + "leave")) process.exit(0); }); setInterval(() => {}, 1000);
fs.writeFileSync(at + process.env.name + ".up", "");' >"$work/late.js"
start_late() { # NAME KILL-TIMEOUT
        pm2 start late.js --name "$1" --kill-timeout "$2"
        for _ in $(seq 200); do
                [[ ! -e $home/$1.up ]] || return 0
                sleep 0.05
        done
        fail "$1 does not come up"
}
restart_late() { # NAME: until PM2 stops it for that
        (cd "$work" && exec env -i "PATH=$PATH" "HOME=$work" "PM2_HOME=$home" PM2_DISABLE_VERSION_CHECK=1 pm2 restart "$1") >/dev/null 2>&1 &
        restarting=$!
        for _ in $(seq 200); do
                drive 0 probe
                ! grep -q " $1 stopping " "$work/out" || return 0
                sleep 0.05
        done
        fail "$1 is not stopped"
}
start_late restarted 3000
restart_late restarted
drive 0 op save two
has '^done: saved: 4 apps, 3 online, 1 stopped, 0 errored$'
wait "$restarting"
start_late late 600000
restart_late late
drive 0 op save three
has '^done: saved: 5 apps, 3 online, 1 stopped, 0 errored; 1 were still being stopped, and come back stopped, first: late \(4\)$'
touch "$home/leave"
kill -9 "$(cat "$home"/pids/late-4.pid)"
wait "$restarting"

case_name="restore of an app that was being stopped"
drive 0 op stop three
for operation in restore verify; do
        drive 0 op $operation three
        has '^held=1$'
        has '^held-apps=late$'
        has '^done: 5 of 5 apps as saved, 3 online, 2 stopped \(0 were errored, 1 were being stopped\)'
done
pm2 delete late restarted

case_name="an app that does not come back"
drive 0 op stop one
touch "$work/broken"
drive 1 op restore one
has '^expected=3$'
has '^as-saved=2$'
has '^failed-app=fragile \(2\): errored: PM2 gave up'
has '^failed-log=fragile \(2\): no Redis at 6379'
has '^failed: 2 of 3 apps as saved, 1 of 2 online'
drive 0 probe
has '^degraded: PM2 [0-9.]+: 1 online, 1 stopped, 1 errored'
drive 1 op verify one
has '^failed: 2 of 3'
rm "$work/broken"
drive 0 op restore one
has '^kept=2$'

case_name="the daemon is terminated while apps are registered"
drive 0 op stop one
cat >"$work/terminated.js" <<'EOF'
const fs = require('fs'), load = require('module')._load, word = process.env.PM2_HOME + '/terminate';
require('module')._load = function (request) {
        const God = load.apply(this, arguments);
        if (request !== './God' || God.terminated) return God;
        God.terminated = true;
        const real = God.prepare;
        God.prepare = function (env, callback) {
                if (fs.existsSync(word) && env.name === 'second') {
                        fs.unlinkSync(word);
                        process.kill(process.pid, 'SIGTERM');
                }
                return real.call(God, env, callback);
        };
        return God;
};
EOF
(cd "$work" && env -i "PATH=$PATH" "HOME=$work" "PM2_HOME=$home" PM2_DISABLE_VERSION_CHECK=1 \
        "NODE_OPTIONS=--require $work/terminated.js" pm2 ping) >/dev/null
drive 0 op restore one
! grep -q '^dump=' "$work/out" || fail "there was no dump to lose"
pm2 save
drive 0 op save kept
cp "$home/dump.pm2" "$work/dump"
drive 0 op stop kept
drive 0 op restore kept
! grep -q '^dump=' "$work/out" || fail "the dump is as it was"
drive 0 op stop kept
touch "$home/terminate"
drive 0 op restore kept
[[ ! -e $home/terminate ]] || fail "nobody was terminated: nothing is tested here"
! cmp -s "$home/dump.pm2" "$work/dump" || fail "the dump was left alone: nothing is tested here"
has '^dump=PM2.s own is not what it was at the save; that is kept in /'
copy=$(sed -n 's/^dump=.* kept in //p' "$work/out")
cmp "$copy" "$work/dump" || fail "what is kept is not what it was"
[[ $(stat -c %a "$copy") == 600 ]] || fail "the copy is not private"

# As people's apps do: an error that is thrown, and one that nobody handles; PM2 writes both as console.error() does.
case_name="what failed apps say"
echo 'if (require("fs").existsSync("broken")) throw new Error("x marks it"); console.log("up"); setInterval(() => {}, 1000);' >"$work/thrown.js"
cat >"$work/refused.js" <<'JS'
if (require('fs').existsSync('broken')) require('net').connect(1, '127.0.0.1');
else console.log('up');
setInterval(() => {}, 1000);
JS
echo 'if (require("fs").existsSync("broken")) { console.log("on stdout: no licence"); process.exit(1); } console.log("up"); setInterval(() => {}, 1000);' >"$work/quiet.js"
# Of what ends PM2 may lose the last lines, for good: it closes the log before it has read them. So each ends several
# times, and is given up however slowly it does.
start_failing() { # SCRIPT NAME RESTARTS
        printf '{"apps": [{"script": "%s", "name": "%s", "max_restarts": %d, "min_uptime": 60000}]}' "$@" >"$work/failing.json"
        pm2 start failing.json
}
pm2 delete all
for n in 1 2 3 4 5; do start_failing fragile.js "also-$n" $((5 * n)); done
for app in thrown refused quiet; do start_failing $app.js $app 5; done
for ((tries = 300; tries > 0; tries--)); do
        [[ $(cat "$home"/logs/{also-*,thrown,refused,quiet}-out.log | grep -c up) -ne 8 ]] || break
        sleep 0.1
done
touch "$work/broken"
for n in 1 2; do start_failing fragile.js "was-errored-$n" 1; done
errored() {
        drive 0 probe
        [[ $(grep -c 'was-errored-. errored' "$work/out") -eq 2 ]]
}
for ((tries = 100; tries > 0; tries--)); do
        errored && break
        sleep 0.1
done
errored || fail "no app is errored"
drive 0 op save named
drive 0 op stop named
drive 1 op restore named
has '^failed=8$'
has '^held=2$'
[[ $(grep -c '^failed-app=' "$work/out") -eq 6 ]] || fail "not six are told with their reasons"
# Five fail in the same words, after more restarts and fewer: that does not crowd out the others'.
has '^failed-log=thrown \([0-9]+\): Error: x marks it$'
has '^failed-log=refused \([0-9]+\): Error: connect ECONNREFUSED 127\.0\.0\.1:1$'
has '^failed-log=quiet \([0-9]+\): on stdout: no licence'
has '^failed-log=also-1 \([0-9]+\): no Redis at 6379'
has '^failed-apps=also-4, also-5$'
[[ $(grep '^failed-app=also-' "$work/out" | sed 's/.*: //' | sort -u | wc -l) -gt 1 ]] || fail "all were restarted as often: nothing is tested here"
has '^held-apps=was-errored-1, was-errored-2$'
rm "$work/broken"

case_name="what failed apps said long ago"
echo 'if (require("fs").existsSync("broken")) process.exit(1); setInterval(() => {}, 1000);' >"$work/silent.js"
pm2 start silent.js --name silent
drive 0 op save silent
drive 0 op stop silent
echo "Error: of long ago" >"$home/logs/silent-error.log"
touch -d '2 months ago' "$home/logs/silent-error.log"
touch "$work/broken"
drive 1 op restore silent
has '^failed-app=silent '
! grep -q 'long ago' "$work/out" || fail "a line of two months ago is told as of now"
rm "$work/broken"

# PM2 takes an app for online that has never said "ready", once it has waited for long enough.
case_name="an app that does not say that it is ready"
echo 'process.send("ready"); setInterval(() => {}, 1000);' >"$work/says.js"
pm2 delete all
pm2 start says.js --name says --wait-ready --listen-timeout 20000
pm2 start good.js --name never --wait-ready --listen-timeout 700
pm2 start good.js --name plain
drive 0 op save unready
drive 0 op stop unready
drive 0 op restore unready
has '^unready-app=never \([0-9]+\): did not say that it was ready within 700 ms \(wait_ready\)$'
[[ $(grep -c '^unready' "$work/out") -eq 1 ]] || fail "others are named too"
has '^done: 3 of 3 apps as saved'

case_name="end"
drive 0 op stop unready
echo "test_pm2_agent: all passed"
