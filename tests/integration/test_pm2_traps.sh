#!/bin/bash
# What PM2 does and people do not expect, one case each (docs/traps.md), against a real PM2.
# timeout: 600
# MUSTER_BUILD, PM2: see pm2_home.sh.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/integration/pm2_home.sh
settle=settle=300
user root

wait_for() { # PATTERN: a line of the state, bounded
        for _ in $(seq 150); do
                drive 0 state
                ! grep -qE -- "$1" "$work/out" || return 0
                sleep 0.1
        done
        fail "no line like: $1"
}
# One in state D waits for another's lookup of the same name; that of the first is S until it is sent a signal.
wait_for_hung() { # PID, bounded
        for _ in $(seq 200); do
                ! grep -qx "asked by $1" "$work/silent.out" || return 0
                ! grep -q '^State:.D' "/proc/$1/status" || return 0
                sleep 0.05
        done
        fail "waited in vain for process $1 to hang at $work/silent/file: $(grep '^State:' "/proc/$1/status" || echo "it has ended")"
}
fresh() { # no daemon
        drive 0 stop end
}
count() { # FILE: its bytes
        stat -c %s "$1" 2>/dev/null || echo 0
}

case_name="a clock on a stopped app whose id has passed"
echo 'require("fs").appendFileSync(process.env.PM2_HOME + "/ticks", "x"); process.exit(0);' >"$apps/tick.js"
echo "module.exports = {apps: [
        {name: 'clocked', script: './tick.js', autorestart: false, autostart: false, cron_restart: '*/5 * * * * *'},
        {name: 'ticking', script: './tick.js', autorestart: false, cron_restart: '*/5 * * * * *', watch: ['./none']},
        {name: 'stays', script: './good.js'}]};" >"$apps/ecosystem.config.js"
