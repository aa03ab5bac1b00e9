#!/bin/bash
# Who gets in and who does not: wrong keys, missing, used and expired invitations, junk on the port, half-open
# connections by the hundred. Each is refused, logged within bounds, and disturbs nobody who is in.
# timeout: 180
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/integration/programs.sh

invite() {
        "$muster" host invite one 2>/dev/null
}

lines_logged() {
        wc -l <"$work/controller.log"
}

test_invitations() {
        local line
        line=$(invite)
        expect 5 "unknown or was used" "$agent" join "${line%??}00" --state "$work/thief"
        # The right token shown to a controller with another key never leaves the host.
        expect 5 "did not let this host in" "$agent" join "muster-join:1:one:127.0.0.1:$port:$(printf '09%.0s' {1..32}):${line##*:}" \
                --state "$work/thief"
        expect 0 "joined as one" "$agent" join "$line" --state "$work/one"
        expect 5 "was used before" "$agent" join "$line" --state "$work/thief"
        expect 2 "cut short|damaged" "$agent" join "${line%:*}" --state "$work/thief"
        expect 2 "not an invitation" "$agent" join "let me in" --state "$work/thief"
        [[ ! -e $work/thief/identity ]] || fail "a refused host has an identity"
        run_agent one
}

# An invitation whose hour is over. Waiting for it is a test's luxury: the controller is stopped and its store
# is told that the hour was long ago.
test_expired() {
        local line
        line=$(invite)
        behind_its_back "UPDATE invitations SET expires_us = 1"
        expect 5 "has expired" "$agent" join "$line" --state "$work/thief"
        expect 5 "unknown or was used" "$agent" join "$line" --state "$work/thief"
}

# Bytes that are no handshake, of every shape: nothing of them is believed, and the log does not grow with them.
test_junk() {
        local before
        before=$(lines_logged)
        timeout 60 python3 - "$port" <<'PYTHON' || fail "the junk was not sent"
import os, socket, sys
port = int(sys.argv[1])
shapes = [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"muster/1" + b"\x01" + b"\0" * 7 + b"\xff\xff" + b"A" * 70000,
          b"muster/1" + b"\x63" + b"\0" * 7, b"muster/1\x01" + b"\0" * 7 + b"\0\0",
          b"muster/1\x02" + b"\0" * 7 + b"\0\x30" + os.urandom(48)]
for turn in range(200):
    s = socket.socket()
    s.bind(("127.0.0.3", 0))
    s.settimeout(10)
    s.connect(("127.0.0.1", port))
    try:
        s.sendall(shapes[turn % len(shapes)] if turn % 7 else os.urandom(turn * 13))
        if turn % 2:
            s.recv(100)
    except OSError:
        pass
    s.close()
PYTHON
        expect 0 "fleet errors" "$muster" status
        host_is one up >/dev/null || fail "junk cut the agent off"
        [[ $(($(lines_logged) - before)) -le 60 ]] || fail "200 junk connections made $(($(lines_logged) - before)) lines of log"
}

# Connections that say nothing, held open: only so many wait, from one address fewer, and others get in.
test_half_open() {
        local holder
        start "$work/holder.log" timeout 60 python3 -c '
import socket, sys, time
held = []
for i in range(300):
    s = socket.socket()
    s.bind(("127.0.0.%d" % (4 + i % 3), 0))
    s.settimeout(5)
    try:
        s.connect(("127.0.0.1", int(sys.argv[1])))
        if i % 2:
            s.sendall(b"muster/1\x01")
        held.append(s)
    except OSError:
        pass
print("held", flush=True)
time.sleep(50)' "$port"
        holder=${started[-1]}
        until_true 30 grep -q held "$work/holder.log" || fail "the connections were not made"
        expect 0 "fleet errors" "$muster" status
        expect 0 "^one: hello" "$muster" exec one -- echo hello
        host_is one up >/dev/null || fail "half-open connections cut the agent off"
        kill "$holder" 2>/dev/null || true
}

