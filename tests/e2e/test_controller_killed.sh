#!/bin/bash
# timeout: 600
# The controller is killed in the middle of the reboot phase and started again: the run ends well, and no host
# reboots twice.
# shellcheck disable=SC2154 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=evidence.sh
. "$(dirname "$0")/evidence.sh"
# shellcheck source=fleet.sh
. "$(dirname "$0")/fleet.sh"
fleet_with_muster ck- 10.96.0
muster check --fix
remember

# A host that is down or has a new boot: the phase has begun, by the hosts' own word.
boot_of() {
        "$testbed" list | awk -v host="$1" '$1 == host { print $4 }'
}

reboot_begun() {
        local host id
        while read -r host _ id; do
                [[ $(boot_of "$host") == "$id" ]] || return 0
        done <"$work/boots"
        return 1
}

muster reboot --yes --detach
until_true 180 reboot_begun
"$control" kill
echo "controller: killed in the reboot phase"
until_true 60 "$testbed" wait
"$control" start
status=0
muster run watch || status=$?
equal "how the run ended" 0 "$status"
assert_restarted
