#!/bin/bash
# timeout: 420
# The testbed where PID 1 is systemd and owns the cgroups: the same test, run inside one of its own hosts.
# shellcheck disable=SC2154 # lib.sh sets them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
if [[ $(cat /proc/1/comm) == systemd ]]; then
        echo "this machine's PID 1 is systemd: test_testbed.sh has just seen it"
        exit 0
fi
own_testbed ts- 10.94.0
# Hosts within a host: it may mount, make bridges and write to /proc/sys, which nspawn would else withhold.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes SYSTEMD_SECCOMP=0 TESTBED_NSPAWN=--capability=all
"$testbed" up outer
"$testbed" push outer "$root/tests" /srv/tests
"$testbed" run outer timeout 360 bash /srv/tests/e2e/test_testbed.sh
