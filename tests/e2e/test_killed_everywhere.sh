#!/bin/bash
# timeout: 300
# timeout-all: 7200
# The controller is killed at each write of its journal in turn: before it, in its middle, after it, and after it
# with a second kill at the first write of its next life. Whatever the moment, the run that was begun ends well, the
# command that began it says so, and no host has done anything twice, by the hosts' own notes. The moments are
# counted in an undisturbed run, not chosen.
# shellcheck disable=SC2154 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=light.sh
. "$(dirname "$0")/light.sh"
fleet_light ke- 10.91.61
quick=(cache geo web front)
all=(cache geo web front one two)

begin_kind() {
        case $1 in
        quick) begin '!apps' ;;
        restart) begin ;;
        reboot) verb=reboot begin ;;
        esac
}

# The run itself, by the controller: the command may have lost it before it knew its name.
runs() {
        muster run ls --json | jq -r '.runs[] | .run + " " + .state'
}

over() {
        [[ -e $work/exit || -e $order.hit ]]
}

assert_done() { # KIND
        assert_ledgers
        case $1 in
        quick) assert_deeds restart "${quick[@]}" ;;
        *) assert_deeds "$1" "${all[@]}" ;;
        esac
}

# An undisturbed run of each kind; how many writes it makes.
count() { # KIND
        until_true 60 connected
        deeds_remember
        controller_fault muster.db-wal 1000000 before kill
        begin_kind "$1"
        ended 120
        equal "exit of an undisturbed $1" 0 "$(cat "$work/exit")"
        assert_done "$1"
        cat "$order.count"
}

# The controller again, to be killed once more at its next write where the case says so.
rise() { # WHEN
        "$control" gone || fail "the controller outlived its kill"
        assert_announced
        rm -f "$order.hit"
        if [[ $1 == twice ]]; then
                controller_fault muster.db-wal 1 before kill
                "$control" start 2>/dev/null || true
                until_true 60 over
                if [[ ! -e $work/exit ]]; then
                        until_true 10 "$control" gone
                        assert_announced
                fi
                rm -f "$order"
        fi
        "$control" start
}

case_of() { # KIND WRITE WHEN
        local before when=${3/twice/after} newest started=$SECONDS
        agents_anew
        before=$(runs)
        deeds_remember
        controller_fault muster.db-wal "$2" "$when" kill
        begin_kind "$1"
        until_true 120 over
        if [[ ! -e $order.hit ]]; then # two runs differ by a write or two
                ended 10
                [[ $2 -ge $((writes[$1] - 2)) ]] || fail "$*: the write was never made, in a run of ${writes[$1]}"
                echo "$*: the run had ended before"
                assert_done "$1"
                return
        fi
        until_true 10 "$control" gone
        rise "$3"
        newest=$(runs | head -n 1)
        if [[ $newest == "$(head -n 1 <<<"$before")" ]]; then
                ended 90 # with an error: nothing has begun
                [[ $(cat "$work/exit") -ne 0 ]] || fail "$*: no run is in the journal, and its command says that all is well"
                equal "what was done by a run that was never begun" "" "$(deeds_since)"
                until_true 60 connected
                begin_kind "$1"
        fi
        ended 240
        follow "$*"
        assert_done "$1"
        echo "$*: fine after $((SECONDS - started)) s"
}

# A command whose answer was lost with the controller says so and how to go on; else it has followed to the end.
follow() {
        if [[ $(cat "$work/exit") -ne 0 ]]; then
                grep -q 'muster run' "$work/run" || fail "$1: the command neither ended well nor says how to go on"
                muster run watch >>"$work/run" || fail "$1: the run ends with exit $?"
        fi
        equal "$1: the run" 'done' "$(runs | head -n 1 | cut -d' ' -f2)"
}

declare -A writes
for kind in quick restart reboot; do
        writes[$kind]=$(count "$kind" | tail -n 1)
        echo "$kind: ${writes[$kind]} writes of the journal; $SECONDS s"
done
cases() { # KIND
        local n when
        for ((n = 1; n <= writes[$1]; n++)); do
                for when in before torn after twice; do echo "$1 $n $when"; done
        done
}
while read -r case; do
        # shellcheck disable=SC2086 # words
        case_of $case </dev/null
done < <(
        cases quick | head -n 16 | sample 3 # the files are rewritten: what is done twice there is done twice
        cases quick | tail -n +17 | sample 4
        cases reboot | sample 1
        cases restart | sample 1
)
