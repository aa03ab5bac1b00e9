# shellcheck shell=bash
# What the end-to-end tests share: a testbed of their own beside whatever else runs here, and plain assertions.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
testbed=$root/tests/testbed/testbed
control=$root/tests/testbed/fixtures/control

skip() {
        echo "$*"
        exit 77
}

fail() {
        echo "FAILED: $*"
        exit 1
}

muster() {
        "$control" muster "$@"
}

# own_testbed PREFIX NET: no other testbed is touched, and this one goes when the test ends, however it ends. TEST_PREFIX
# and TEST_NET have another one, for whoever runs the same test twice at a time.
own_testbed() {
        set -- "${TEST_PREFIX:-$1}" "${TEST_NET:-$2}"
        [[ $EUID -eq 0 ]] || skip "real hosts need root"
        export TESTBED_PREFIX=$1 TESTBED_NET=$2 TESTBED_DIR=/var/lib/muster-testbed-${1%-}
        "$testbed" down
        trap 'own_testbed_end $?' EXIT
        trap 'exit 130' INT TERM HUP
}

own_testbed_end() {
        trap - EXIT
        [[ $(type -t before_down) != function ]] || before_down "$1" || true
        "$testbed" down || exit 1
        exit "$1"
}

# until_true SECONDS COMMAND...
until_true() {
        local deadline=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                ((SECONDS < deadline)) || fail "waited in vain for: $*"
                sleep 0.1
        done
}

equal() { # WHAT EXPECTED GOT
        [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"
}
