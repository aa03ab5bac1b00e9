# shellcheck shell=bash disable=SC2154,SC2034
# The light fleet (tests/testbed/fixtures/light) with muster on it, whose daemons can be made to die, stand still or
# lose their disk at a chosen write (tests/faults/write_fault.c): fleet_light PREFIX NET.
light=$root/tests/testbed/fixtures/light
MUSTER_BUILD=$(realpath "${MUSTER_BUILD:-$root/build/release}")
write_fault=$MUSTER_BUILD/tests/faults/write_fault.so
export MUSTER_BUILD CONTROL_FLEET=light CONTROL_ENV
work=

# shellcheck source=../runner/sample.sh
. "$root/tests/runner/sample.sh"

before_down() {
        local host
        if [[ $1 -ne 0 && -e $work/run ]]; then
                echo "-- the last command's words:"
                tail -n 30 "$work/run"
                muster run ls || true
        fi
        if [[ $1 -ne 0 && -e $TESTBED_DIR/control/log ]]; then
                echo "-- the controller's log:"
                tail -n 40 "$TESTBED_DIR/control/log"
                for host in db1 db2 app1; do
                        echo "-- the agent of $host:"
                        timeout 10 "$testbed" run "$host" journalctl --quiet --unit=muster-agent --lines=20 --output=short-precise || true
                done
        fi
        [[ $(type -t light_before_down) != function ]] || light_before_down
        "$control" down
        rm -f "$TESTBED_DIR"/fault*
        [[ -z $work ]] || rm -rf "$work"
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

# The agents' disks can be made to fail as well, from now on.
agents_faulty() {
        local host
        for host in db1 db2 app1; do
                "$testbed" push "$host" "$write_fault" /srv/write_fault.so
                printf '[Service]\nEnvironment=LD_PRELOAD=/srv/write_fault.so MUSTER_FAULT=/run/fault\n' >"$work/drop-in"
                "$testbed" push "$host" "$work/drop-in" /etc/systemd/system/muster-agent.service.d/fault.conf
                "$testbed" run "$host" systemctl daemon-reload
        done
        agents_anew
}

# An agent whose links have all been short dials ever more seldom: started anew it dials at once.
agents_anew() {
        local host
        for host in db1 db2 app1; do "$testbed" run "$host" systemctl restart muster-agent.service; done
        until_true 60 connected
}

connected() {
        muster status --json | jq -e '[.hosts[].connected] | all'
}

agent_fault() { # HOST ENDING WHICH WHEN WHAT
        # shellcheck disable=SC2016 # the host's shell
        "$testbed" run "$1" sh -c 'rm -f /run/fault.hit; echo "$*" >/run/fault.new; mv /run/fault.new /run/fault' sh "${@:2}"
}

agent_hit() { # HOST
        "$testbed" run "$1" test -e /run/fault.hit
}

# begin SCOPE...: a restart (or $verb) in the background; its words are in $work/run, its exit in $work/exit.
begin() {
        rm -f "$work/exit"
        (
                status=0
                muster "${verb:-restart}" --yes "$@" >"$work/run" 2>&1 || status=$?
                echo "$status" >"$work/exit"
        ) &
        begun=$!
}

# What begin began has ended; its exit is in $work/exit.
ended() { # SECONDS
        until_true "$1" test -e "$work/exit"
        wait "$begun"
}

# moved CASE [COMMAND...]: a run that pauses names what moves it: that is typed, as it stands, three times at most, and
# before each the COMMAND.
moved() {
        local command
        for _ in 1 2 3; do
                [[ $(cat "$work/exit") -eq 4 ]] || break
                command=$(muster run ls --limit 1 --json | jq -r '.runs[0].waiting_for' | grep -o 'run retry [^ ]* [0-9]*' | head -n 1)
                [[ -n $command ]] || fail "$1: the paused run names no command that moves it"
                echo "$1: typed: muster $command, since $(muster run ls --limit 1 --json | jq -r '.runs[0].waiting_for')"
                [[ $# -lt 2 ]] || "${@:2}"
                # shellcheck disable=SC2086 # words
                muster $command >>"$work/run"
                muster run watch >>"$work/run" 2>&1 && echo 0 >"$work/exit" || echo $? >"$work/exit"
        done
        equal "$1: exit" 0 "$(cat "$work/exit")"
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

# The agents' own word beside it: no operation was accepted twice. A second such line with figures is what it saw
# before its work.
assert_ledgers() {
        local host twice
        for host in db1 db2 app1; do
                twice=$("$testbed" run "$host" grep -o '"id":"[^"]*","kind":"[^"]*","state":"accepted".*"figures":\[\]' \
                        /var/lib/muster-agent/ledger | grep -o '^"id":"[^"]*"' | sort | uniq -d) || true # none: written anew
                [[ -z $twice ]] || fail "accepted twice on $host: $twice"
        done
}

# Nothing was sent that was not written down first: every operation that an agent has accepted is in the journal.
# The controller must not run, or it must be waiting for room.
assert_announced() {
        local host id
        rm -rf "$work/journal" && mkdir "$work/journal"
        cp "$TESTBED_DIR"/control/state/muster.db* "$work/journal"
        sqlite3 "$work/journal/muster.db" 'SELECT json FROM journal' | grep '"intent"' >"$work/intents" || true
        for host in db1 db2 app1; do
                "$testbed" run "$host" grep '"state":"accepted"' /var/lib/muster-agent/ledger || true
        done | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/' >"$work/accepted"
        while read -r id; do
                grep -q "$id" "$work/intents" || fail "operation $id was begun, and the journal does not hold it"
        done <"$work/accepted"
}
