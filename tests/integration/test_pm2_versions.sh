#!/bin/bash
# test_pm2.sh and test_pm2_traps.sh with each major version of PM2 that fleets still run beside the one on PATH, from npm.
# timeout: 900
# MUSTER_BUILD keeps the packages (build/asan), so that the next run needs no registry; where it is in a home that other
# users cannot enter, /var/cache/muster-tests does.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
build=$(realpath "${MUSTER_BUILD:-build/asan}")
packages=$build
if [[ $EUID -eq 0 ]] && ! setpriv --reuid nobody --regid nogroup --clear-groups test -x "$build"; then
        packages=/var/cache/muster-tests
fi
for major in 5 6; do
        prefix=$packages/pm2-$major
        if [[ ! -x $prefix/node_modules/.bin/pm2 ]]; then
                mkdir -p "$prefix"
                npm install --silent --no-audit --no-fund --prefix "$prefix" "pm2@$major" >/dev/null ||
                        { echo "test_pm2_versions: npm cannot install pm2@$major" >&2; exit 1; }
        fi
        for story in test_pm2 test_pm2_traps; do
                PM2=$prefix/node_modules/.bin/pm2 MUSTER_BUILD=$build bash tests/integration/$story.sh
        done
done
