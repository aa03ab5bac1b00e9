#!/bin/bash
# timeout: 600
# The main job: three hosts rebooted in order by muster; what happened is read from the hosts, not from muster.
# shellcheck disable=SC2154 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=evidence.sh
. "$(dirname "$0")/evidence.sh"
# shellcheck source=fleet.sh
. "$(dirname "$0")/fleet.sh"
fleet_with_muster re- 10.95.0
remember

status=0
muster check >"$work/check" || status=$?
cat "$work/check"
equal "exit of check while something blocks" 1 "$status"
for unit in redis-stack-server@bull01 redis-stack-server@bull02; do
        grep -q "$unit" "$work/check" || fail "check does not name $unit, which would not come back"
done
grep -q bds "$work/check" || fail "check does not name the master's large append-only file"
muster check --fix
for unit in bull01 bull02; do
        on db2 systemctl is-enabled --quiet "redis-stack-server@$unit" || fail "check --fix left $unit disabled"
done
echo "check: found and repaired"

muster plan reboot
equal "boots after a mere plan" 1 "$(boots_noted db1)"
muster reboot --yes
assert_restarted
muster report | tee "$work/report"
for host in db1 db2 app1; do grep -q "$host" "$work/report" || fail "the report does not speak of $host"; done
# What the rewrite before the reboot was worth: sizes of a real append-only file, and a range.
grep -qE '^\| db1/bds redis\.rewrite \| size \| [0-9.]+ [kM]?B \| [0-9.]+ [kM]?B \| [^|]+ \| [0-9.]+ .*s to [0-9.]+ .*s \|$' "$work/report" ||
        fail "the report does not say what the rewrite of bds saves"
muster run ls | tee "$work/runs"
grep -q "done" "$work/runs" || fail "the run is not listed as done"

muster pm2 diff apps || fail "muster sees a difference between the run's snapshot and live"

# A comparison that cannot see a difference would prove nothing.
on app1 runuser -u beamdevlive -- env HOME="$home" PM2_HOME="$home/.pm2" EXTRA=1 \
        pm2 restart sms-dev --update-env >/dev/null
! (assert_services "$work/pm2") >/dev/null || fail "a changed environment is not seen"
echo "comparison: sees a changed environment"
status=0
muster pm2 diff apps >"$work/diff" || status=$?
equal "exit of pm2 diff" 1 "$status"
grep -qE '^  sms-dev +[0-9]+ +env ' "$work/diff" || fail "pm2 diff does not name it: $(cat "$work/diff")"
muster pm2 restore apps --yes
"$fleet" pm2 >"$work/pm2.restored"
"$(dirname "$fleet")/pm2-state" "$work/pm2" "$work/pm2.restored" || fail "PM2 holds something else than before"
echo "pm2: seen and brought back by hand"
