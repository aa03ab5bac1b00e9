#!/bin/bash
# timeout: 300
# The evidence that the other tests judge by, without muster: a restart done right by hand must satisfy it, and one
# done as PM2's own boot unit does it, racing Redis, must not.
# shellcheck disable=SC2154 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=evidence.sh
. "$(dirname "$0")/evidence.sh"
# shellcheck source=fleet.sh
. "$(dirname "$0")/fleet.sh"
own_testbed ev- 10.97.0
DEMO_DATA_MB=150 FLEET_PM2_UNIT=1 "$fleet" up
work=$(mktemp -d)

as_beamdevlive() {
        on app1 runuser -u beamdevlive -- env HOME="$home" PM2_HOME="$home/.pm2" "$@"
}

reboot_all() {
        local host job jobs=()
        for host in db1 db2 app1; do
                "$testbed" reboot "$host" &
                jobs+=($!)
        done
        for job in "${jobs[@]}"; do wait "$job"; done
}

# The router answers once the master has loaded.
answers() { # HOST PORT
        redis-cli -h "$("$testbed" address "$1")" -p "$2" ping | grep -q PONG
}

all_loaded() {
        answers app1 6400 && answers db2 6377 && answers db2 6378 && answers db2 6376
}

started() {
        [[ $(service_lines ready | wc -l) -eq 36 ]]
}

on db2 systemctl enable --quiet redis-stack-server@bull01 redis-stack-server@bull02
! command -v tile38-server >/dev/null || on db1 systemctl enable --quiet tile38@beamdevlive
on app1 systemctl disable --quiet pm2-beamdevlive
remember
as_beamdevlive pm2 stop all >/dev/null
reboot_all
until_true 120 all_loaded
on app1 systemctl start pm2-beamdevlive
until_true 60 started
assert_restarted
echo "right: taken as right"

as_beamdevlive env EXTRA=1 pm2 restart sms-dev --update-env >/dev/null
! (assert_services "$work/pm2") >"$work/output" || fail "a changed environment is not seen"
grep '^sms-dev #0: env was' "$work/output" || fail "the difference is not named: $(cat "$work/output")"
as_beamdevlive pm2 stop mailer-dev >/dev/null
! (assert_services "$work/pm2") >"$work/output" || fail "a stopped service is not seen"
grep '^mailer-dev #0: status was "online", is "stopped"' "$work/output" || fail "the difference is not named"

on app1 systemctl enable --quiet pm2-beamdevlive
reboot_all
until_true 120 all_loaded
! (assert_order) >"$work/output" || fail "services that raced Redis are not seen"
grep 'before bds00 on db1 was ready' "$work/output" || fail "the wrong order is not named: $(cat "$work/output")"
! (assert_boots db1 1 "$(boot_noted db1)") >"$work/output" || fail "a second reboot is not seen"
grep 'boots that db1 noted' "$work/output"
echo "wrong: seen as wrong"
