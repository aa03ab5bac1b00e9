# shellcheck shell=bash disable=SC2154
# The three-host fleet with muster on it, for a test of its own: fleet_with_muster PREFIX NET.
fleet=$root/tests/testbed/fixtures/fleet
work=

# The controller goes with the hosts; after a failure its last words are the test's.
before_down() {
        if [[ $1 -ne 0 && -e $TESTBED_DIR/control/log ]]; then
                echo "-- the controller's log:"
                tail -n 40 "$TESTBED_DIR/control/log"
        fi
        "$control" down
        [[ -z $work ]] || rm -rf "$work"
}

fleet_with_muster() {
        own_testbed "$1" "$2"
        "$control" down
        export DEMO_DATA_MB=${DEMO_DATA_MB:-60}
        "$fleet" up
        "$control" install
        "$control" start
        "$control" join
        work=$(mktemp -d)
        echo "fleet: up, with muster"
}

# What is to be the same, or one more, after the restart.
remember() {
        local host
        "$fleet" pm2 >"$work/pm2"
        for host in db1 db2 app1; do echo "$host $(boots_noted "$host") $(boot_noted "$host")"; done >"$work/boots"
}

assert_restarted() {
        local host boots id
        while read -r host boots id; do assert_boots "$host" "$boots" "$id" </dev/null; done <"$work/boots"
        echo "boots: one more each"
        assert_order
        assert_services "$work/pm2"
        echo "services: as before"
}
