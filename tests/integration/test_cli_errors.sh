#!/bin/bash
# What `muster` and the daemons say and how they exit when something is wrong, and that they work when it is not:
# a real controller and a real agent on loopback, the real command line. MUSTER_BUILD says where the programs are.
# timeout: 240
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/integration/programs.sh

fleet_file() {
        cat >"$work/fleet.yaml"
}

sound_fleet() {
        fleet_file <<'YAML'
fleet: errors
hosts:
  one: {groups: [all]}
  two: {groups: [all]}
services:
  web: {kind: unit, host: one, unit: muster-no-such-unit}
YAML
}

# --- fleet files: FILE:LINE: what is wrong; exit 2, and nothing is started -------------------------------------

bad_fleet() { # LINE PATTERN, the file on stdin
        local line=$1 pattern=$2
        fleet_file
        expect 2 "^$work/fleet.yaml:$line: .*$pattern" "$controller" --check-config --fleet "$work/fleet.yaml"
        expect 2 "^$work/fleet.yaml:$line: .*$pattern" "$controller" --fleet "$work/fleet.yaml" \
                --listen 127.0.0.1:1 --state "$work/never"
        [[ ! -e $work/never ]] || fail "a controller with a bad fleet file made its state folder"
}

test_fleet_files() {
        bad_fleet 3 "rack" <<<$'fleet: f\nhosts:\n  one: {rack: 3}\n'
        bad_fleet 4 "one" <<<$'fleet: f\nhosts:\n  one: {}\n  one: {}\n'
        bad_fleet '[0-9]+' "circle|cycle" <<<$'fleet: f\nhosts:\n  one: {}\nservices:\n  a: {kind: unit, host: one, unit: a, needs: [b]}\n  b: {kind: unit, host: one, unit: b, needs: [a]}\n'
        bad_fleet 5 "nothing" <<<$'fleet: f\nhosts:\n  one: {}\nservices:\n  a: {kind: unit, host: one, unit: a, needs: [nothing]}\n'
        bad_fleet 5 "three" <<<$'fleet: f\nhosts:\n  one: {}\nservices:\n  a: {kind: unit, host: three, unit: a}\n'
        bad_fleet 5 "port" <<<$'fleet: f\nhosts:\n  one: {}\nservices:\n  a: {kind: redis, host: one, unit: a, port: many}\n'
        bad_fleet 2 "hosts" <<<$'fleet: f\nhosts: one\n'
        expect 2 "no-such-file" "$controller" --check-config --fleet "$work/no-such-file"
        sound_fleet
        expect 0 "fleet errors: 2 hosts, 1 services" "$controller" --check-config --fleet "$work/fleet.yaml"
}

# --- a real controller and a real agent ------------------------------------------------------------------------

start_agent() {
        local line
        line=$("$muster" host invite one 2>/dev/null)
        [[ $line == muster-join:1:one:127.0.0.1:* && $line != *$'\n'* ]] || fail "the invitation is not one line: $line"
        expect 5 "refused|another|not" "$agent" join "${line%??}00" --state "$work/thief"
        expect 0 "joined as one" "$agent" join "$line" --state "$work/one"
        expect 5 "used before" "$agent" join "$line" --state "$work/thief"
        run_agent one
}

# --- the command line -------------------------------------------------------------------------------------------

test_usage() {
        expect 2 "no command" "$muster"
        expect 2 "unknown command 'stats'; did you mean 'status'" "$muster" stats
        expect 2 "unknown option '--nope'" "$muster" --nope status
        expect 2 "unknown option '--jsn'.*--json" "$muster" status --jsn
        expect 2 "plan: .*reboot or restart" "$muster" plan destroy
        expect 2 "something is missing" "$muster" plan
        expect 2 "it takes ls, show, watch" "$muster" run
        expect 2 "did you mean 'watch'" "$muster" run wacth
        expect 2 "something is missing" "$muster" run pause
        expect 2 "not a step's number" "$muster" run retry r1 two
        expect 2 "no command is given" "$muster" exec one
        expect 2 "--timeout" "$muster" exec one --timeout soon -- true
        expect 2 "no format 'pdf'" "$muster" report --format pdf
        expect 2 "--limit" "$muster" run ls --limit 0
        expect 2 "not an address" "$muster" host invite one --address nowhere
        expect 2 "give --yes" "$muster" reboot
        expect 2 "give --yes" "$muster" restart one --detach
        expect 0 "usage: muster" "$muster" --help
        expect 0 "usage: muster exec SCOPE" "$muster" exec --help
        expect 0 "^muster [0-9]" "$muster" --version
}

