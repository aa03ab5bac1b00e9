# shellcheck shell=bash
# What every part uses: settings, messages, bounded waits, and processes known by pid and start time.

TESTBED_DIR=${TESTBED_DIR:-/var/lib/muster-testbed}
TESTBED_UPPER=${TESTBED_UPPER:-disk}
TESTBED_PREFIX=${TESTBED_PREFIX:-}
TESTBED_NET=${TESTBED_NET:-10.91.0}
TESTBED_WAIT=${TESTBED_WAIT:-90}
export TESTBED_DIR TESTBED_UPPER TESTBED_PREFIX TESTBED_NET TESTBED_WAIT

die() {
        echo "testbed: $*" >&2
        exit 1
}

say() {
        echo "testbed: $*" >&2
}

# each COMMAND HOST...: one after the other; names must be there.
each() {
        local command=$1 host
        shift
        [[ $# -gt 0 ]] || die "which host? (testbed list shows them)"
        for host; do "$command" "$host"; done
}

# One changing verb at a time. Background processes must not inherit the lock: they close descriptor 9.
locked() {
        mkdir -p "$TESTBED_DIR"
        exec 9>"$TESTBED_DIR/lock"
        flock -w 300 9 || die "another testbed command holds $TESTBED_DIR/lock"
        "$@"
        exec 9>&-
}

now_ms() {
        local now=${EPOCHREALTIME/[.,]/}
        echo $((now / 1000))
}

# wait_until SECONDS COMMAND...: polls every 50 ms; fails when the time is over.
wait_until() {
        local deadline=$(($(now_ms) + $1 * 1000))
        shift
        until "$@"; do
                [[ $(now_ms) -lt $deadline ]] || return 1
                sleep 0.05
        done
}

# Pid and start time name a process for ever; a pid alone may have been given to another.
process_started() {
        local stat
        stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
        stat=${stat##*) }
        # shellcheck disable=SC2086 # fields
        set -- $stat
        [[ $1 != Z ]] || return 1
        echo "${20}"
}

process_remember() { # FILE PID
        local started
        started=$(process_started "$2") || return 1
        echo "$2 $started" >"$1.new" && mv "$1.new" "$1"
}

# Prints the pid that FILE remembers if that very process still lives.
process_recall() { # FILE
        local pid started
        read -r pid started 2>/dev/null <"$1" || return 1
        [[ $(process_started "$pid") == "$started" ]] || return 1
        echo "$pid"
}

process_gone() { # FILE
        ! process_recall "$1" >/dev/null
}

process_end() { # FILE SIGNAL
        local pid
        pid=$(process_recall "$1") || return 0
        kill "-$2" "$pid" 2>/dev/null || true
}
