#!/bin/bash
# timeout: 300
# The operations that need a real systemd: units started, stopped and enabled, a host rebooted, each as the agent would
# do it and each told apart from what only looks like it. The facts are the host's own.
# shellcheck disable=SC2154 # lib.sh sets some
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
driver=$(realpath "${MUSTER_BUILD:-$root/build/release}")/tests/integration/ops_driver
[[ -x $driver ]] || fail "no $driver: build ops_driver first"
own_testbed "${TEST_PREFIX:-to-}" "${TEST_NET:-10.96.0}"
work=$(mktemp -d)
before_down() { rm -rf "$work"; }
out=$work/out

# Bounded, because whoever enters a host that goes down may never hear the end of it.
op() { # EXPECTED-EXIT KIND WORD...: output in $out
        local expected=$1 got=0
        shift
        timeout --signal=KILL 60 "$testbed" run h1 /srv/ops_driver "$@" >"$out" 2>&1 || got=$?
        [[ $got == "$expected" ]] || { cat "$out"; fail "$* exited with $got, not $expected"; }
}

said() { # PATTERN (extended, of a whole line)
        grep -qxE "$1" "$out" || { cat "$out"; fail "no line like: $1"; }
}

is() { # UNIT STATE
        equal "state of $1" "$2" "$(on systemctl is-active "$1" || true)"
}

boot() {
        timeout --signal=KILL 20 "$testbed" run h1 cat /proc/sys/kernel/random/boot_id
}

wanted='[Install]
WantedBy=multi-user.target'
"$testbed" create h1
"$testbed" push h1 "$driver" /srv/ops_driver
unit plain@.service '[Service]' 'ExecStart=/bin/sleep infinity' "$wanted"
unit ready.service '[Service]' 'Type=notify' 'NotifyAccess=all' "ExecStart=/bin/sh -c 'sleep 2; systemd-notify --ready; sleep infinity'"
unit broken.service '[Service]' 'Type=oneshot' 'ExecStart=/bin/false' "$wanted"
unit late.service '[Service]' 'Type=notify' 'ExecStart=/bin/sleep infinity' 'TimeoutStartSec=1'
unit needy.service '[Unit]' 'Requires=broken.service' 'After=broken.service' '[Service]' 'ExecStart=/bin/sleep infinity'
unit quits.service '[Service]' 'ExecStart=/bin/sh -c "exit 7"'
unit once.service '[Service]' 'Type=oneshot' 'ExecStart=/bin/true'
unit stubborn.service '[Service]' "ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'" 'TimeoutStopSec=1'
unit endless.service '[Service]' "ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'" 'TimeoutStopSec=infinity'
unit bad.service '[Service]' 'Type=simple'
unit other.service '[Service]' 'ExecStart=/bin/sleep infinity' '[Install]' 'Also=plain@x.service'
"$testbed" up h1

op 0 unit.start unit=plain@one.service
said 'done plain@one.service is active \(running\)'
said 'figure job-result done'
is plain@one.service active
pid=$(on systemctl show -p MainPID --value plain@one.service)
said "figure main-pid $pid"
op 0 unit.start unit=plain@one.service
said 'done plain@one.service was active already \(running\)'
equal "its process" "$pid" "$(on systemctl show -p MainPID --value plain@one.service)"
op 0 unit.start unit=once.service
op 0 unit.start unit=ready.service
said 'progress 0 0 activating \(start\) for .*'
is ready.service active
echo "start: fine"

op 1 unit.start unit=broken.service
said 'failed EREMOTEIO broken.service did not start: its job failed; it is failed .*, result exit-code; .*'
op 1 unit.start unit=late.service
said 'failed EREMOTEIO late.service did not start: .*, result timeout; .*'
op 1 unit.start unit=needy.service
said 'failed EREMOTEIO needy.service did not start: a unit that it needs failed; .*'
op 1 unit.start unit=absent.service
said 'failed ENOENT there is no unit absent.service on this host'
op 1 unit.start unit=bad.service
said 'failed EINVAL bad.service cannot be loaded \(bad-setting\); .*'
# Type=simple: its start is done before it has shown whether it runs.
op 0 unit.stop unit=quits.service
on /srv/ops_driver unit.start unit=quits.service >"$out" 2>&1 || said 'failed EREMOTEIO quits.service was started, but is failed .*'
echo "start that fails: fine"

