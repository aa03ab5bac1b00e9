#!/bin/bash
# timeout: 420
# The share of apps that has to come back (at_least), with apps that really fail: a run that loses one of two is done
# where half is enough, and names it; one that loses both is not.
# shellcheck disable=SC2154,SC2034 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=light.sh
. "$(dirname "$0")/light.sh"
export LIGHT_AT_LEAST=50%

on() { # COMMAND...
        "$testbed" run app1 "$@"
}

# An app that is to fail says why and ends at once, as often as PM2 starts it.
break_app() { # NAME
        on touch "/var/lib/light/broken.$1"
}

is_state() { # WORD
        [[ $(muster run ls --limit 1 --json | jq -r '.runs[0].state') == "$1" ]]
}

fleet_light al- 10.95.8
on sed -i "s|^note('start');|if (fs.existsSync('/var/lib/light/broken.' + name)) throw new Error(name + ' has no licence');\n&|" \
        /var/lib/light/app.js

break_app one
begin apps
wait "$begun"
equal "how the run ended that lost one of two: $(cat "$work/run")" 0 "$(cat "$work/exit")"
is_state "done" || fail "the run is not done: $(muster run ls)"
muster report >"$work/report"
grep -q "^- 1 PM2 apps are not as they were saved" "$work/report" || fail "the report does not count it: $(cat "$work/report")"
grep -q '^- app1/apps pm2.verify: one (0): ' "$work/report" || fail "the report does not name the app that failed"
grep -q '^- app1/apps pm2.verify: log of one (0): Error: one has no licence' "$work/report" || fail "the report does not say why"
echo "one of two: done, and named"

# One is errored now, and counts as it is: stopped. So both have to run before both can fail.
on rm /var/lib/light/broken.one
as_light() {
        on runuser -u light -- env HOME=/var/lib/light PM2_HOME=/var/lib/light/.pm2 "$@"
}
as_light pm2 restart one >/dev/null
for app in one two; do break_app $app; done
begin apps
until_true 180 is_state paused
muster run ls --limit 1 --json | jq -r '.runs[0].waiting_for' >"$work/waiting"
grep -q 'pm2.restore' "$work/waiting" || fail "it waits for something else: $(cat "$work/waiting")"
on rm /var/lib/light/broken.one
run=$(muster run ls --limit 1 --json | jq -r '.runs[0].run')
step=$(grep -oE "retry $run [0-9]+" "$work/waiting" | grep -oE '[0-9]+$')
muster run retry "$run" "$step"
wait "$begun" || true
until_true 180 is_state "done"
echo "none of two: paused; one of two when tried again: done"
