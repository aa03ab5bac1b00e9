#!/bin/bash
# timeout: 300
# The checks on a real host where everything is wrong that can be: units, servers, files, disks, the boot id, the agent
# itself. What is sound beside it is not found, and what --fix repairs is repaired. Two things no server and no host of
# this kind does by itself, and they are stand-ins: a /proc/meminfo that tells of less memory, as in a small machine, and
# a clock that is a minute early, in the agent alone, because hosts on one machine share their clock.
# shellcheck disable=SC2154,SC2016 # lib.sh sets some; the shell inside expands others
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
work=$(mktemp -d)
loop=

before_down() {
        if [[ $1 -ne 0 ]]; then
                echo "-- the last check:"
                jq -r '.findings[] | "\(.severity) \(.id) \(.service // "-"): \(.evidence)"' "$work/found" || true
                jq -r '.repairs[] | .repair' "$work/found" || true
                tail -n 5 "$TESTBED_DIR/control/log" || true
        fi
        "$control" down
}
own_testbed "${TEST_PREFIX:-cc-}" "${TEST_NET:-10.91.4}"
# The small disk is in use until the host has gone.
trap 'status=$?; (own_testbed_end $status) || status=1; umount "$work/disk" 2>/dev/null || true
        [[ -z $loop ]] || losetup -d "$loop" || true; rm -rf "$work"; exit $status' EXIT

# As "severity id service", and all of it in $work/found.
check() { # ARGUMENT...
        local status=0
        "$control" muster check "$@" --json >"$work/found" || status=$?
        [[ $status -le 1 || $status -eq 3 ]] || fail "check $*: exit $status"
        jq -r '.findings[] | "\(.severity) \(.id) \(.service // "")"' "$work/found" | sed 's/ $//' >"$work/lines"
}

found() { # LINE [EVIDENCE]
        grep -qx "$1" "$work/lines" || fail "not found: $1"
        [[ -z ${2:-} ]] || jq -r --arg line "$1" '.findings[] | select("\(.severity) \(.id) \(.service // "")" |
                sub(" $"; "") == $line) | .evidence' "$work/found" | grep -qE "$2" || fail "$1: not for '$2'"
}

not_found() { # PATTERN
        ! grep -E "$1" "$work/lines" || fail "found without a cause: $1"
}

