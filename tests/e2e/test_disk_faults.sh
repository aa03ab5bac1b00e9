#!/bin/bash
# timeout: 300
# timeout-all: 1800
# A disk that is full, and one whose fsync fails, under the controller's journal and under an agent's ledger: a clear
# error at once, nothing done that is not written down, and once there is room, the run goes on and does each thing
# once. The full disks are real; the failing fsync is tests/faults/write_fault.c, which stands in for one.
# shellcheck disable=SC2154,SC2034 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=light.sh
. "$(dirname "$0")/light.sh"
quick=(cache geo web front)
state=

light_before_down() {
        [[ -z $state ]] || umount --lazy "$state" 2>/dev/null || true
}

fill() { # COMMAND... that writes zeros from its input to a file
        head -c 64M /dev/zero | "$@" 2>/dev/null || true
}

fill_journal() {
        fill tee "$state/ballast" >/dev/null
        equal "room on the journal's disk" 0 "$(stat -f -c %a "$state")"
}

log_since() { # MARK
        tail -n "+$(($1 + 1))" "$TESTBED_DIR/control/log"
}

mark() {
        wc -l <"$TESTBED_DIR/control/log"
}

# What systemd does on the bastion: the controller that has ended is started again, and waits.
waits_for_room() {
        until_true 20 "$control" gone
        log_since "$1" | grep -q 'error: .*\(full\|No space\)' || fail "the log does not say that the disk is full: $(log_since "$1")"
        "$control" spawn
        until_true 10 refused
        echo "refused: $(cat "$work/refused")"
}

refused() {
        local status=0
        muster status >"$work/refused" 2>&1 || status=$?
        [[ $status -eq 5 ]] && grep -q "there is no room for the journal in .*/state" "$work/refused"
}

journal_full_at_rest() {
        local at
        at=$(mark)
        deeds_remember
        fill_journal
        begin '!apps'
        waits_for_room "$at"
        equal "done with a full disk under the journal" "" "$(deeds_since)"
        rm "$state/ballast"
        until_true 30 connected
        ended 90
        [[ $(cat "$work/exit") -ne 0 ]] || fail "a run that could not be written down is called done"
        equal "runs begun without room" "" "$(muster run ls --json | jq -r '.runs[].run')"
        equal "done by nobody's order" "" "$(deeds_since)"
        begin '!apps'
        ended 120
        equal "exit once there was room" 0 "$(cat "$work/exit")"
        assert_deeds restart "${quick[@]}"
        echo "journal full at rest: fine"
}

pid_of() {
        cut -d' ' -f1 "$TESTBED_DIR/control/pid"
}

# Stopped at a write, so that the disk is full at just that one.
journal_full_at() { # WRITE
        local at
        agents_anew
        at=$(mark)
        deeds_remember
        controller_fault muster.db-wal "$1" before stop
        begin '!apps'
        until_true 60 test -e "$order.hit"
        fill_journal
        kill -CONT "$(pid_of)"
        waits_for_room "$at"
        assert_announced
        rm "$state/ballast"
        until_true 60 connected
        finish_run "journal full at write $1"
}

finish_run() { # WHAT
        ended 120
        [[ $(cat "$work/exit") -eq 0 ]] || muster run watch >"$work/run" 2>&1 || { cat "$work/run"; fail "$1: the run ends with exit $?"; }
        assert_deeds restart "${quick[@]}"
        assert_ledgers
        echo "$1: fine"
}

# How many writes an undisturbed run makes: the last line.
count_writes() {
        agents_anew
        deeds_remember
        controller_fault muster.db-wal 1000000 before kill
        begin '!apps'
        finish_run "undisturbed"
        cat "$order.count"
}

journal_fsync_fails_at() { # WRITE
        local at
        agents_anew
        at=$(mark)
        deeds_remember
        controller_fault muster.db-wal "$1" after EIO
        begin '!apps'
        until_true 60 test -e "$order.hit"
        until_true 10 "$control" gone
        assert_announced
        log_since "$at" | grep -q 'error: .*the store cannot be written: disk I/O error' || fail "the log does not name the failing disk"
        "$control" start
        if ! muster run ls --json | jq -e '.runs[0].state == "running"' >/dev/null && [[ $1 -eq 1 ]]; then
                ended 90
                equal "done by a run that was never written down" "" "$(deeds_since)"
                begin '!apps'
        fi
        finish_run "fsync fails at write $1"
}

agent_room() { # full|free
        if [[ $1 == full ]]; then
                fill "$testbed" run db1 tee -a /var/lib/muster-agent/ballast >/dev/null
        else
                "$testbed" run db1 rm /var/lib/muster-agent/ballast
        fi
}

run_says() { # PATTERN
        muster run ls --json | jq -r '.runs[0].waiting_for' | grep "$1"
}

# A full disk still takes what fits into a file's last block: the ledger ends where one ends. The agent starts anew on
# the full disk, which keeps it from writing the ledger anew.
ledger_full() {
        # shellcheck disable=SC2016 # the host's shell
        "$testbed" run db1 sh -ec 'systemctl stop muster-agent; cd /var/lib; cp -a muster-agent agent.kept
                mount -t tmpfs -o size=1m,mode=700 ledger muster-agent; cp -a agent.kept/. muster-agent
                cd muster-agent; size=$(stat -c %s ledger)
                head -c $((4095 - size % 4096)) /dev/zero | tr "\\0" "#" >>ledger; echo >>ledger'
        agent_room full
        agents_anew
        agent_room full # what the agent gave back by writing an empty ledger anew
        deeds_remember
        begin '!apps'
        until_true 20 run_says "redis.rewrite (cannot write /var/lib/muster-agent/ledger: No space left"
        ! deeds_since | grep '^db1 cache' || fail "something was done on db1 that its ledger does not hold"
        agent_room free
        finish_run "ledger full"
}

# Once, at the result: it is told when it has been written, and nothing is done again.
ledger_full_at_result() {
        agents_anew
        deeds_remember
        agent_fault db1 /ledger '~redis.rewrite,"done"' before ENOSPC
        begin '!apps'
        finish_run "ledger full at a result"
        agent_hit db1 || fail "the fault was never met"
}

ledger_fsync_fails() { # WORDS
        agents_anew
        deeds_remember
        agent_fault db1 /ledger "~$1" after EIO
        begin '!apps'
        finish_run "fsync of the ledger fails at $1"
        agent_hit db1 || fail "the fault was never met"
}

fleet_light df- 10.91.62
"$control" stop
state=$TESTBED_DIR/control/state
cp -a "$state" "$work/kept"
mount -t tmpfs -o size=8m,mode=700 journal "$state"
cp -a "$work/kept/." "$state"
"$control" start
until_true 60 connected

journal_full_at_rest
writes=$(count_writes | tail -n 1)
echo "$writes writes of the journal in a run"
cases() {
        local write
        for write in $(seq 2 $((writes - 1))); do echo "journal_full_at $write"; done | sample 2
        for write in $(seq 1 $((writes - 1))); do echo "journal_fsync_fails_at $write"; done | sample 2
}
while read -r what write; do "$what" "$write" </dev/null; done < <(cases)
agents_faulty
ledger_full
ledger_full_at_result
for words in "accepted" "done"; do ledger_fsync_fails "redis.rewrite,$words"; done
