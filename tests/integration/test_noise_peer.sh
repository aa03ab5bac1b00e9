#!/bin/bash
# Our Noise against a foreign one, live: builds the Go implementation that Debian packages into a small peer
# program and our driver, and lets them talk in both roles. MUSTER_BUILD says where to build (build/release).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
gopath=/usr/share/gocode
out="${MUSTER_BUILD:-build/release}/noise_peer"

fail() {
        echo "test_noise_peer: $*" >&2
        exit 1
}
command -v go >/dev/null || fail "no go on PATH: apt-get install golang-go"
[ -d "$gopath/src/github.com/flynn/noise" ] ||
        fail "no Noise implementation in $gopath: apt-get install golang-github-flynn-noise-dev"

mkdir -p "$out"
out=$(realpath "$out")
# GOPATH mode takes Debian's sources and nothing from the network.
GO111MODULE=off GOPATH="$gopath" GOFLAGS="" GOPROXY=off GOCACHE="$out/cache" CGO_ENABLED=0 \
        go build -o "$out/peer" ./tests/integration/noise_peer/peer.go || fail "the Go peer does not build"
"${CC:-cc}" -std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined \
        -fno-sanitize-recover=undefined -I. -o "$out/driver" tests/integration/noise_peer/driver.c \
        common/noise/*.c common/base/text.c -lsodium || fail "the driver does not build"
timeout 120 "$out/driver" "$out/peer" || fail "exit $? from the driver"
