# shellcheck shell=bash disable=SC2034
# For tests that drive the real programs on loopback: a controller, agents, the command line. Sourced, with the
# root of the tree as the present folder; it sets $work, and nothing that start() began outlives the test. A test may define
# before_end, which is called before all is ended.
build=$(readlink -f "${MUSTER_BUILD:-build/asan}")
muster=$build/cli/muster
controller=$build/controller/muster-controller
agent=$build/agent/muster-agent
work=$(mktemp -d)
started=()
failures=0
cases=0

finish() {
        local pid
        trap - EXIT
        ! declare -F before_end >/dev/null || before_end
        for pid in "${started[@]}"; do
                kill -CONT "$pid" 2>/dev/null || true
                kill -KILL "$pid" 2>/dev/null || true
        done
        for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
        rm -rf "$work"
}
trap finish EXIT
set -E
trap 'echo "stopped at line $LINENO: $BASH_COMMAND" >&2' ERR
exec </dev/null
trap 'exit 130' INT TERM HUP

fail() {
        echo "FAIL: $*" >&2
        failures=$((failures + 1))
}

# A program in the background that ends with this test, however this test ends. Its input is start's own.
start() { # LOG COMMAND...
        local log=$1
        shift
        setpriv --pdeathsig KILL "$@" >>"$log" 2>&1 <&0 &
        started+=("$!")
}

# until_true SECONDS COMMAND...: the thing itself, bounded.
until_true() {
        local tries=$(($1 * 20))
        shift
        until "$@" >/dev/null 2>&1; do
                ((tries-- > 0)) || return 1
                sleep 0.05
        done
}

# expect EXIT PATTERN COMMAND...: the exit code, and a line of stderr (or of stdout, where stderr is empty) that
# matches. Usage errors are one line. EXPECT_SECONDS is how long it may take.
expect() {
        local code=$1 pattern=$2 status=0
        shift 2
        cases=$((cases + 1))
        timeout --kill-after=5 "${EXPECT_SECONDS:-30}" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
        [[ $status -eq $code ]] || fail "exit $status instead of $code: ${*##*/}: $(head -n 3 "$work/err")"
        [[ -s $work/err ]] || cp "$work/out" "$work/err"
        grep -qE -- "$pattern" "$work/err" || fail "${*##*/}: no line matches '$pattern': $(head -n 3 "$work/err")"
        if [[ $code -eq 2 && $(wc -l <"$work/err") -ne 1 ]]; then
                fail "${*##*/}: a usage error is one line: $(cat "$work/err")"
        fi
}

answers() {
        "$muster" audit ls
}

# On any free port; with a port on that one, where an earlier controller was.
start_controller() { # [PORT]
        local try
        for try in 1 2 3 4 5; do
                port=${1:-$((20000 + (RANDOM + try) % 20000))}
                start "$work/controller.log" "$controller" --fleet "$work/fleet.yaml" --listen "127.0.0.1:$port" \
                        --state "$work/state"
                controller_pid=${started[-1]}
                export MUSTER_IDENTITY=$work/state/admin
                if until_true 10 answers; then return; fi
                kill -0 "$controller_pid" 2>/dev/null && break
        done
        cat "$work/controller.log" >&2
        fail "the controller does not answer"
        exit 1
}

host_is() { # HOST up|down|joined
        local filter
        case $2 in
        up) filter='.connected' ;;
        down) filter='.connected | not' ;;
        joined) filter='.joined' ;;
        esac
        "$muster" host ls --json | jq -e ".hosts[] | select(.name == \"$1\") | $filter"
}

# HOST's agent, which has joined: its state is in $work/HOST, its log in $work/HOST.log.
run_agent() { # HOST
        start "$work/$1.log" "$agent" --state "$work/$1"
        agent_pid=${started[-1]}
        until_true 20 host_is "$1" up || fail "the agent does not connect: $(tail -n 5 "$work/$1.log")"
}

# Ends by itself on SIGTERM, with 0: under the sanitizers that also means without a leak.
ends_well() { # NAME PID LOG
        local status=0
        kill -TERM "$2"
        wait "$2" || status=$?
        [[ $status -eq 0 ]] || fail "$1: exit $status after SIGTERM: $(tail -n 5 "$3")"
}

# The last word: sanitizers in any log, and the count.
conclude() {
        if grep -l "Sanitizer\|runtime error" "$work"/*.log; then fail "a sanitizer spoke: $(cat "$work"/*.log)"; fi
        echo "$cases commands, $failures failures"
        [[ $failures -eq 0 ]]
}
