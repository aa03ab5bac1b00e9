#!/bin/bash
# test_pm2.sh and test_pm2_traps.sh with each major version that fleets run, from npm, and test_pm2_agent.sh with one of
# them, each day another; but for the one on PATH, with which those run by themselves.
# timeout: 1500
# MUSTER_BUILD keeps the packages (build/asan), so that the next run needs no registry; where it is in a home that other
# users cannot enter, /var/cache/muster-tests does.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/runner/sample.sh
build=$(realpath "${MUSTER_BUILD:-build/asan}")
packages=$build
if [[ $EUID -eq 0 ]] && ! setpriv --reuid nobody --regid nogroup --clear-groups test -x "$build"; then
        packages=/var/cache/muster-tests
fi
# Even this command starts a daemon where there is none: in a home of its own, where it is ended.
version_of() { # PM2
        local home
        home=$(mktemp -d /tmp/muster-pm2-version.XXXXXX)
        PM2_HOME=$home "$1" --version 2>/dev/null </dev/null | tail -n 1
        PM2_HOME=$home "$1" kill >/dev/null 2>&1 </dev/null
        rm -rf "$home"
}

present=$(version_of pm2)
agents=$(printf '%s\n' 5 6 7 | grep -v "^${present%%.*}$" | sample 1)
for major in 5 6 7; do
        if [[ $present == "$major".* ]]; then
                echo "PM2 $present: the one on PATH"
                continue
        fi
        prefix=$packages/pm2-$major
        if [[ ! -x $prefix/node_modules/.bin/pm2 ]]; then
                mkdir -p "$prefix"
                npm install --silent --no-audit --no-fund --prefix "$prefix" "pm2@$major" >/dev/null ||
                        { echo "test_pm2_versions: npm cannot install pm2@$major" >&2; exit 1; }
        fi
        version=$(version_of "$prefix/node_modules/.bin/pm2")
        [[ $version == "$major".* ]] || { echo "test_pm2_versions: PM2 in $prefix is $version, not $major" >&2; exit 1; }
        stories=(test_pm2 test_pm2_traps)
        [[ $agents != *$major* ]] || stories+=(test_pm2_agent)
        for story in "${stories[@]}"; do
                PM2=$prefix/node_modules/.bin/pm2 MUSTER_BUILD=$build bash tests/integration/$story.sh
        done
        echo "PM2 $version: as it should be"
done
