# shellcheck shell=bash disable=SC2154
# Running one test, bounded, and ending what it leaves behind. Every process that a test starts, however it
# daemonizes, carries this run's mark in its environment, and is found by it.

MUSTER_TEST_RUN=$$-$EPOCHSECONDS
export MUSTER_TEST_RUN

processes_left() {
        local file pid
        for file in $(grep -lsz "^MUSTER_TEST_RUN=$MUSTER_TEST_RUN\$" /proc/[0-9]*/environ 2>/dev/null); do
                pid=${file#/proc/}
                pid=${pid%/environ}
                # The search itself carried the mark, and is gone by now.
                [[ ! -d /proc/$pid || $(sed -n 's/^State:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) == Z* ]] || echo "$pid"
        done
}

# A process that was told to end may need a moment; what is still there then was left.
processes_settle() {
        local tries=40
        while [[ -n $(processes_left) ]] && ((tries-- > 0)); do sleep 0.05; done
}

# Told first, so that a test can take its hosts down; then killed.
processes_end() {
        local left tries=400
        left=$(processes_left)
        [[ -n $left ]] || return 0
        # shellcheck disable=SC2086 # pids
        kill -TERM $left 2>/dev/null
        while [[ -n $(processes_left) ]] && ((tries-- > 0)); do sleep 0.05; done
        left=$(processes_left)
        # shellcheck disable=SC2086
        [[ -z $left ]] || kill -KILL $left 2>/dev/null
}

# run_test NAME SECONDS COMMAND...: pass, fail or skip, by exit code, time limit and what it leaves running.
run_test() {
        local name=$1 limit=$2 log start took status=0 left why
        shift 2
        log=$logs/${name//\//-}.log
        start=$(now_ms)
        timeout --kill-after=30 "$limit" "$@" </dev/null >"$log" 2>&1 &
        wait $! || status=$?
        took=$(($(now_ms) - start))
        processes_settle
        left=$(processes_left)
        if [[ -n $left ]]; then
                # shellcheck disable=SC2086
                ps -o pid,args -p "$(echo $left | tr ' ' ,)" >>"$log"
                processes_end
        fi
        why=$(tail -n 1 "$log")
        if [[ $status -eq 77 ]]; then
                report skip "$name" "$took" "$why"
        elif [[ $status -eq 124 || $status -eq 137 ]]; then
                report fail "$name" "$took" "not done within $limit s; see ${log#"$root"/}"
        elif [[ $status -ne 0 ]]; then
                report fail "$name" "$took" "exit $status; see ${log#"$root"/}"
                tail -n 15 "$log" | sed 's/^/     | /'
        elif [[ -n $left ]]; then
                report fail "$name" "$took" "left processes running; see ${log#"$root"/}"
        else
                report pass "$name" "$took"
        fi
        return "$((status != 0))"
}
