#!/bin/bash
# PM2 restored on a host with systemd: its daemon becomes a service of its own, no secret shows in the unit, a
# reboot leaves PM2's dump as it was, and a pm2-*.service that was first is no trouble.
# timeout: 300
# MUSTER_BUILD is where pm2_driver and pm2_agent were built. Needs root; uses a testbed of its own.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
driver=$(realpath "${MUSTER_BUILD:-build/asan}")/tests/integration/pm2_driver
[[ -x $driver ]] || { echo "test_pm2_systemd: no $driver: build pm2_driver first" >&2; exit 1; }
[[ $EUID -eq 0 ]] || { echo "test_pm2_systemd: needs root" >&2; exit 77; }
TESTBED_DIR=$(mktemp -d /var/tmp/muster-pm2.XXXXXX)
export TESTBED_DIR TESTBED_PREFIX=pm2 TESTBED_NET=10.93.8
testbed=tests/testbed/testbed
out=$TESTBED_DIR/out
cleanup() {
        "$testbed" down >/dev/null 2>&1 || true
        rm -rf "$TESTBED_DIR"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
(
        trap '' INT TERM
        tail --pid=$$ -f /dev/null
        [[ ! -d $TESTBED_DIR ]] || cleanup
) </dev/null >/dev/null 2>&1 &

fail() {
        echo "test_pm2_systemd: FAILED: $*" >&2
        sed 's/^/  out: /' "$out" >&2 || true
        exit 1
}
on() {
        "$testbed" run apps "$@" >"$out" 2>&1 || fail "$*"
}
has() {
        grep -qE -- "$1" "$out" || fail "no line like: $1"
}
pm2() {
        on runuser -u beam -- env HOME=/home/beam PM2_HOME=/home/beam/.pm2 "DAEMON_SECRET=dae mon" pm2 "$@"
}
drive() {
        on /usr/local/bin/pm2_driver beam:/home/beam/.pm2 /var/lib/muster-agent/pm2 "$@"
}
dump() {
        on sh -c 'sha256sum </home/beam/.pm2/dump.pm2; grep -o "\"status\": *\"[a-z]*\"" /home/beam/.pm2/dump.pm2 | tr -d " " | sort | uniq -c'
        cat "$out"
}

"$testbed" up apps >"$out" 2>&1 || fail "the host does not come up"
"$testbed" push apps "$driver" /usr/local/bin/pm2_driver
"$testbed" push apps "$(dirname "$driver")/pm2_agent" /usr/local/bin/pm2_agent
on useradd -m beam
on sh -c 'mkdir /srv/app && echo "setInterval(() => {}, 1000);" >/srv/app/a.js'
pm2 start /srv/app/a.js --name one
pm2 start /srv/app/a.js --name two -i 2
pm2 start /srv/app/a.js --name three
pm2 stop three
pm2 save
drive save before

# The daemon belongs to a unit of its own, and the driver's end is not its own.
drive stop end
drive restore before bus settle=1000
has 'expected=4 as-saved=4 wanted=3 online=3 stopped=1 .* daemon=1'
on sh -c 'systemctl show "muster-pm2-*.service"'
has '^ActiveState=active$'
has '^User=[0-9]+$'
! grep -q 'dae mon' "$out" || fail "the unit tells the environment"
on sh -c 'cat /proc/$(cat /home/beam/.pm2/pm2.pid)/cgroup'
has 'system.slice/muster-pm2-[0-9a-f]{16}\.service'
unit=$(grep -oE 'muster-pm2-[0-9a-f]{16}\.service' "$out" | sort -u)
on sh -c 'tr "\0" "\n" </proc/$(cat /home/beam/.pm2/pm2.pid)/environ'
has '^DAEMON_SECRET=dae mon$'

# Its unit stays for as long as anything of it does, as what cannot be killed: the next daemon gets another name.
drive stop end
on sh -c "for _ in \$(seq 200); do systemd-run --unit=$unit sleep infinity && exit; sleep 0.05; done; exit 1"
drive restore before bus settle=1000
has 'expected=4 as-saved=4 .* daemon=1'
on sh -c 'cat /proc/$(cat /home/beam/.pm2/pm2.pid)/cgroup'
has "system.slice/${unit%.service}-2\.service"
on systemctl stop "$unit"

# A reboot: the daemon is told alone, so that it writes down what ran and not what had been ended with it.
dump | tail -n +2 >"$TESTBED_DIR/dump.before"
"$testbed" reboot apps >"$out" 2>&1 || fail "the host does not come back"
dump | tail -n +2 | diff -u "$TESTBED_DIR/dump.before" - >&2 || fail "PM2's dump was spoilt by the reboot"
drive restore before bus settle=1000
has 'expected=4 as-saved=4 .* daemon=1'
on sh -c 'systemctl show -p KillMode "muster-pm2-*.service"'
has '^KillMode=mixed$'

# A unit as `pm2 startup` writes it: its daemon is stopped, its dump kept, its ExecStop no trouble.
drive stop end
cat >"$TESTBED_DIR/unit" <<EOF
[Unit]
After=network.target
[Service]
Type=forking
User=beam
Environment=PM2_HOME=/home/beam/.pm2 PATH=/usr/local/bin:/usr/bin:/bin
PIDFile=/home/beam/.pm2/pm2.pid
Restart=on-failure
ExecStart=$(command -v pm2) resurrect
ExecStop=$(command -v pm2) kill
[Install]
WantedBy=multi-user.target
EOF
"$testbed" push apps "$TESTBED_DIR/unit" /etc/systemd/system/pm2-beam.service
on systemctl daemon-reload
on systemctl enable --now pm2-beam.service
dump >"$TESTBED_DIR/dump.before"
drive stop end
has 'running=3 killed=0'
drive restore before bus settle=3000
has 'expected=4 as-saved=4'
dump | diff -u "$TESTBED_DIR/dump.before" - >&2 || fail "PM2's dump was changed by the stop"

# The next boot resurrects through the unit, at other ids or the same: the restore takes it from there.
"$testbed" reboot apps >"$out" 2>&1 || fail "the host does not come back"
drive restore before bus settle=1000
has 'expected=4 as-saved=4 .* daemon=0'
drive diff before

# As the operations do it: that unit is held back from the stop to the end of the restore, over any number of boots.
agent() {
        on /usr/local/bin/pm2_agent beam /home/beam/.pm2 /var/lib/muster-agent "$@"
}
is_enabled() { # WORD [UNIT]
        on sh -c "systemctl is-enabled ${2:-pm2-beam.service} || true"
        has "^$1\$"
}
agent op save held
agent op stop held
has '^boot-unit=pm2-beam.service is disabled until the restore$'
dump >"$TESTBED_DIR/dump.before"
for boot in first second; do
        "$testbed" reboot apps >"$out" 2>&1 || fail "the host does not come back"
        is_enabled disabled
        on sh -c 'pgrep -u beam || echo nothing runs'
        has '^nothing runs$'
        dump | diff -u "$TESTBED_DIR/dump.before" - >&2 || fail "PM2's dump was changed by the $boot boot"
done
agent op restore held
has '^done: 4 of 4 apps as saved'
has '^boot-unit=pm2-beam.service is enabled again$'
is_enabled enabled
agent op restore held
! grep -q boot-unit "$out" || fail "a unit is enabled that was not held back"

# A restore that fails puts it back too.
agent op stop held
is_enabled disabled
! "$testbed" run apps /usr/local/bin/pm2_agent beam /home/beam/.pm2 /var/lib/muster-agent op restore absent >"$out" 2>&1 ||
        fail "a snapshot that is not there was restored"
has '^boot-unit=pm2-beam.service is enabled again$'
has '^failed: no snapshot absent'
is_enabled enabled

# And where no restore comes, the release does.
agent op stop held
is_enabled disabled
agent op release held
has '^done: pm2-beam.service is enabled again$'
is_enabled enabled
agent op release held
has '^done: nothing is held back$'
agent op restore held
! grep -q boot-unit "$out" || fail "a unit is enabled that was not held back"

# One whose file has gone meanwhile (pm2 unstartup) keeps no other held back, nor itself for ever.
on cp /etc/systemd/system/pm2-beam.service /etc/systemd/system/pm2-more.service
on systemctl enable pm2-more.service
agent op stop held
has '^boot-unit=pm2-beam.service pm2-more.service is disabled until the restore$|^boot-unit=pm2-more.service pm2-beam.service is disabled until the restore$'
on rm /etc/systemd/system/pm2-more.service
agent op release held
has '^done: pm2-beam.service is enabled again$'
is_enabled enabled
agent op stop held
on rm /etc/systemd/system/pm2-beam.service
agent op release held
has '^done: what was held back is gone: nothing to enable again$'
agent op release held
has '^done: nothing is held back$'

# A unit that is linked is gone from systemd with its link when it is disabled: it is linked again, by the path that was
# given. One more that is enabled meanwhile is held back beside it.
on sh -c 'mkdir -p /opt/app/1 /opt/app/2 && ln -s 1 /opt/app/current'
for release in 1 2; do "$testbed" push apps "$TESTBED_DIR/unit" /opt/app/$release/pm2-app.service; done
on systemctl enable /opt/app/current/pm2-app.service
agent op restore held
agent op stop held
has '^boot-unit=pm2-app.service is disabled until the restore$'
on sh -c 'systemctl cat pm2-app.service || true'
has 'No files found' # or this shows nothing
on ln -sfn 2 /opt/app/current
on cp /opt/app/2/pm2-app.service /etc/systemd/system/pm2-more.service
on systemctl enable pm2-more.service
agent op stop held
has '^boot-unit=pm2-more.service pm2-app.service is disabled until the restore$'
is_enabled disabled pm2-more.service
agent op restore held
has '^boot-unit=pm2-more.service pm2-app.service is enabled again$'
is_enabled enabled pm2-more.service
is_enabled enabled pm2-app.service
on readlink /etc/systemd/system/pm2-app.service
has '^/opt/app/current/pm2-app.service$'

# And one that was linked anew meanwhile, or whose file has gone, keeps none held back.
agent op stop held
on systemctl link /opt/app/1/pm2-app.service
agent op release held
is_enabled enabled pm2-app.service
agent op stop held
on rm -r /opt/app
agent op release held
has '^done: pm2-more.service is enabled again$'
is_enabled enabled pm2-more.service
echo "test_pm2_systemd: all passed"
