#!/bin/bash
# timeout: 420
# A soft reboot of a real host: userspace alone begins anew, once, and that is proven; where a host's systemd knows no such
# thing nothing is done. The new host has systemd 254 (deploy/install-deps test), the old one what this machine has.
# shellcheck disable=SC2154 # lib.sh sets some
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
newer=/var/cache/muster-testbed/systemd-254
[[ -d $newer/usr ]] || skip "no systemd 254 for a host: deploy/install-deps test fetches it where it can be had"
! mountpoint -q /usr || skip "/usr is a file system of its own: no other systemd can be laid over it"
own_testbed "${TEST_PREFIX:-sr-}" "${TEST_NET:-10.93.9}"
work=$(mktemp -d)
before_down() {
        if [[ $1 -ne 0 && -e $TESTBED_DIR/control/log ]]; then
                echo "-- the controller's log:"
                tail -n 40 "$TESTBED_DIR/control/log"
                "$testbed" run new journalctl --no-pager -n 40 -u muster-agent.service || true
        fi
        "$control" down
        rm -rf "$work"
}

on() {
        "$testbed" run new "$@"
}

said() { # FILE PATTERN
        grep -qE "$2" "$1" || { cat "$1"; fail "$1 has no line like: $2"; }
}

kernel_boot() {
        on cat /proc/sys/kernel/random/boot_id
}

reported_boot() {
        muster status --json | jq -r '.hosts[] | select(.name == "new") | .host.boot_id'
}

lives() { # what the host itself noted of each life of its userspace
        on cat /var/log/boots | wc -l
}

starts() {
        on cat /var/log/starts | wc -l
}

boot_is() {
        [[ $(reported_boot) == "$1" ]]
}

boot_is_not() {
        [[ $(reported_boot) != "$1" ]]
}

run_says() { # RUN PATTERN
        muster run show "$1" >"$work/run" && grep -qE "$2" "$work/run"
}

is_held() {
        { muster check || true; } >"$work/check" 2>&1 && grep -q 'keeper blocks a shutdown' "$work/check"
}

unit() { # NAME LINE...
        local name=$1
        shift
        printf '%s\n' "$@" '[Install]' 'WantedBy=multi-user.target' >"$work/unit"
        "$testbed" push new "$work/unit" "/etc/systemd/system/$name"
        on systemctl enable --quiet --now "$name"
}

"$testbed" create new old
cp -a "$newer/usr/." "$("$testbed" layer new)/usr/"
"$testbed" start new old
said <(on systemctl --version) '^systemd 254'
"$control" install
printf '%s\n' 'fleet: two' 'hosts:' '  new: {}' '  old: {}' 'services:' \
        '  cache: {kind: redis, host: new, unit: cache, port: 7000}' \
        '  worker: {kind: unit, host: new, unit: worker, needs: [cache]}' >"$TESTBED_DIR/control/fleet.yaml"
on mkdir -p /srv/cache
unit cache.service '[Service]' \
        'ExecStart=/usr/bin/redis-server --port 7000 --dir /srv/cache --appendonly yes --save ""'
unit worker.service '[Service]' "ExecStartPre=/bin/sh -c 'echo started >>/var/log/starts'" 'ExecStart=/bin/sleep infinity'
"$control" start
"$control" join
until_true 30 on redis-cli -p 7000 set kept yes
first=$(kernel_boot)
equal "the boot that is reported" "${first//-/}" "$(reported_boot)"
equal "lives at first" 1 "$(lives)"

status=0
muster reboot --soft --yes >"$work/out" 2>&1 || status=$?
equal "exit where one host cannot" 1 "$status"
said "$work/out" "no soft reboot: old has systemd [0-9.~a-z-]*, soft reboots came with 254; leave --soft out"
equal "lives after a refusal" 1 "$(lives)"
echo "a host that cannot: refused"

muster plan reboot new --soft >"$work/out"
said "$work/out" 'new host\.reboot \(soft\)'
before=$(starts)
muster reboot new --soft --yes --force | tee "$work/out"
said "$work/out" 'new host\.reboot \(soft\): userspace begun anew, on the kernel boot of before'
equal "the kernel's boot id" "$first" "$(kernel_boot)"
equal "lives after one soft reboot" 2 "$(lives)"
equal "starts of the worker" $((before + 1)) "$(starts)"
equal "what Redis kept" yes "$(on redis-cli -p 7000 get kept)"
second=$(reported_boot)
[[ $second =~ ^${first//-/}\+[0-9]+$ ]] || fail "the boot that is reported: $second"
muster report >"$work/report"
said "$work/report" "new \(soft\) \| ${first//-/} \| ${second/+/.}.* \| yes"
! grep -q 'full reboot' "$work/report" || fail "a soft reboot is called a full one: $(cat "$work/report")"
echo "a soft reboot: once, proven"

# systemd's restarts of itself, and of the agent, are no boots.
on systemctl daemon-reexec
on systemctl restart muster-agent.service
until_true 60 boot_is "$second"

on systemd-run --quiet --unit=holds systemd-inhibit --what=shutdown --mode=block --who=keeper --why=upgrades sleep infinity
until_true 30 is_held
run=$(muster reboot new --soft --yes --force --detach | sed -n 's/^run \(r[^ ]*\) started.*/\1/p')
[[ -n $run ]] || fail "no run was started"
until_true 60 run_says "$run" 'a shutdown of this host is inhibited by keeper'
equal "lives while it is inhibited" 2 "$(lives)"
on systemctl stop holds.service
step=$(sed -n "s/.*muster run retry $run \([0-9]*\).*/\1/p" "$work/run" | head -n 1)
[[ -n $step ]] || fail "no retry command to copy: $(cat "$work/run")"
muster run retry "$run" "$step" --why 'the upgrades are done'
muster run watch "$run"
equal "lives after the second soft reboot" 3 "$(lives)"
equal "the kernel's boot id" "$first" "$(kernel_boot)"
echo "an inhibitor: respected"

# Somebody's own soft reboot is a boot that no run asked for.
third=$(reported_boot)
on systemctl soft-reboot || true
until_true 60 boot_is_not "$third"
[[ $(reported_boot) =~ ^${first//-/}\+[0-9]+$ ]] || fail "the boot that is reported: $(reported_boot)"

muster reboot new --yes --force | tee "$work/out"
said "$work/out" 'new host\.reboot: up on a new boot'
[[ $(kernel_boot) != "$first" ]] || fail "new was not rebooted"
equal "the boot that is reported" "$(kernel_boot | tr -d -)" "$(reported_boot)"
echo "soft, then full: passed"
