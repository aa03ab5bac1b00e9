#!/bin/bash
# A file system that hangs under a Redis and a tile38 must not hold up the agent: what else is watched is read on, and
# it is said which files do not answer. The file system is a real one: a FUSE mount whose server never says a word, so
# that every look at it waits; the servers keep their own files open below it.
# timeout: 120
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
[[ -w /dev/fuse ]] || { echo "no /dev/fuse that could be opened here"; exit 77; }
if [[ ${1:-} != inside ]]; then
        unshare --mount true 2>/dev/null || { echo "no mount namespace of its own: needs root"; exit 77; }
        exec unshare --mount "$0" inside
fi
driver=$(realpath "${MUSTER_BUILD:-build/asan}")/tests/integration/probe_driver
work=$(mktemp -d)
seen=$work/seen
pids=()

# Closing the descriptor is what ends the waiting.
heal() {
        exec 8>&- 9>&-
        umount --lazy "$work/redis" "$work/geo" 2>/dev/null || true
}

cleanup() {
        heal
        for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
        wait 2>/dev/null || true
        rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

fail() {
        echo "FAILED: $*: $(tail -n 8 "$seen")"
        exit 1
}

until_true() { # SECONDS COMMAND...
        local deadline=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                ((SECONDS < deadline)) || fail "waited in vain for: $*"
                sleep 0.05
        done
}

# start COMMAND...: without the descriptors that hold the file system.
start() {
        setpriv --pdeathsig KILL "$@" 8>&- 9>&- &
        pids+=($!)
}

redis() { # NAME PORT
        mkdir "$work/$1"
        start redis-server --port "$2" --bind 127.0.0.1 --dir "$work/$1" --appendonly yes --save '' --logfile "$work/$1.log"
        until_true 20 redis-cli -p "$2" ping
}

last() { # NAME PATTERN: what was said of it last
        grep "^$1 " "$seen" | tail -n 1 | grep -qE "$2"
}

hang() { # DESCRIPTOR FOLDER
        mount -t fuse -o "fd=$1,rootmode=40000,user_id=0,group_id=0" hung "$2"
}

redis redis 17191
redis other 17192
services=(redis:bds:17191 redis:other:17192)
geo=false
if command -v tile38-server >/dev/null; then
        geo=true # this shell must not look at its folder either
        mkdir "$work/geo"
        start tile38-server -h 127.0.0.1 -p 17193 -d "$work/geo" >"$work/geo.log" 2>&1
        until_true 20 redis-cli -p 17193 ping
        services+=(tile38:geo:17193)
fi
touch "$seen"
start "$driver" --seconds 100 --until stopped "${services[@]}" >"$seen" 2>&1
until_true 20 last bds '^bds ready '

exec 8<>/dev/fuse 9<>/dev/fuse
hang 8 "$work/redis"
! $geo || hang 9 "$work/geo"
until_true 20 last bds '^bds ready .*; its folder does not answer$'
! $geo || until_true 20 last geo '^geo ready .*; its files do not answer$'
echo "the folders that hang are named"

kill -KILL "${pids[1]}"
until_true 20 last other '^other failed '
echo "what else happens is seen meanwhile"

heal
until_true 20 last bds '^bds ready .*AOF [^;]*$'
! $geo || until_true 20 last geo '^geo ready .*AOF [^;]*$'
echo "they answer again: all as before"
