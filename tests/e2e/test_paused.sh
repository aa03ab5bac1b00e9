#!/bin/bash
# timeout: 600
# A service that does not come back after the reboot: the run pauses and says so, nothing that needs it is started;
# once it is repaired, a retry brings the fleet back as it was.
# shellcheck disable=SC2154 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=evidence.sh
. "$(dirname "$0")/evidence.sh"
# shellcheck source=fleet.sh
. "$(dirname "$0")/fleet.sh"
fleet_with_muster pa- 10.97.0
"$control" stop
sed -i 's/^\(  bull-old: .*\)}$/\1, start_limit: 5s}/' "$TESTBED_DIR/control/fleet.yaml"
"$control" start
until_true 60 bash -c "'$control' muster status --json | jq -e '[.hosts[].connected] | all'"
muster check --fix
remember

# It runs now; its next start fails.
# shellcheck disable=SC2016 # the host's shell expands it
on db2 sh -c 'd=/etc/systemd/system/redis-stack-server@bull02.service.d; mkdir -p $d
        printf "[Service]\nExecStartPre=/usr/bin/test ! -e /var/tmp/broken\n" >$d/break.conf
        touch /var/tmp/broken; systemctl daemon-reload'

status=0
muster reboot --yes | tee "$work/run" || status=$?
equal "exit of a run that pauses" 4 "$status"
grep -q 'db2/bull-old' "$work/run" || fail "the run does not name what did not come back"
muster run show | tee "$work/show"
grep -q 'muster run retry' "$work/show" || fail "the paused run does not say how to move it"
equal "applications started while the run is paused" "" "$(service_lines start)"
on db2 systemctl is-active --quiet redis-stack-server@bull00 || fail "the others on its host are not back"
echo "paused: named, and nothing that needs it was started"

on db2 rm /var/tmp/broken
step=$(sed -n 's/.*muster run retry \(r[^ ]* [0-9]*\).*/\1/p' "$work/show" | head -n 1)
[[ -n $step ]] || fail "no retry command to copy"
# shellcheck disable=SC2086 # run and step
muster run retry $step
status=0
muster run watch || status=$?
equal "how the run ended after the retry" 0 "$status"
assert_restarted
