#!/bin/bash
# People as keys of their own: added, joined where they sit, on record under their names, revoked while connected.
# timeout: 120
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/integration/programs.sh

links_of() { # USER COUNT
        "$muster" user ls --json | jq -e ".users[] | select(.name == \"$1\") | .links == $2"
}

test_add_and_join() {
        local line
        expect 2 "not a user's name" "$muster" user add "a b"
        expect 1 "a user admin already" "$muster" user add admin
        line=$("$muster" user add ann 2>/dev/null)
        [[ $line == "muster-user:1:ann:127.0.0.1:$port:"* ]] || fail "not a line for ann: $line"
        expect 2 "not an invitation for a host" "$agent" join "$line" --state "$work/thief"
        expect 2 "not an invitation for a person" "$muster" user join "$("$muster" host invite one 2>/dev/null)" --folder "$work/thief"
        expect 2 "damaged" "$muster" user join "${line%?}" --folder "$work/thief"
        expect 5 "unknown or was used before; make a new one with .muster user add" "$muster" user join "${line%??}00" --folder "$work/thief"
        expect 0 "you are ann now" "$muster" user join "$line" --folder "$work/ann"
        [[ $(stat -c %a "$work/ann/identity") == 600 ]] || fail "others may read ann's identity"
        expect 5 "was used before" "$muster" user join "$line" --folder "$work/thief"
        expect 1 "is there already and stays" "$muster" user join "$line" --folder "$work/ann"
        expect 0 "fleet users" "$muster" --identity "$work/ann/identity" status
        HOME=$work/home expect 0 "you are bob now, by $work/home/.config/muster" "$muster" user join "$("$muster" user add bob 2>/dev/null)"
        expect 0 "^admin .*[0-9]" "$muster" user ls
        expect 0 "^bob .*[0-9]" "$muster" user ls
}

# A name on record is that of the key, and of nothing else.
test_on_record() {
        expect 0 "on one, once" "$muster" --identity "$work/ann/identity" host invite one
        "$muster" audit ls --json | jq -e '.entries[0] | .user == "ann" and .action == "invite"' >/dev/null ||
                fail "what ann did is not on record under her name"
        "$muster" audit ls --json | jq -e '[.entries[] | select(.user == "ann" and .action == "join")] | length == 1' \
                >/dev/null || fail "that ann joined is not on record"
}

test_revoke() {
        local watch status=0
        start "$work/watch.log" timeout 30 "$muster" --identity "$work/ann/identity" status --watch
        watch=${started[-1]}
        until_true 20 links_of ann 1 || fail "ann's link is not listed"
        expect 1 "that is you" "$muster" user revoke admin
        expect 1 "there is no user 'eve'" "$muster" user revoke eve
        expect 0 "ann may give no more commands" "$muster" user revoke ann
        wait "$watch" || status=$?
        [[ $status -eq 5 ]] || fail "ann's watch ended with $status after she was revoked: $(tail -n 2 "$work/watch.log")"
        expect 5 "not known here" "$muster" --identity "$work/ann/identity" status
        ! links_of ann 0 >/dev/null || fail "ann is still listed"
        expect 0 "you are ann now" "$muster" user join "$("$muster" user add ann 2>/dev/null)" --folder "$work/ann2"
        expect 0 "fleet users" "$muster" --identity "$work/ann2/identity" status
        expect 5 "not known here" "$muster" --identity "$work/ann/identity" status
}

# An invitation that is out when its user is revoked dies with them.
test_revoke_invitation() {
        local line
        expect 0 "no more commands" "$muster" user revoke bob
        line=$("$muster" user add bob 2>/dev/null)
        expect 0 "you are bob now" "$muster" user join "$("$muster" user add bob 2>/dev/null)" --folder "$work/bob2"
        expect 5 "unknown or was used" "$muster" user join "$line" --folder "$work/bob3"
        line=$("$muster" user add eve 2>/dev/null) # who has not joined yet
        expect 0 "eve may give no more commands" "$muster" user revoke eve
        expect 5 "unknown or was used" "$muster" user join "$line" --folder "$work/eve"
        expect 1 "there is no user 'eve'" "$muster" user revoke eve
        line=$("$muster" host invite one 2>/dev/null)
        expect 0 "one may no longer connect" "$muster" host revoke one
        expect 5 "unknown or was used" "$agent" join "$line" --state "$work/one"
}

printf 'fleet: users\nhosts:\n  one: {}\n' >"$work/fleet.yaml"
start_controller
test_add_and_join
test_on_record
test_revoke
test_revoke_invitation
ends_well muster-controller "$controller_pid" "$work/controller.log"
conclude
