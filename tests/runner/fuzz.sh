#!/bin/bash
# One fuzz target for a few seconds, from its corpus, which it must not change: fuzz.sh TARGET SECONDS
set -euo pipefail
program=build/fuzz/tests/fuzz/$1
corpus=tests/fuzz/corpus/${1#fuzz_}
found=build/logs/$1.found
mkdir -p "$found"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[[ -d $corpus ]] || { echo "$1 has no corpus in $corpus"; exit 1; }
"$program" -max_total_time="$2" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$found/" \
        "$work" "$corpus"