pm2 start ecosystem.config.js
for try in $(seq 20); do # between two ticks
        wait_for ' ticking stopped '
        clocks=clocks$try
        drive 0 save "$clocks"
        [[ $(grep -o '"status":"stopped"' "$snapshots"/*/"$clocks.json" | wc -l) != 2 ]] || break
done
drive 0 state
stays=$(awk '$2 == "stays"' "$work/out")
pm2 delete clocked ticking
ticks=$(count "$home/ticks")
drive any restore "$clocks" "$settle" # a tick in the middle is a difference
has 'kept=1 added=2 removed=0'
for _ in $(seq 150); do
        [[ $(count "$home/ticks") -lt $((ticks + 2)) ]] || break
        sleep 0.1
done
wait_for ' ticking stopped '
# Only the second: PM2 does not run what has autostart off, by its clock either.
[[ $(count "$home/ticks") -ge $((ticks + 2)) ]] || fail "the clock does not start it"
[[ $(awk '$2 == "stays"' "$work/out") == "$stays" ]] || fail "the app that stayed was touched"
drive 0 stop end

case_name="each app its own time to end"
cat >"$apps/slow-end.js" <<'EOF2'
const fs = require('fs'), at = process.env.PM2_HOME + '/';
const lives = pid => { try { return /^State:\s+[^Z]/m.test(fs.readFileSync(`/proc/${pid}/status`)); } catch { return false; } };
process.on('SIGINT', () => {
        setTimeout(() => fs.writeFileSync(at + 'deaf', lives(fs.readFileSync(at + 'deaf.pid')) ? 'lives' : 'dead'), 1300);
        setTimeout(() => { fs.writeFileSync(at + 'ended', ''); process.exit(0); }, 2400);
});
setInterval(() => {}, 1000);
fs.writeFileSync(at + 'slow.up', '');
EOF2
echo 'process.on("SIGINT", () => {}); setInterval(() => {}, 1000);
require("fs").writeFileSync(process.env.PM2_HOME + "/deaf.pid", String(process.pid));' >"$apps/deaf.js"
# Its apps live on: those that are not node's, or have no pmx, which ends an app whose daemon has gone.
kill_daemon() {
        local old
        old=$(daemon_pid)
        kill -9 "$old"
        gone "$old"
}
for how in end '' orphans; do
        fresh
        rm -f "$home"/{deaf,ended,deaf.pid,slow.up}
        pm2 start slow-end.js --name slow --no-pmx --kill-timeout 20000
        pm2 start deaf.js --name deaf --no-pmx --kill-timeout 200
        appears "$home/slow.up"
        appears "$home/deaf.pid"
        [[ $how != orphans ]] || kill_daemon
        drive 0 stop $how
        case $how in
        end) has 'running=2 killed=1 ' ;;
        orphans) has ' killed=1 no-daemon=1 leftovers=2 ' ;;
        esac
        [[ -e $home/ended ]] || fail "an app was killed before its time was over"
        [[ $(cat "$home/deaf") == dead ]] || fail "an app had more time than its own"
done

case_name="apps end as their daemon would have ended them, which was killed"
sed 's/SIGINT/SIGTERM/' "$apps/slow-end.js" >"$apps/term-end.js"
echo 1 >"$home/deaf.pid"
rm "$home"/{ended,slow.up}
also=(PM2_KILL_SIGNAL=SIGTERM PM2_KILL_TIMEOUT=20000)
pm2 start term-end.js --name slow --no-pmx
also=()
appears "$home/slow.up"
drive 0 save orphans
kill_daemon
drive 0 restore orphans "$settle"
has ' daemon=1 leftovers=1 '
[[ -e $home/ended ]] || fail "an app was told by another signal, or was killed before its time was over"

case_name="apps that are told by a message, beside one that is told by a signal"
cat >"$apps/told.js" <<'EOF2'
const fs = require('fs'), at = process.env.PM2_HOME + '/';
const told = () => { fs.writeFileSync(at + 'told', ''); process.exit(0); };
process.on('SIGINT', told);
process.on('message', message => message === 'shutdown' && told());
setInterval(() => {}, 1000);
fs.writeFileSync(at + 'told.up', '');
EOF2
cat >"$apps/message.js" <<'EOF2'
const fs = require('fs'), at = process.env.PM2_HOME + '/';
process.on('message', message => {
        if (message !== 'shutdown') return;
        fs.writeFileSync(at + 'message', 'alone');
        const end = () => { fs.writeFileSync(at + 'message', 'saved'); process.exit(0); };
        setInterval(() => fs.existsSync(at + 'told') && end(), 50);
        setTimeout(() => process.exit(1), 15000);
});
setInterval(() => {}, 1000);
fs.writeFileSync(at + 'message.up', '');
EOF2
for how in app daemon; do # who sets it
        fresh
        rm -f "$home"/{told,message}{,.up}
        message=()
        case $how in
        app) message=(--shutdown-with-message) ;;
        daemon) also=(PM2_KILL_USE_MESSAGE=false) ;; # which PM2 takes for a yes, as any text
        esac
        pm2 start message.js --name message --kill-timeout 20000 "${message[@]}"
        also=()
        pm2 start told.js --name told --kill-timeout 20000
        appears "$home/message.up"
        appears "$home/told.up"
        drive 0 stop end
        has 'running=2 killed=0 '
        [[ -e $home/message ]] || fail "an app got no message: set by the $how"
        [[ $(cat "$home/message") == saved ]] || fail "an app was told only when another had ended"
done

case_name="a stop that does not come to its end"
echo 'process.on("SIGINT", () => {}); setInterval(() => {}, 1000);
require("fs").writeFileSync(process.env.PM2_HOME + "/late.up", "");' >"$apps/late.js"
fresh
pm2 start late.js --name late --kill-timeout 5000
pm2 start good.js --name good
appears "$home/late.up"
drive 0 save killed
old=$(daemon_pid)
begin stop end # and whoever does it ends
for _ in $(seq 200); do
        ! grep -q '1 of 2 processes have ended' "$work/began" || break
        sleep 0.05
done
kill -9 "$begun"
wait "$begun" || true
wait_for ' good stopped '
[[ $(daemon_pid) == "$old" ]] || fail "the daemon has ended: nothing is tested here"
drive 0 restore killed "$settle"
has 'as-saved=2 wanted=2 online=2 .* daemon=1'
gone "$old"
drive 0 state
kill -9 "$(sed -nE 's/.* good .* pid=([0-9]+) .*/\1/p' "$work/out")"
wait_for ' good online .*restarts=1 '
# All that is to run runs, and nothing of it would be started again.
drive 0 tell notifyKillPM2
drive 0 restore killed "$settle"
has 'as-saved=2 wanted=2 online=2 .* daemon=1'
has 'kept=0 added=2'

case_name="an app may take longer than anything else"
drive 0 stop end
grep -oE '1 of 2 processes have ended .[0-9]+ of [0-9]+' "$work/err" >"$work/told" || true
[[ $(wc -l <"$work/told") -ge 2 ]] || fail "the time that an app has is not told: $(cat "$work/err")"
[[ $(tail -n 1 "$work/told" | grep -oE '[0-9]+$') -ge 15000 ]] || fail "its kill_timeout is not counted in: $(cat "$work/told")"

case_name="an app that is still being stopped"
fresh
pm2 start late.js --name late --kill-timeout 5000
rm -f "$home/late.up"
pm2 restart late
appears "$home/late.up"
drive 0 save stopping
pm2 stop late &
stopping=$!
wait_for ' late stopping '
drive 0 restore stopping "$settle"
has 'as-saved=1 wanted=1 online=1 .* kept=0 added=0'
wait "$stopping"
wait_for ' late online '

case_name="a process that cannot be killed"
mkdir "$work/silent"
python3 tests/integration/silent_fs.py "$work/silent" >"$work/silent.out" 2>&1 &
silent=$!
for _ in $(seq 200); do
        ! grep -q ready "$work/silent.out" || break
        sleep 0.05
done
fresh
pm2 start /bin/cat --name stuck --interpreter none --kill-timeout 200 --no-autorestart -- "$work/silent/file"
pm2 start good.js --name good
wait_for ' stuck online '
drive 0 save stuck
for how in running stopped; do # PM2 calls errored what it could not stop, and does not count it any more
        drive 0 state
        stuck=$(sed -nE 's/.* stuck online .* pid=([0-9]+) .*/\1/p' "$work/out")
        wait_for_hung "$stuck"
        if [[ $how == stopped ]]; then
                pm2 stop stuck
                wait_for " stuck errored .* pid=$stuck "
        fi
        drive 1 stop end
        grep -qE "1 processes do not end, not even when killed: app stuck \(0\), process $stuck, is in state D" "$work/err" ||
                fail "the app is not named: $(cat "$work/err")"
        drive 0 restore stuck "$settle"
        has 'as-saved=2 wanted=2 online=2 .* daemon=1 leftovers=0 stuck=1'
        grep -q '^State:.D' "/proc/$stuck/status" || fail "it has ended: nothing is tested here"
done
kill -9 "$silent"
wait "$silent" || true
gone "$stuck"
umount "$work/silent"

case_name="a child of an app"
echo 'const c = require("child_process").spawn("sleep", ["1000"], {stdio: "ignore"});
require("fs").writeFileSync(process.env.PM2_HOME + "/child.pid", String(c.pid)); setInterval(() => {}, 1000);' >"$apps/parent.js"
fresh
pm2 start parent.js --name parent
appears "$home/child.pid"
drive 0 stop end
gone "$(cat "$home/child.pid")"

case_name="an app that PM2 brings back by a timer"
echo 'require("fs").appendFileSync(process.env.PM2_HOME + "/tries", "x"); process.exit(1);' >"$apps/crash.js"
pm2 start crash.js --name waits --restart-delay 60000
wait_for ' waits waiting restart '
drive 0 save waits
drive 0 stop end
has 'running=1'
[[ -z $(processes_of "$work/root") ]] || fail "an app has outlived the stop"

# PM2 goes on calling them "waiting restart".
case_name="apps with a restart delay that PM2 does not start again"
pm2 start crash.js --name lost --restart-delay 20 --max-restarts 2
pm2 start crash.js --name ended --restart-delay 20 --no-autorestart
wait_for ' lost errored '
wait_for ' ended stopped '
drive 0 save lost
drive 0 stop end
drive 0 restore lost "$settle"
has '^held lost \(0\): was errored'
drive 3 restore lost "$settle" start-errored
has '^failed lost \(0\): errored: PM2 gave up after '
drive 0 stop end

case_name="PM2 says online, and the app dies later"
echo 'setTimeout(() => { console.error("lost Redis"); process.exit(1); }, 700); setInterval(() => {}, 1000);' >"$apps/later.js"
cp "$apps/good.js" "$apps/now.js"
echo "module.exports = {apps: [{name: 'dies', script: './now.js', max_restarts: 2, min_uptime: 5000}]};" >"$apps/ecosystem.config.js"
echo 'const now = Date.now; Date.now = () => now() - 3600e3;' >"$apps/early.js"
for how in right early; do # by the clock that the daemon has: set since then, it says that all have run for an hour
        cp "$apps/good.js" "$apps/now.js"
        fresh
        [[ $how == right ]] || also=("NODE_OPTIONS=--require $apps/early.js")
        pm2 start ecosystem.config.js
        also=()
        drive 0 save "dies-$how"
        drive 0 stop end
        cp "$apps/later.js" "$apps/now.js"
        drive 3 restore "dies-$how" settle=1500
        has '^failed dies \(0\): errored: PM2 gave up .*log: .*lost Redis'
        has 'as-saved=0 wanted=1 online=0'
done
drive 3 verify dies-early settle=1500
has '^failed dies \(0\): errored: PM2 gave up after [1-9]'

case_name="PM2 refuses a start, and carries on"
mkdir "$apps/logs"
fresh
pm2 start good.js --name refused --output "$apps/logs/out" --error "$apps/logs/err"
pm2 start good.js --name taken
drive 0 save refused
drive 0 stop end
rm -r "$apps/logs"
drive 3 restore refused "$settle"
has '^failed refused \(0\): PM2 refused restartProcessId: .*ENOENT.*logs/out'
has 'expected=2 as-saved=1 wanted=2 online=1'

# The real daemon, that refuses what it is told to: it reads a word for a method and an app's name from a file.
case_name="PM2 refuses something for one app"
cat >"$apps/refuse.js" <<'EOF2'
const fs = require('fs'), load = require('module')._load, faults = process.env.PM2_HOME + '/faults';
require('module')._load = function (request) {
        const God = load.apply(this, arguments);
        if (request !== './God' || God.faulty) return God;
        God.faulty = true;
        const has = (method, name) => fs.existsSync(faults) && fs.readFileSync(faults, 'utf8').split('\n').includes(method + ' ' + name);
        const nameOf = id => God.clusters_db[id] ? God.clusters_db[id].pm2_env.name : '';
        for (const method of ['prepare', 'deleteProcessId', 'stopProcessId', 'startWatch']) {
                const real = God[method];
                God[method] = function (a, b, c) {
                        const callback = c || b;
                        const name = method === 'prepare' ? a.name : nameOf(method === 'startWatch' ? b.id : a);
                        if (has(method, name)) return callback(new Error('no room for ' + name));
                        /* Somebody else is a moment quicker. */
                        if (has('gone', name)) return real.call(God, a, () => real.call(God, a, callback));
                        return real.apply(God, arguments);
                };
        }
        return God;
};
EOF2
fresh
mkdir -p "$apps/here"
for name in gone kept none placed stays; do
        echo "{script: './good.js', name: '$name', watch: $([[ $name != placed ]] && echo false || echo "['./here']")},"
done | { echo "module.exports = {apps: ["; cat; echo "]};"; } >"$apps/ecosystem.config.js"
also=("NODE_OPTIONS=--require $apps/refuse.js")
pm2 start ecosystem.config.js
drive 0 save faulty
pm2 start good.js --name kept-too
pm2 start good.js --name gone-too
drive 0 save more
drive 0 restore faulty "$settle"
drive 0 restore more "$settle"
printf '%s\n' 'gone gone-too' 'deleteProcessId kept-too' >"$home/faults"
drive 4 restore faulty "$settle"
has 'expected=5 as-saved=5 wanted=5 online=5 '
has '^kept-too \(5\): extra$'
has_not '^gone-too'
# The same, of apps that are to come back.
rm "$home/faults"
drive 0 restore faulty "$settle"
for name in gone kept; do
        (cd "$apps" && env -i "PATH=$PATH" "PM2_HOME=$home" HOME="$work/root" OTHER=yes "$pm2" restart "$name" --update-env) >/dev/null
done
printf '%s\n' 'gone gone' 'deleteProcessId kept' >"$home/faults"
drive 4 restore faulty "$settle"
has 'expected=5 as-saved=4 wanted=5 online=5 '
has '^kept \(1\): env was'
# One that cannot be registered, and one that cannot be placed.
rm "$home/faults"
drive 0 stop end
pm2 ping
also=()
printf '%s\n' 'prepare none' 'startWatch placed' >"$home/faults"
drive 3 restore faulty "$settle"
has 'expected=5 as-saved=3 wanted=5 online=3 .* kept=0 added=5 '
has '^failed none \(2\): PM2 refused prepare: no room for none'
has '^failed placed \(3\): PM2 refused startWatch: no room for placed'
# One that cannot be parked.
rm "$home/faults"
drive 0 restore faulty "$settle"
pm2 stop gone none
drive 0 save parked
pm2 delete gone none
echo 'prepare none' >"$home/faults"
drive 4 restore parked "$settle"
has 'expected=5 as-saved=4 wanted=3 online=3 stopped=1 kept=3 added=2 '
has '^none \(2\): missing$'
rm "$home/faults"

case_name="restart counts, and what PM2 draws anew"
fresh
pm2 start good.js --name counted
pm2 restart counted
unique() { tr '\0' '\n' <"/proc/$(sed -nE 's/.* counted .* pid=([0-9]+) .*/\1/p' "$work/out")/environ" | grep '^unique_id='; }
wait_for ' counted online .*restarts=1 '
id=$(unique)
drive 0 save counted
drive 0 stop end
drive 0 restore counted "$settle"
wait_for ' counted online .*restarts=1 '
[[ $(unique) == "$id" ]] || fail "it has another unique_id"

case_name="half a cluster"
fresh
pm2 start good.js --name cluster -i 3
drive 0 save cluster
pm2 save --force
drive 0 state
last=$(awk '{ id = $1 } END { print id }' "$work/out")
pm2 delete "$last"
pm2 resurrect # which finds the name there, and does nothing
drive 4 diff cluster
has "^cluster \\($last\\): missing\$"
drive 0 restore cluster "$settle"
has 'kept=2 added=1 removed=0'

case_name="a watched app that runs and is to be stopped"
fresh
echo 'if (!require("fs").existsSync(process.env.PM2_HOME + "/stay")) process.exit(0); setInterval(() => {}, 1000);' >"$apps/gate.js"
echo "module.exports = {apps: [{name: 'gate', script: './gate.js', autorestart: false, watch: ['./seen']}]};" >"$apps/ecosystem.config.js"
mkdir "$apps/seen"
pm2 start ecosystem.config.js
wait_for ' gate stopped '
drive 0 save gate
touch "$home/stay" "$apps/seen/this" # started by hand it would lose its watcher
wait_for ' gate online '
drive 4 diff gate
has '^gate \(0\): status was stopped, is online$'
drive 0 restore gate "$settle"
has 'as-saved=1 .* kept=0 added=0 removed=0'
has 'as-saved=1 wanted=0 online=0 stopped=1'

case_name="a dump of nothing"
drive 0 restore cluster "$settle"
pm2 save --force
sha256sum <"$home/dump.pm2" >"$work/dump"
pm2 delete all
drive 0 save nothing
has 'saved 0 apps'
drive 0 restore cluster "$settle"
drive 4 diff nothing
has '^cluster \([0-9]+\): extra$'
sha256sum <"$home/dump.pm2" | cmp -s - "$work/dump" || fail "PM2's dump was changed"
drive 0 stop end

case_name="no more at once than allowed"
echo 'const fs = require("fs"), at = process.env.PM2_HOME + "/at-once", end = Date.now() + 500;
fs.appendFileSync(at, Date.now() + " 1\n"); while (Date.now() < end); fs.appendFileSync(at, Date.now() + " -1\n");
setInterval(() => {}, 1000);' >"$apps/busy.js"
fresh
pm2 start busy.js --name busy -i 6
drive 0 save busy
together() {
        sort -n "$home/at-once" | awk '{ now += $2; if (now > most) most = now } END { print most, NR }'
}
drive 0 stop end
rm "$home/at-once"
drive 0 restore busy "$settle" at-once=2
[[ $(together) == [12]" 12" ]] || fail "at once, and lines: $(together)"
drive 0 stop end

case_name="somebody else registers apps meanwhile"
drive 0 restore cluster "$settle"
drive 0 stop end
pm2 ping
pm2 start good.js --name early &
starting=$!
drive any restore cluster "$settle" keep-extra
wait "$starting" || true
drive 0 restore cluster "$settle"
drive 0 diff cluster
drive 0 stop end

echo "$test_name: all passed"