repaired() { # ID SERVICE
        jq -e --arg id "$1" --arg service "$2" '[.repairs[] | select(.finding.id == $id and
                (.finding.service // "") == $service and (.repair_failed | not))] | length == 1' "$work/found" >/dev/null ||
                fail "not repaired: $1 $2"
        jq -e --arg id "$1" --arg service "$2" '[.remaining[] | select(.id == $id and (.service // "") == $service)] |
                length == 0' "$work/found" >/dev/null || fail "it remains: $1 $2"
}

cli() { # PORT WORD...
        on redis-cli -p "$@"
}

answers() {
        [[ $(cli "$1" ping) == PONG ]]
}

# --- a host ----------------------------------------------------------------------------------------------------------

wanted='[Install]
WantedBy=multi-user.target'
sleeps='ExecStart=/bin/sleep infinity'
mkdir "$work/disk"
truncate -s 24M "$work/image"
mkfs.ext4 -q -m 0 -E nodiscard "$work/image"
loop=$(losetup --find --show "$work/image")
mount "$loop" "$work/disk"
export TESTBED_NSPAWN="--bind=$work/disk:/srv/small"
"$testbed" create h1
unit plain@.service '[Service]' "$sleeps" "$wanted"
unit real.service '[Service]' "$sleeps" "$wanted" 'Alias=nick.service'
unit vendor.service '[Service]' "$sleeps" "$wanted"
unit static.service '[Service]' "$sleeps"
unit masked.service '[Service]' "$sleeps" "$wanted"
unit other.service '[Service]' "$sleeps" '[Install]' 'Also=plain@x.service'
push /opt/linked.service '[Service]' "$sleeps" "$wanted"
unit broken.service '[Service]' 'ExecStart=/bin/false'
unit redis@.service '[Service]' 'TimeoutStopSec=5' 'ExecStartPre=/bin/mkdir -p /var/lib/%N /run/small/data' \
        'ExecStart=/usr/bin/redis-server /etc/test-redis/%i.conf' "$wanted"
unit slow.service '[Service]' 'Type=notify' 'TimeoutStartSec=5' 'ExecStartPre=/bin/mkdir -p /var/lib/slow' \
        'ExecStart=/usr/bin/redis-server /etc/test-redis/slow.conf --supervised systemd' "$wanted"
unit tile38.service '[Service]' 'ExecStartPre=/bin/mkdir -p /var/lib/geo' \
        'ExecStart=/usr/local/bin/tile38-server -h 127.0.0.1 -p 9851 -d /var/lib/geo' "$wanted"
redis_file() { # NAME PORT LINE...
        local name=$1 port=$2
        shift 2
        push "/etc/test-redis/$name.conf" "port $port" 'bind 127.0.0.1' 'auto-aof-rewrite-percentage 0' 'enable-debug-command yes' "$@"
}
redis_file saver 6401 'dir /var/lib/redis@saver' 'save 3600 1'
redis_file small 6402 'dir /run/small/data' 'save ""' 'appendonly yes' 'appendfsync always'
redis_file copy 6403 'dir /var/lib/redis@copy' 'replicaof 127.0.0.1 1'
redis_file none 6404 'dir /var/lib/redis@none' 'save ""'
redis_file slow 6405 'dir /var/lib/slow' 'save ""' 'appendonly yes'
push /etc/sysusers.d/beam.conf 'u beam 5003 "Apps" /var/lib/beam /bin/sh'
push /etc/tmpfiles.d/beam.conf 'd /var/lib/beam 0755 beam beam'
# As `pm2 startup` writes it.
unit pm2-beam.service '[Unit]' 'After=network.target' '[Service]' 'Type=forking' 'User=beam' \
        'Environment=PM2_HOME=/var/lib/beam/.pm2' 'PIDFile=/var/lib/beam/.pm2/pm2.pid' 'ExecStart=pm2 resurrect' "$wanted"
push /var/lib/beam.js 'setInterval(() => {}, 1000);'
push /etc/fstab 'tmpfs /run/small tmpfs size=16m 0 0'
# Begun before the agent is, when it is asked for.
unit constant.service '[Unit]' 'ConditionPathExists=/etc/boot-id' 'Before=muster-agent.service' '[Service]' 'Type=oneshot' \
        'ExecStart=-/bin/umount /proc/sys/kernel/random/boot_id' \
        'ExecStart=/bin/mount --bind /etc/boot-id /proc/sys/kernel/random/boot_id' "$wanted"
"$testbed" up h1
has_tile38=false
! on test -x /usr/local/bin/tile38-server || has_tile38=true
has_pm2=false
! on sh -c 'command -v pm2' >/dev/null || has_pm2=true

"$control" install
cat >"$TESTBED_DIR/control/fleet.yaml" <<YAML
fleet: checks
hosts:
  h1: {}
services:
  one:    {kind: unit, host: h1, unit: plain@one}
  two:    {kind: unit, host: h1, unit: plain@two}
  nick:   {kind: unit, host: h1, unit: nick}
  vendor: {kind: unit, host: h1, unit: vendor-alias}
  static: {kind: unit, host: h1, unit: static}
  masked: {kind: unit, host: h1, unit: masked}
  other:  {kind: unit, host: h1, unit: other}
  linked: {kind: unit, host: h1, unit: linked}
  saver:  {kind: redis, host: h1, unit: redis@saver, port: 6401, role: master}
  small:  {kind: redis, host: h1, unit: redis@small, port: 6402, role: master}
  copy:   {kind: redis, host: h1, unit: redis@copy, port: 6403, role: replica}
  none:   {kind: redis, host: h1, unit: redis@none, port: 6404, role: replica}
  slow:   {kind: redis, host: h1, unit: slow, port: 6405, role: master, reload_limit: 1s}
YAML
! $has_pm2 || echo '  apps:   {kind: pm2, host: h1, user: beam, home: /var/lib/beam/.pm2}' >>"$TESTBED_DIR/control/fleet.yaml"
! $has_tile38 || echo '  geo:    {kind: tile38, host: h1, unit: tile38, port: 9851}' >>"$TESTBED_DIR/control/fleet.yaml"
on ln -s vendor.service /usr/local/lib/systemd/system/vendor-alias.service
on systemctl daemon-reload
on systemctl enable --quiet --now plain@one real vendor redis@saver redis@small redis@copy redis@none slow constant
! $has_tile38 || on systemctl enable --quiet --now tile38
! $has_pm2 || on systemctl enable --quiet pm2-beam
for port in 6401 6402 6403 6404 6405; do until_true 20 answers $port; done
"$control" start
"$control" join
echo "a host: up, with its agent"

# --- sound -----------------------------------------------------------------------------------------------------------

check
not_found ' (one|nick|vendor|small|geo)$'
not_found '^[a-z]+ (boot-id|boot-constant|agent-autostart|agent-version|clock|disk|failed-units|memory)$'
found 'blocks autostart two' 'plain@two.service on h1 is disabled'
found 'informs autostart static' 'is static'
found 'warns reload-time slow' 'may take longer than its reload_limit of 1.0 s'
found 'blocks replica-link copy'
found 'blocks role none' 'is a master, the fleet file says replica'
echo "sound: nothing is found but what was wrong from the start"

# --- everything wrong ------------------------------------------------------------------------------------------------

on systemctl mask --quiet masked
on systemctl link --quiet /opt/linked.service
on systemctl disable --quiet vendor muster-agent
on systemctl start broken 2>/dev/null || true
cli 6401 debug populate 20000 k 1000 >/dev/null
on mkdir -p /var/lib/redis@saver/dump.rdb # no file can take its place
cli 6401 bgsave >/dev/null
cli 6401 config set maxmemory 100000gb >/dev/null
cli 6404 debug populate 10 k 10 >/dev/null
cli 6405 debug populate 40000 k 200 >/dev/null
cli 6405 bgrewriteaof >/dev/null
said() { # PORT FIELD VALUE
        [[ $(cli "$1" info persistence | tr -d '\r' | sed -n "s/^$2://p") == "$3" ]]
}
until_true 20 said 6405 aof_rewrites 1
until_true 20 said 6405 aof_rewrite_in_progress 0
on sh -c 'mkdir /var/lib/slow/appendonlydir/appendonly.aof.3.base.rdb' # nor this one
cli 6405 bgrewriteaof >/dev/null
until_true 20 said 6401 rdb_last_bgsave_status err
until_true 20 said 6405 aof_last_bgrewrite_status err
cli 6402 debug populate 20 k 100000 >/dev/null
# appendfsync always would end it: what matters is a server that goes on with a disk that is full.
cli 6402 config set appendfsync everysec >/dev/null
on sh -c 'cat /dev/zero >/run/small/full' 2>/dev/null || true
until_true 20 eval 'cli 6402 set big "$(printf %0100000d 1)" >/dev/null; said 6402 aof_last_write_status err'
on sh -c 'cat /dev/zero >/srv/small/filler' 2>/dev/null || true
if $has_tile38; then
        on sh -c 'for i in $(seq 70); do printf "SET fleet t STRING %s\n" "$(head -c 1000000 /dev/zero | tr "\0" x)"; done |
                redis-cli -p 9851 >/dev/null; touch /var/lib/geo/appendonly.aof-shrink'
fi
on sh -c 'sed "s/^MemAvailable:.*/MemAvailable: 64 kB/; s/^SwapFree:.*/SwapFree: 0 kB/" /proc/meminfo >/run/meminfo
        echo 0 >/run/overcommit; cat /proc/sys/kernel/random/boot_id >/run/boot-id
        mount --bind /run/meminfo /proc/meminfo; mount --bind /run/overcommit /proc/sys/vm/overcommit_memory
        umount /proc/sys/kernel/random/boot_id; mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
        cp /run/boot-id /run/good; echo 00000000-0000-0000-0000-000000000000 >/run/boot-id'
check
found 'blocks boot-id' 'boot_id holds no boot id'
found 'blocks agent-autostart' 'muster-agent itself is disabled'
found 'blocks autostart vendor' '^vendor.service on h1 is disabled'
found 'blocks autostart masked' 'cannot be started at all'
found 'blocks autostart linked' 'is linked'
found 'warns autostart other' 'is indirect: its .Install. section enables other units only'
found 'warns failed-units' '1 failed unit: broken.service'
found 'warns last-write saver' 'the last RDB save of saver'
found 'warns last-write slow' 'the last rewrite of the AOF of slow'
found 'blocks last-write small' 'the last write to the AOF of small'
found 'blocks rewrite-disk small' '^/run/small/data has 0 B free'
found 'warns stop-budget saver' 'but systemd kills it after 5.0 s'
found 'warns start-budget slow' 'but systemd gives up its start after 5.0 s'
found 'warns memory' '5 Redis on h1 may use'
found 'warns rewrite-memory small' 'does not overcommit'
found 'warns persistence none' 'keeps nothing on disk'
jq -r '.findings[] | select(.id == "disk") | "\(.severity) \(.evidence)"' "$work/found" >"$work/disks"
grep -qE '^blocks /srv/small on h1 has ' "$work/disks" || fail "the small disk: $(cat "$work/disks")"
! $has_tile38 || found 'warns tile38-aof geo' 'is 70.0 MB for 1 objects of 1.0 MB'
! $has_tile38 || found 'warns tile38-leftover geo' 'appendonly.aof-shrink of geo is there'
not_found ' (one|nick)$'
on sh -c 'echo 1 >/run/overcommit'
check small
found 'warns rewrite-memory small' 'writes during a rewrite may exhaust it'
on umount /proc/meminfo /proc/sys/vm/overcommit_memory
on sh -c 'cat /run/good >/run/boot-id'
echo "wrong: each is found, with what was seen"

# A swap of tile38's files that was interrupted: what is aside may be all the data, and nothing may write over it.
if $has_tile38; then
        on sh -c 'echo all the data >/var/lib/geo/appendonly.aof-bak'
        check geo --fix
        equal "the old file" 'all the data' "$(on cat /var/lib/geo/appendonly.aof-bak)"
        jq -e '[.repairs[] | select(.finding.service == "geo")] | length == 0' "$work/found" >/dev/null ||
                fail "a repair of geo was offered beside its old file"
        check geo
        found 'blocks tile38-leftover geo' 'appendonly.aof-bak is there, 13 B: .* may be the only whole one; geo has 1 objects'
        not_found '^[a-z]+ tile38-aof geo$'
        "$control" muster plan restart geo >"$work/plan"
        grep -q 'geo unit.stop' "$work/plan" || fail "no plan: $(cat "$work/plan")"
        ! grep 'tile38.shrink' "$work/plan" || fail "a restart would shrink geo over its old file"
        on rm /var/lib/geo/appendonly.aof-bak
        check geo
        not_found '^blocks tile38-leftover geo$'
        "$control" muster plan restart geo >"$work/plan"
        grep -q 'geo tile38.shrink' "$work/plan" || fail "no shrink without the old file: $(cat "$work/plan")"
        on systemctl disable --quiet muster-agent # that was repaired too
        echo "tile38: what a swap has put aside is kept"
fi

# --- repaired --------------------------------------------------------------------------------------------------------

check --fix
repaired autostart two
repaired autostart vendor
repaired autostart linked
repaired agent-autostart ''
! $has_tile38 || repaired tile38-aof geo
for unit in plain@two vendor linked muster-agent; do
        equal "$unit" enabled "$(on systemctl is-enabled "$unit")"
done
jq -e '[.repairs[] | select(.repair_failed)] | length == 0' "$work/found" >/dev/null || fail "a repair was offered that fails"
jq -e '[.repairs[] | select(.finding.service == "other")] | length == 0' "$work/found" >/dev/null ||
        fail "no links make other.service start at boot, and it was tried all the same"
equal "masked.service" masked "$(on systemctl is-enabled masked || true)"
echo "fix: what can be repaired is"

# --- PM2 ---------------------------------------------------------------------------------------------------------------

pm2() {
        on runuser -u beam -- env HOME=/var/lib/beam PM2_HOME=/var/lib/beam/.pm2 pm2 "$@" >/dev/null
}
if $has_pm2; then
        check apps
        found 'blocks pm2-reachable apps' '^PM2 in /var/lib/beam/.pm2 does not answer'
        pm2 start /var/lib/beam.js --name web
        check apps
        found 'warns pm2-boot-unit apps' '^pm2-beam.service starts the apps of apps at boot, before what they need is ready; a run holds it back by itself'
        not_found 'pm2-(reachable|errored)'
        pm2 kill
        on systemctl disable --quiet pm2-beam
        echo "PM2: not reachable, and started at boot by a unit"
fi

# --- the agent, its clock, its boot id -------------------------------------------------------------------------------

cat >"$work/early.c" <<'C'
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now)
{
        int r = (int)syscall(SYS_clock_gettime, clock, now);
        now->tv_sec += r == 0 && clock == CLOCK_REALTIME ? 60 : 0;
        return r;
}
C
cc -shared -fPIC -o "$work/early.so" "$work/early.c"
"$testbed" push h1 "$work/early.so" /opt/early.so
agent=$(on sh -c 'command -v muster-agent || echo /usr/local/sbin/muster-agent')
version=$(on "$agent" --version | sed 's/.* //')
# The same agent by another name of its version: ten characters more or less would move its text.
on sh -c "sed 's/${version//./\\.}/${version%?}x/g' '$agent' >/opt/other-agent; chmod 755 /opt/other-agent"
push /etc/systemd/system/muster-agent.service.d/other.conf '[Service]' 'ExecStart=' 'ExecStart=/opt/other-agent' \
        'Environment=LD_PRELOAD=/opt/early.so'
on sh -c 'cat /proc/sys/kernel/random/boot_id >/etc/boot-id'
before=$(on cut -d' ' -f22 /proc/1/stat)
on systemctl kill --signal=KILL redis@saver # its save at the end cannot succeed, and it would wait for that
"$testbed" run h1 systemctl reboot || true
rebooted() {
        [[ $(on cut -d' ' -f22 /proc/1/stat) != "$before" ]] && on systemctl is-active muster-agent &&
                "$control" muster host ls --json | jq -e '.hosts[0].connected'
}
until_true 60 rebooted
check h1
found 'warns clock' 'the clock of h1 is [0-9. mins]* ahead of'
found 'informs agent-version' "is version ${version%?}x"
found 'blocks boot-constant' 'the boot id proves nothing \(it is the same as on an earlier boot'
on systemctl stop constant
on umount /proc/sys/kernel/random/boot_id
check h1
not_found 'boot-(id|constant)$'
echo "agent: its clock, its version, its boot id"
