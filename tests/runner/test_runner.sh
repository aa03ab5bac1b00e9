#!/bin/bash
# The runner must tell a pass from a failure, a skip, a test that never ends and one that leaves a process behind.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
work=$(mktemp -d)
trap 'processes_end; rm -rf "$work"' EXIT
unset MUSTER_TEST_RUN
# shellcheck disable=SC2034 # the parts read them
root=$work logs=$work
. tests/runner/report.sh
. tests/runner/processes.sh
bad=0

expect() { # PATTERN COMMAND...
        local output
        output=$(run_test sample 2 "${@:2}")
        # shellcheck disable=SC2053
        if [[ $output != $1 ]]; then
                echo "expected '$1' from: ${*:2}"
                echo "  got: $output"
                bad=1
        fi
}

expect 'pass sample (*' true
expect 'FAIL sample (*: exit 3;*' bash -c 'exit 3'
expect 'skip sample (*: no such server' bash -c 'echo no such server; exit 77'
expect 'FAIL sample (*: not done within 2 s;*' sleep 60
expect 'FAIL sample (*: left processes running;*' bash -c 'setsid sleep 60 & disown'
if [[ -n $(processes_left) ]]; then
        echo "the process that a test left behind still runs"
        bad=1
fi

# One seed, one sample; another seed, another; --all, all; and the order is kept.
picked() { # ALL SEED
        seq 40 | MUSTER_TEST_ALL=$1 MUSTER_TEST_SEED=$2 bash -c '. tests/runner/sample.sh; sample 5' | xargs
}
say() {
        echo "$*"
        bad=1
}
[[ $(picked 0 7) == $(picked 0 7) ]] || say "one seed picked twice differently"
[[ $(picked 0 7) != $(picked 0 8) ]] || say "two seeds picked the same"
[[ $(picked 0 7 | wc -w) -eq 5 ]] || say "five were asked for: $(picked 0 7)"
[[ $(picked 0 7) == $(picked 0 7 | xargs -n 1 | sort -n | xargs) ]] || say "the order was not kept: $(picked 0 7)"
[[ $(picked 1 7) == $(seq 40 | xargs) ]] || say "--all did not take all"
exit "$bad"
