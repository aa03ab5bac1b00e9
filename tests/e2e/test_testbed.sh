#!/bin/bash
# timeout: 300
# The testbed itself: hosts boot, see each other, reboot for real, lose power, lose the network, and leave nothing.
# shellcheck disable=SC2154,SC2034 # lib.sh sets some, eval reads others
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
own_testbed tt- 10.93.0

boot() {
        "$testbed" run "$1" cat /proc/sys/kernel/random/boot_id
}

boots_noted() {
        "$testbed" run "$1" sh -c 'wc -l </var/log/boots'
}

reaches() { # HOST OTHER: a refused connection is an answer too
        local answer
        answer=$("$testbed" run "$1" timeout 2 bash -c "exec 3<>/dev/tcp/$("$testbed" address "$2")/9" 2>&1) || true
        [[ $answer == *refused* ]]
}

"$testbed" up h1 h2
first=$(boot h1) other=$(boot h2)
[[ $first != "$other" && $first != "$(cat /proc/sys/kernel/random/boot_id)" ]] || fail "hosts share a boot id"
equal "host name" h1 "$("$testbed" run h1 hostname)"
equal "PID 1" systemd "$("$testbed" run h1 cat /proc/1/comm)"
equal "units that failed" "" "$("$testbed" run h1 systemctl --failed --plain --no-legend)"
reaches h1 h2 || fail "h1 does not reach h2"
reaches h1 bastion || fail "h1 does not reach the bastion"
echo "up: fine"

[[ -z $("$testbed" run h1 find /root /home -type f) ]] || fail "this machine's homes can be seen in a host"
! "$testbed" run h1 grep -qE '^[^:]+:[^*!:]' /etc/shadow || fail "a password hash can be seen in a host"
for service in redis-server haproxy ssh cron; do
        ! "$testbed" run h1 systemctl is-enabled --quiet "$service" 2>/dev/null || fail "$service would start in a host"
done
TESTBED_PREFIX=t TESTBED_NET=10.93.9 TESTBED_DIR=$TESTBED_DIR/other "$testbed" down
equal "state after another testbed went down" up "$("$testbed" list | awk '$1 == "h1" { print $3 }')"
echo "separate: fine"

"$testbed" reboot h1
second=$(boot h1)
[[ $second != "$first" ]] || fail "no new boot id after a reboot"
equal "h2's boot id" "$other" "$(boot h2)"
equal "boots that h1 noted" 2 "$(boots_noted h1)"
"$testbed" run h1 systemctl reboot || true
until_true 30 eval '[[ $("$testbed" run h1 cat /proc/sys/kernel/random/boot_id) != "$second" ]]'
"$testbed" wait h1
equal "boots that h1 noted" 3 "$(boots_noted h1)"
echo "reboot: fine"

echo one >"$TESTBED_DIR/file"
"$testbed" push h1 "$TESTBED_DIR/file" /srv/deep/file
"$testbed" crash h1
equal "state after a crash" off "$("$testbed" list | awk '$1 == "h1" { print $3 }')"
echo two >"$TESTBED_DIR/file"
"$testbed" push h1 "$TESTBED_DIR/file" /srv/deep/other
"$testbed" start h1
equal "what the disk kept" "one two" "$("$testbed" run h1 cat /srv/deep/file /srv/deep/other | xargs)"
"$testbed" pull h1 /srv/deep/other "$TESTBED_DIR/file"
equal "what was pulled" two "$(cat "$TESTBED_DIR/file")"
rm "$TESTBED_DIR/file"
equal "boots that h1 noted" 4 "$(boots_noted h1)"
echo "crash: fine"

"$testbed" cut h2
! reaches h1 h2 || fail "h1 reaches h2, which is cut"
"$testbed" reboot h2
! reaches h1 h2 || fail "a reboot healed the cut"
"$testbed" heal h2
until_true 10 reaches h1 h2
# Nor is anything heard from a host that is cut, whichever it is.
is_heard() { # HOST: by this machine
        python3 - "$TESTBED_NET.1" "$testbed" "$1" <<'EOF'
import socket, subprocess, sys
address, testbed, host = sys.argv[1:]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
    ear.bind((address, 0))
    ear.settimeout(1)
    say = f"echo >/dev/udp/{address}/{ear.getsockname()[1]}"
    subprocess.run([testbed, "run", host, "bash", "-c", say], check=True)
    try:
        ear.recv(1)
    except TimeoutError:
        sys.exit(1)
EOF
}
for host in h1 h2; do
        until_true 10 is_heard "$host"
        "$testbed" cut "$host"
        ! is_heard "$host" || fail "$host is heard, and cut"
        "$testbed" heal "$host"
done
echo "cut: fine"

"$testbed" stop h2
equal "state after a stop" off "$("$testbed" list | awk '$1 == "h2" { print $3 }')"
"$testbed" up h1 h2
echo "up again: fine"

# The worst ends: supervisor, nspawn and the state folder, each killed or lost while a host runs.
leader=$(pgrep -f "^systemd-nspawn .*--machine=tt-h1 " | head -n 1)
kill -KILL "$(cut -d' ' -f1 "$TESTBED_DIR/hosts/h1/supervisor")"
until_true 10 eval '! kill -0 "$leader"'
kill -KILL "$(cut -d' ' -f1 "$TESTBED_DIR/hosts/h2/nspawn")"
until_true 10 eval '[[ $("$testbed" list | grep -c " off ") == 2 ]]'
"$testbed" up h1 h2
rm -rf "$TESTBED_DIR"/hosts/h2/{supervisor,nspawn}
"$testbed" down
[[ ! -e $TESTBED_DIR ]] || fail "$TESTBED_DIR is still there"
[[ ! -d /sys/class/net/mtb0-tt ]] || fail "the bridge is still there"
! grep -q "$TESTBED_DIR" /proc/mounts || fail "mounts are still there"
[[ -z $(find /sys/fs/cgroup -name 'tt-h*' 2>/dev/null) ]] || fail "cgroups are still there"
[[ -z $(ls -d /sys/class/net/vb-tt-* 2>/dev/null) ]] || fail "ports are still there"
! pgrep -f "machine=tt-" >/dev/null || fail "nspawn still runs"
echo "down: fine"

TESTBED_UPPER=tmpfs "$testbed" up h3
equal "a host on tmpfs" tmpfs "$(stat -f -c %T "$TESTBED_DIR/hosts/h3")"
"$testbed" reboot h3
"$testbed" down
! grep -q "$TESTBED_DIR" /proc/mounts || fail "the tmpfs is still mounted"
echo "tmpfs: fine"
