#!/bin/bash
# timeout: 600
# Runs on a host with the unit that `pm2 startup` writes: it starts nothing before the restore does, and is enabled at
# the end however the run ends: well, aborted, left, or with its restore skipped. Where the controller cannot enable it
# again, a check finds it and repairs it.
# shellcheck disable=SC2154,SC2034 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=light.sh
. "$(dirname "$0")/light.sh"
unit=pm2-light.service
unit_file=/etc/systemd/system/$unit

on() { # COMMAND...
        "$testbed" run app1 "$@"
}

is_enabled() { # WORD
        [[ $(on systemctl is-enabled "$unit" || true) == "$1" ]]
}

newest() { # JQ-PATH
        muster run ls --limit 1 --json | jq -r ".runs[0].$1"
}

is_state() { # WORD
        [[ $(newest state) == "$1" ]]
}

apps_online() { # COUNT
        [[ $(muster status apps --json | jq '[.hosts[].services[].pm2.apps[]? | select(.status == "online")] | length') -eq $1 ]]
}

step_of() { # PHASE: the newest run's first step of it on the apps
        muster report "$(newest run)" --format json |
                jq -r --arg phase "$1" '[.steps | to_entries[] | select(.value.phase == $phase and .value.service == "apps")][0].key'
}

# Begins a restart and stops it where the apps are down and the unit is held back: an app that stands still is only
# killed after its kill_timeout, which is time enough.
begin_and_pause() {
        # shellcheck disable=SC2016 # the host's shell
        on sh -c 'cat /var/lib/light/.pm2/pids/one-*.pid | xargs kill -STOP'
        begin apps
        until_true 60 is_enabled disabled
        run=$(newest run)
        muster run pause "$run"
        until_true 60 apps_online 0
}

is_released() {
        connected && ! { muster check apps || true; } | grep -q pm2-boot-unit-held
}

fleet_light pu- 10.95.7
agents_faulty
as_light() {
        on runuser -u light -- env HOME=/var/lib/light PM2_HOME=/var/lib/light/.pm2 "$@"
}
as_light pm2 save >/dev/null
cat >"$work/unit" <<UNIT
[Unit]
After=network.target
[Service]
Type=forking
User=light
Environment=PM2_HOME=/var/lib/light/.pm2 PATH=/usr/local/bin:/usr/bin:/bin
PIDFile=/var/lib/light/.pm2/pm2.pid
Restart=on-failure
ExecStart=$(command -v pm2) resurrect
ExecStop=$(command -v pm2) kill
[Install]
WantedBy=multi-user.target
UNIT
"$testbed" push app1 "$work/unit" "$unit_file"
on systemctl daemon-reload
on systemctl enable --quiet "$unit"

plan_says() {
        muster plan reboot | grep -q "$unit would start its apps at boot.*it is disabled from the stop to the restore"
}
until_true 90 plan_says # agents look for such units once a minute

verb=reboot begin
until_true 120 is_enabled disabled
wait "$begun"
equal "how the reboot ended: $(cat "$work/run")" 0 "$(cat "$work/exit")"
is_enabled enabled || fail "the unit is not enabled after the reboot"
equal "starts of the unit in the new boot" 0 "$(on systemctl show -P InactiveExitTimestampMonotonic "$unit")"
apps_online 2 || fail "the apps are not back"
echo "reboot: the unit kept still until the restore, and is enabled"

begin_and_pause
muster run abort "$run" --yes
wait "$begun"
until_true 60 is_state aborted
apps_online 2 || fail "the abort brought no apps back"
is_enabled enabled || fail "the unit is not enabled after the abort"
echo "abort: enabled"

begin_and_pause
muster run abort "$run" --leave --yes
wait "$begun"
until_true 60 is_state aborted
until_true 60 is_enabled enabled
until_true 60 apps_online 0
muster audit ls | grep -q "controller.*release.*pm2.release of app1/apps, for run $run" || fail "the release is not on record: $(muster audit ls)"
muster pm2 restore apps --yes >"$work/restore" || fail "not restored: $(cat "$work/restore")"
echo "left: enabled, with nothing started"

# The agent dies as it is told to: asked again, it looks first.
while read -r when moment; do
        begin_and_pause
        agent_fault app1 /ledger "~pm2.release$moment" "$when" 'kill'
        muster run abort "$run" --leave --yes
        wait "$begun"
        until_true 60 agent_hit app1
        until_true 90 is_enabled enabled
        until_true 60 is_released
        muster pm2 restore apps --yes >"$work/restore" || fail "not restored: $(cat "$work/restore")"
        echo "left, and its agent killed $when pm2.release$moment: enabled"
done < <(printf '%s\n' before after 'before ,"done"' 'after ,"done"' | sample 2)

begin_and_pause
for phase in restore verify; do
        muster run skip "$run" "$(step_of "$phase")" --why "apps are started by hand"
done
wait "$begun"
until_true 60 is_state part
until_true 60 is_enabled enabled
echo "skipped: enabled"
muster pm2 restore apps --yes >"$work/restore" || fail "not restored: $(cat "$work/restore")"

# systemd cannot enable a unit where it cannot write.
begin_and_pause
wants=/etc/systemd/system/multi-user.target.wants
on mount --bind "$wants" "$wants"
on mount -o remount,bind,ro "$wants"
muster run abort "$run" --leave --yes
wait "$begun"
until_true 60 is_state aborted
held() {
        { muster check apps || true; } | grep -A 1 pm2-boot-unit-held | grep -q "$unit is disabled since .* by run $run, which is over"
}
until_true 60 held
on umount "$wants"
muster check apps --fix >"$work/fix" || true
grep -q "app1/apps pm2.release: $unit is enabled again" "$work/fix" || fail "not repaired: $(cat "$work/fix")"
is_enabled enabled || fail "the unit is not enabled after the repair"
! held || fail "what was repaired is still found"
echo "check: found what could not be enabled, and repaired it"