test_unreachable() {
        local strange=$work/strange
        expect 5 "no-such-identity" "$muster" --identity "$work/no-such-identity" status
        cp "$work/state/admin" "$strange"
        chmod 644 "$strange"
        expect 5 "strange" "$muster" --identity "$strange" status
        chmod 600 "$strange"
        expect 0 "fleet errors" "$muster" --identity "$strange" status
        sed -i 's/^\(secret_key: \).*/\1'"$(printf '42%.0s' {1..32})"'/' "$strange"
        expect 5 "does not accept this identity" "$muster" --identity "$strange" status
        cp "$work/state/admin" "$strange"
        sed -i 's/^\(controller_key: \).*/\1'"$(printf '09%.0s' {1..32})"'/' "$strange"
        expect 5 "controller at 127.0.0.1" "$muster" --identity "$strange" status
        cp "$work/state/admin" "$strange"
        sed -i 's/^\(controller: \).*/\1127.0.0.1:1/' "$strange"
        expect 5 "cannot reach the controller at 127.0.0.1:1" "$muster" --identity "$strange" status
        echo "nonsense" >"$strange"
        expect 5 "strange:1: " "$muster" --identity "$strange" status
        # A controller that accepts and says nothing.
        kill -STOP "$controller_pid"
        expect 5 "did not answer within 5 s" "$muster" status
        kill -CONT "$controller_pid"
        until_true 20 answers || fail "the controller does not go on after it was stopped"
        # The usual place of an identity.
        mkdir -p "$work/home/.config/muster"
        cp "$work/state/admin" "$work/home/.config/muster/identity"
        expect 0 "fleet errors" env -u MUSTER_IDENTITY HOME="$work/home" "$muster" status
}

test_scopes() {
        expect 2 "no host or service 'three'" "$muster" status three
        expect 2 "is a group; write @all" "$muster" status all
        expect 2 "scope" "$muster" check 'one,,@'
        expect 2 "scope" "$muster" plan reboot @nobody
        expect 2 "scope" "$muster" exec '!@all' -- true
        expect 5 "not connected: two" "$muster" plan reboot
        expect 5 "not connected: two" "$muster" reboot --yes
        expect 1 "no host 'three'" "$muster" host invite three
        expect 1 "no host 'two' has joined" "$muster" host revoke two
        expect 1 "no run 'r0'" "$muster" run show r0
        expect 1 "no runs yet" "$muster" run watch
        expect 1 "no run 'r0'" "$muster" run abort r0
        expect 1 "" "$muster" report
        expect 0 "no runs yet" "$muster" run ls
        # A host that is there, with a unit that is not: refused before anything is done.
        expect 1 "muster-no-such-unit" "$muster" plan restart one
        expect 1 "blocks" "$muster" check one
}

test_json() {
        local command
        for command in "status" "host ls" "run ls" "audit ls" "check"; do
                cases=$((cases + 1))
                # shellcheck disable=SC2086 # words; a check may well end with 1
                "$muster" $command --json >"$work/json" 2>/dev/null || true
                jq -e . "$work/json" >/dev/null || fail "$command --json is not JSON"
        done
        [[ $("$muster" status --json | jq -r '.hosts[0].services[0].kind') == unit ]] || fail "status --json: kind"
        [[ $("$muster" audit ls --json | jq -r '[.entries[].action] | unique | contains(["invite", "join"])') == true ]] ||
                fail "the audit trail lacks the invitation or the joining"
}