op 0 unit.stop unit=plain@one.service
said 'done plain@one.service has stopped'
is plain@one.service inactive
! on kill -0 "$pid" 2>/dev/null || fail "its process is still there"
op 0 unit.stop unit=plain@one.service
said 'done plain@one.service was not running'
op 0 unit.stop unit=broken.service
said 'done broken.service was not running: it had failed \(exit-code\)'
on systemctl start plain@two.service
on systemctl kill -s KILL plain@two.service
until_true 10 eval '[[ $(on systemctl is-active plain@two.service) == failed ]]'
op 0 unit.stop unit=plain@two.service # killed, and not by a stop
said 'figure killed-before signal'
! grep -q '^figure killed ' "$out" || fail "killed, and no stop was asked for"
on systemctl start stubborn.service endless.service
op 0 unit.stop unit=stubborn.service
said 'done stubborn.service has stopped, but ended as failed \(timeout: killed .*\)'
said 'figure killed timeout'
is stubborn.service failed
op 3 unit.stop unit=endless.service deadline=2s
said 'progress 0 0 deactivating \(stop-sigterm\) for .*'
is endless.service deactivating
on systemctl kill -s KILL endless.service
op 1 unit.stop unit=absent.service
said 'failed ENOENT .*'
echo "stop: fine"

op 0 unit.enable unit=plain@one.service
said 'done plain@one.service is enabled, was disabled \(1 links\)'
said 'figure symlink /etc/systemd/system/multi-user.target.wants/plain@one.service -> .*/plain@.service'
on systemctl is-enabled --quiet plain@one.service || fail "it is not enabled"
op 0 unit.enable unit=plain@one.service
said 'done plain@one.service was enabled already'
! on systemctl is-enabled --quiet plain@two.service || fail "another instance was enabled"
op 1 unit.enable unit=once.service
said 'failed EPERM once.service cannot be enabled: its unit file has no \[Install\] section, .*'
op 1 unit.enable unit=other.service
said 'failed EREMOTEIO other.service is indirect after enabling it: .*'
op 1 unit.enable unit=absent.service
said 'failed ENOENT there is no unit file for absent.service on this host'
on ln -s late.service /usr/local/lib/systemd/system/alias.service
op 1 unit.enable unit=alias.service
said 'failed EPERM alias.service cannot be enabled: it is only another name of a unit; .*'
on systemctl mask --quiet ready.service
op 1 unit.enable unit=ready.service
said 'failed EPERM ready.service cannot be enabled: it is masked; .*'
on systemctl stop ready.service
op 1 unit.start unit=ready.service
said 'failed EPERM ready.service is masked; .*'
echo "enable: fine"

first=$(boot)
op 1 host.reboot
said 'failed EINVAL the request does not say which boot it means to end'
op 1 host.reboot boot-id=0123456789abcdef0123456789abcdef
said 'failed ESTALE the request means boot 0123.*, this is boot .*'
equal "boot id" "$first" "$(boot)"
changed() {
        local now
        now=$(boot) && [[ -n $now && $now != "$first" ]]
}
# As a unit of the host's own, like the agent, which goes down with the host; the bus may go before the answer comes, so
# this one is left a second to hear that.
reboot() {
        timeout --signal=KILL 30 "$testbed" run h1 systemd-run --quiet --no-block -p KillSignal=SIGCONT -p TimeoutStopSec=1 \
                -p StandardOutput=truncate:/srv/said /srv/ops_driver host.reboot boot-id=this || true # whether it went down is seen
        until_true 60 changed
        "$testbed" wait h1
        on cat /srv/said >"$out"
        ! grep -qE '^(done|failed|deadline)' "$out" || { cat "$out"; fail "it claims to know how the reboot ended"; }
}
reboot
said 'progress 0 0 (reboot requested \(logind\)|no answer from logind \(.*\); waiting for the reboot)'
is plain@one.service active
second=$(boot)
op 1 host.reboot boot-id="${first//-/}"
said 'failed ESTALE .*'
equal "boot id" "$second" "$(boot)"
equal "boots that h1 noted" 2 "$(on sh -c 'wc -l </var/log/boots')"
echo "reboot: fine"

first=$second
on systemctl mask --quiet --now systemd-logind.service
on rm -f /usr/share/dbus-1/system-services/org.freedesktop.login1.service
on systemctl reload dbus
reboot
said 'progress 0 0 logind does not reboot this host \(.*\); asking the next'
said 'progress 0 0 (reboot requested \(systemd\)|no answer from systemd \(.*\); waiting for the reboot)'
echo "reboot without logind: fine"
