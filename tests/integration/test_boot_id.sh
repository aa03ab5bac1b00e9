#!/bin/bash
# A boot id that proves nothing is never taken for one: zero, empty, cut, not there. Each stands where the kernel's is, in
# a mount namespace of this test's own, as it does in a container that somebody has tampered with.
# timeout: 60
# MUSTER_BUILD is where probe_driver was built.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
if [[ ${1:-} != inside ]]; then
        unshare -rm true 2>/dev/null || { echo "no mount namespace of its own here"; exit 77; }
        exec unshare -rm "$0" inside
fi
driver=$(realpath "${MUSTER_BUILD:-build/asan}")/tests/integration/probe_driver
id=/proc/sys/kernel/random/boot_id
real=$(tr -d '\n-' <$id)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
        echo "FAIL: $*: $(cat "$work/seen")"
        exit 1
}

# see TEXT: what is read with TEXT in the id's place; the service is one that is there for sure not to be.
see() {
        printf '%s' "$1" >"$work/id"
        "$driver" --seconds 20 --until failed redis:none:1 >"$work/seen"
}

"$driver" --seconds 20 --until failed redis:none:1 >"$work/seen"
grep -q "^host boot=$real " "$work/seen" || fail "the real one"
touch "$work/id"
mount --bind "$work/id" $id
see 01234567-89ab-cdef-0123-456789abcdef
grep -q '^host boot=0123456789abcdef0123456789abcdef ' "$work/seen" || fail "another: nothing is tested here"
see 00000000-0000-0000-0000-000000000000
grep -q '^host boot= ' "$work/seen" || fail "zero"
see ''
grep -q '^host boot= ' "$work/seen" || fail "empty"
see 01234567-89ab-cdef-0123-456789abcde
grep -q '^host boot= ' "$work/seen" || fail "cut"
see 01234567-89ab-cdef-0123-456789abcdef-01234567-89ab-cdef-0123-456789abcdef
grep -q '^host boot= ' "$work/seen" || fail "too long"
umount $id
mount --bind /dev/null $id
"$driver" --seconds 20 --until failed redis:none:1 >"$work/seen"
grep -q '^host boot= ' "$work/seen" || fail "not there"
echo "what proves no boot is no boot id"