test_exec() {
        local escape=$'a\033[31mb'
        expect 0 "^one: hello$" "$muster" exec one -- echo hello
        expect 1 "one: exit 7" "$muster" exec one -- sh -c 'exit 7'
        expect 3 "two: not connected" "$muster" exec @all -- true
        expect 5 "two: not connected" "$muster" exec two -- true
        expect 5 "one: .*muster-no-such-command" "$muster" exec one -- muster-no-such-command
        expect 1 "one: " "$muster" exec one --timeout 100ms -- sleep 20
        expect 2 "is for one host" "$muster" exec @all --raw -- touch "$work/ran"
        [[ ! -e $work/ran ]] || fail "exec --raw of two hosts ran its command"
        expect 0 '^one: a\?\[31mb$' "$muster" exec one -- printf '%s\n' "$escape"
        [[ $("$muster" exec one --raw -- printf '%s' "$escape") == "$escape" ]] || fail "--raw changed the bytes"
        [[ $("$muster" exec one -- sh -c 'echo out; echo err >&2' 2>/dev/null) == "one: out" ]] ||
                fail "stdout and stderr are not kept apart"
        # More than any buffer between holds, read late: nothing is lost.
        [[ $("$muster" exec one --raw -- head -c 20000000 /dev/zero | (sleep 1; wc -c)) -eq 20000000 ]] ||
                fail "a slow reader lost output"
}

marker_runs() {
        [[ -e $work/marker ]] && kill -0 "$(cat "$work/marker")"
}

marker_gone() {
        ! marker_runs
}

# Ctrl-C, or a client that is killed, ends the command at its host.
test_exec_interrupted() {
        local signal status client
        for signal in INT KILL; do
                rm -f "$work/marker"
                # The shell lets background children ignore SIGINT: it is put back.
                start "$work/exec.log" env --default-signal=INT "$muster" exec one -- \
                        sh -c "echo \$\$ >$work/marker.new; mv $work/marker.new $work/marker; exec sleep 300"
                client=${started[-1]}
                until_true 10 marker_runs || fail "the command was not started: $(cat "$work/exec.log")"
                kill "-$signal" "$client"
                status=0
                wait "$client" || status=$?
                [[ $signal != INT || $status -eq 3 ]] || fail "exec: exit $status after Ctrl-C"
                until_true 15 marker_gone || fail "the command went on after its client had SIG$signal"
        done
}

watched() { # a line of the watch whose host one is connected as said
        jq -es "any(.[]; .hosts[0].connected == $1)" "$work/watch"
}

test_watch() {
        start "$work/watch" "$muster" status --watch --json
        until_true 10 watched true || fail "status --watch shows nothing"
        kill -KILL "$agent_pid"
        until_true 20 watched false || fail "status --watch does not show that the host went"
        until_true 20 host_is one down || fail "host ls does not show that the host went"
        run_agent one
}

# A revoked host is cut off at once and cannot come back with its key.
test_revoke() {
        expect 0 "may no longer connect" "$muster" host revoke one
        until_true 10 host_is one down || fail "a revoked host stays connected"
        until_true 20 grep -q "refused this host" "$work/one.log" || fail "a revoked host is not refused"
        ! host_is one joined >/dev/null || fail "a revoked host still counts as joined"
        expect 5 "one: not connected" "$muster" exec one -- true
}

# A second controller on the same state is refused; the first one does not notice.
test_second_controller() {
        expect 1 "" "$controller" --fleet "$work/fleet.yaml" --listen 127.0.0.1:0 --state "$work/state"
        expect 0 "fleet errors" "$muster" status
}

main() {
        test_fleet_files
        test_usage
        sound_fleet
        start_controller
        start_agent
        test_unreachable
        test_scopes
        test_json
        test_exec
        test_exec_interrupted
        test_watch
        test_second_controller
        test_revoke
        ends_well muster-agent "$agent_pid" "$work/one.log"
        ends_well muster-controller "$controller_pid" "$work/controller.log"
        conclude
}


main
