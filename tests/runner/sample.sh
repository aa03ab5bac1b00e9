# shellcheck shell=bash
# Which of many cases a test takes: all of them under tests/run --all, else a sample that the seed picks. One seed,
# one sample, on any machine; tests/run prints the seed, a day has its own, and --seed N repeats an earlier day's.
MUSTER_TEST_ALL=${MUSTER_TEST_ALL:-0}
MUSTER_TEST_SEED=${MUSTER_TEST_SEED:-$((EPOCHSECONDS / 86400))}
export MUSTER_TEST_ALL MUSTER_TEST_SEED

# sample COUNT: of the lines of stdin COUNT, in the order in which they came.
sample() {
        if [[ $MUSTER_TEST_ALL -eq 1 ]]; then
                cat
                return
        fi
        local line number=0 hash
        while IFS= read -r line; do
                number=$((number + 1))
                hash=$(printf '%s\n%s\n' "$MUSTER_TEST_SEED" "$line" | sha256sum)
                printf '%s\t%d\t%s\n' "${hash%% *}" "$number" "$line"
        done | sort | head -n "$1" | sort -t $'\t' -k 2,2n | cut -f 3-
}
