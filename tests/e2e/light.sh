# shellcheck shell=bash disable=SC2154,SC2034
# The light fleet (tests/testbed/fixtures/light) with muster on it, whose daemons can be made to die, stand still or
# lose their disk at a chosen write (tests/faults/write_fault.c): fleet_light PREFIX NET.
light=$root/tests/testbed/fixtures/light
control=$root/tests/testbed/fixtures/control
MUSTER_BUILD=$(realpath "${MUSTER_BUILD:-$root/build/release}")
write_fault=$MUSTER_BUILD/tests/faults/write_fault.so
export MUSTER_BUILD CONTROL_FLEET=light CONTROL_ENV
work=

# shellcheck source=../runner/sample.sh
. "$root/tests/runner/sample.sh"

before_down() {
        if [[ $1 -ne 0 && -e $TESTBED_DIR/control/log ]]; then
                echo "-- the controller's log:"
                tail -n 40 "$TESTBED_DIR/control/log"
        fi
        "$control" down
        [[ -z $work ]] || rm -rf "$work"
}

muster() {
        "$control" muster "$@"
}

fleet_light() { # PREFIX NET
        [[ -e $write_fault ]] || fail "no $write_fault: build write_fault first"
        command -v tile38-server >/dev/null || skip "no tile38-server on PATH"
        own_testbed "$1" "$2"
        "$control" down
        order=$TESTBED_DIR/fault
        CONTROL_ENV="LD_PRELOAD=$write_fault MUSTER_FAULT=$order"
        "$light" up
        "$control" install
        "$control" start
        "$control" join
        work=$(mktemp -d)
        echo "fleet: up, with muster; seed $MUSTER_TEST_SEED"
}

# controller_fault ENDING WHICH WHEN WHAT: as write_fault.c has it, for the controller.
controller_fault() {
        rm -f "$order.hit" "$order.count"
        echo "$*" >"$order.new"
        mv "$order.new" "$order"
}

# What the hosts have noted since deeds_remember, one line a deed.
deeds_remember() {
        "$light" deeds >"$work/deeds"
}

deeds_since() {
        comm -13 "$work/deeds" <("$light" deeds)
}

# deeds_of KIND SERVICE...: what one run has to do, each thing once. KIND is restart or reboot.
deeds_of() {
        local service host
        for service in "${@:2}"; do
                case $service in
                cache) host=db1 ;;
                geo | web) host=db2 ;;
                *) host=app1 ;;
                esac
                printf '%s %s start\n%s %s stop\n' "$host" "$service" "$host" "$service"
                [[ $service != cache && $service != geo ]] || echo "$host $service rewrite"
        done
        [[ $1 == restart ]] || printf '%s boot\n' db1 db2 app1
}

assert_deeds() { # KIND SERVICE...
        local expected got
        expected=$(deeds_of "$@" | sort)
        got=$(deeds_since)
        [[ $got == "$expected" ]] || fail "what the hosts noted (>) is not what one run does (<):
$(diff <(echo "$expected") <(echo "$got") | grep '^[<>]')"
}

# The agents' own word beside it: no operation was accepted twice.
assert_ledgers() {
        local host twice
        for host in db1 db2 app1; do
                twice=$("$testbed" run "$host" grep -o '"id":"[^"]*","kind":"[^"]*","state":"accepted"' \
                        /var/lib/muster-agent/ledger | sort | uniq -d)
                [[ -z $twice ]] || fail "accepted twice on $host: $twice"
        done
}