# Words that are cut inside a character on their way into the audit trail: what is listed is still text.
test_audit_text() {
        expect 0 "^one: " "$muster" exec one -- echo "x$(printf 'é%.0s' {1..300})"
        expect 0 "exec.*on one: echo xéé" "$muster" audit ls
}

# The trail as it was written; one entry changed behind the controller's back; one cut off at the end.
test_audit_verify() {
        local known entries
        expect 0 "[0-9]+ entries, each as it was written" "$muster" audit verify
        known=$(sed -n 's/.*--known //p' "$work/out")
        entries=${known%%:*}
        expect 0 "^ *\"bad\": 0" "$muster" audit verify --known "$known" --json
        expect 1 "entry $entries .* is not as it was written" "$muster" audit verify --known "$entries:$(printf '00%.0s' {1..32})"
        expect 1 "entry $((entries + 7)) of|entry $((entries + 1)) of" "$muster" audit verify --known "$((entries + 7)):${known#*:}"
        expect 2 "NUMBER:HASH" "$muster" audit verify --known "$entries"
        behind_its_back "UPDATE audit SET text = 'nothing' WHERE number = 2"
        expect 1 "entry 2 of the audit trail is not as it was written, or is missing; the 1 before" "$muster" audit verify
        expect 0 "fleet errors" "$muster" status
}

behind_its_back() { # SQL that changes one row
        ends_well muster-controller "$controller_pid" "$work/controller.log"
        [[ $(sqlite3 "$work/state/muster.db" "$1; SELECT changes()") -eq 1 ]] || fail "the store has no such row: $1"
        start_controller "$port"
        until_true 60 host_is one up || fail "the agent does not come back to a restarted controller"
}

# A controller that listens everywhere and was told no address of itself: no line that leads nowhere.
test_everywhere() {
        local line
        start "$work/everywhere.log" "$controller" --fleet "$work/fleet.yaml" --listen "0.0.0.0:$port" --state "$work/state"
        controller_pid=${started[-1]}
        until_true 20 answers || fail "the controller does not answer on every address"
        expect 1 "leads nowhere.*--address HOST:PORT.*--advertise" "$muster" host invite one
        line=$("$muster" host invite one --address "bastion:$port" 2>/dev/null)
        [[ $line == "muster-join:1:one:bastion:$port:"* ]] || fail "the invitation names another address: $line"
        grep -q "0.0.0.0:$port" "$work/state/admin" || fail "the admin's identity keeps its old address"
        ends_well muster-controller "$controller_pid" "$work/everywhere.log"
}

# IPv6 all the way: listened on, named in the line, joined, connected.
test_ipv6() {
        local line
        [[ -e /proc/net/if_inet6 ]] && grep -q ' lo$' /proc/net/if_inet6 || return 0
        start "$work/six.log" "$controller" --fleet "$work/fleet.yaml" --listen "[::1]:$port" --state "$work/state"
        controller_pid=${started[-1]}
        until_true 20 answers || fail "the controller does not answer on [::1]"
        line=$(invite)
        [[ $line == "muster-join:1:one:[::1]:$port:"* ]] || fail "the invitation names another address: $line"
        expect 0 "joined as one" "$agent" join "$line" --state "$work/one"
        run_agent one
        expect 0 "^one: hello" "$muster" exec one -- echo hello
        ends_well muster-agent "$agent_pid" "$work/one.log"
        ends_well muster-controller "$controller_pid" "$work/six.log"
}

main() {
        cat >"$work/fleet.yaml" <<<$'fleet: errors\nhosts:\n  one: {}\n'
        start_controller
        test_invitations
        test_expired
        test_junk
        test_half_open
        test_audit_text
        test_audit_verify
        ends_well muster-agent "$agent_pid" "$work/one.log"
        ends_well muster-controller "$controller_pid" "$work/controller.log"
        test_everywhere
        test_ipv6
        conclude
}

main
