# shellcheck shell=bash disable=SC2154
# The groups of tests, in the order in which a full run takes them.

group_lint() {
        local lint
        for lint in includes format shell words traps checks; do run_test "lint/$lint" 120 "tests/lint/$lint"; done
        run_test lint/planted 120 tests/lint/test_planted.sh
        run_test lint/runner 120 tests/runner/test_runner.sh
}

# build PRESET [TARGET...]: counts as a test of its own.
build() {
        local preset=$1
        shift
        run_test "$preset/build" 900 nice bash -ec \
                'preset=$1; shift; cmake --preset "$preset"; cmake --build --preset "$preset" -j "$JOBS" ${1:+--target "$@"}' \
                build "$preset" "$@"
}

# run_ctest GROUP BUILD-FOLDER CTEST-ARGUMENT...: each test of ctest's is one of ours.
run_ctest() {
        local group=$1 folder=$2 log=$logs/$1-ctest.log line count=0
        local line_pattern='^ *[0-9]+/[0-9]+ Test +#[0-9]+: ([^ ]+) [. ]*(\**[A-Za-z ]*[a-z]) +([0-9]+)\.([0-9]+) sec'
        shift 2
        timeout --kill-after=10 900 "${ctest_wrap[@]}" ctest --test-dir "$folder" --output-on-failure --timeout 180 \
                -j "$jobs" "$@" </dev/null >"$log" 2>&1 &
        wait $!
        while IFS= read -r line; do
                [[ $line =~ $line_pattern ]] || continue
                count=$((count + 1))
                ctest_outcome "$group/${BASH_REMATCH[1]#unit/}" "${BASH_REMATCH[2]}" \
                        "$((BASH_REMATCH[3] * 1000 + 10#${BASH_REMATCH[4]} * 10))" "$log"
        done <"$log"
        [[ $count -gt 0 ]] || report fail "$group/ctest" 0 "no test ran; see ${log#"$root"/}"
        grep -q 'tests passed' "$log" || report fail "$group/ctest" 0 "ctest did not finish; see ${log#"$root"/}"
}

ctest_outcome() { # NAME WORD MILLISECONDS LOG
        case $2 in
        Passed) report pass "$1" "$3" ;;
        *Skipped) report skip "$1" "$3" "it says so itself" ;;
        *)
                report fail "$1" "$3" "${2//\*/}; see ${4#"$root"/}"
                ;;
        esac
}

group_unit() {
        build asan || return
        run_ctest unit build/asan -L unit
}

# Of the worlds, a part of its own for each seed; the unit tests begin with the first.
group_sim() {
        local worlds=10000 limit=900
        [[ $MUSTER_TEST_ALL -eq 0 ]] || worlds=100000 limit=7200
        build release sim || return
        run_test sim/worlds "$limit" \
                build/release/tests/sim/sim --seeds "$worlds" --start "$((MUSTER_TEST_SEED * 100000 + 1))"
}

# Only the rooms where nng's threads and ours meet. TSan of gcc 12 wants addresses that are not scattered wide.
group_tsan() {
        local sources targets=() source filter='unit/(common/(loop|rpc)|agent/exec)/'
        mapfile -t sources < <(find tests/unit/common/loop tests/unit/common/rpc tests/unit/agent/exec -name 'test_*.c' 2>/dev/null)
        for source in "${sources[@]}"; do
                source=${source#tests/unit/}
                source=${source%.c}
                targets+=("${source//\//_}")
        done
        if [[ ${#targets[@]} -eq 0 ]]; then
                report fail tsan/build 0 "there is no test of common/loop, common/rpc or agent/exec"
                return
        fi
        build tsan "${targets[@]}" || return
        ctest_wrap=()
        setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null && ctest_wrap=(setarch "$(uname -m)" --addr-no-randomize)
        # What the sanitizer cannot see into nng is named there, with its reason.
        TSAN_OPTIONS="suppressions=$root/tests/tsan.supp" run_ctest tsan build/tsan -R "$filter"
        ctest_wrap=()
}

group_clang() {
        build clang
}

group_fuzz() {
        local source name targets=()
        for source in tests/fuzz/fuzz_*.c; do
                [[ -e $source ]] && targets+=("$(basename "$source" .c)")
        done
        if [[ ${#targets[@]} -eq 0 ]]; then
                report fail fuzz/build 0 "there is no target in tests/fuzz"
                return
        fi
        build fuzz "${targets[@]}" || return
        for name in "${targets[@]}"; do
                run_test "fuzz/${name#fuzz_}" 120 bash tests/runner/fuzz.sh "$name" "${FUZZ_SECONDS:-10}"
        done
}

script_limit() { # SCRIPT WORD
        sed -n "1,20s/^# $2: *\([0-9]\+\).*/\1/p" "$1" | head -n 1
}

# run_scripts GROUP SECONDS: every test_*.sh of the group's folder.
run_scripts() {
        local script limit count=0
        for script in tests/"$1"/test_*.sh; do
                [[ -e $script ]] || continue
                count=$((count + 1))
                limit=$(script_limit "$script" timeout)
                [[ $MUSTER_TEST_ALL -eq 0 ]] || limit=$(script_limit "$script" timeout-all | grep . || echo "$limit")
                run_test "$1/$(basename "$script" .sh)" "${limit:-$2}" bash "$script"
        done
        [[ $count -gt 0 ]] || report fail "$1/none" 0 "there is no tests/$1/test_*.sh"
}

group_integration() {
        build asan || return
        MUSTER_BUILD=$root/build/asan run_scripts integration 180
}

group_e2e() {
        build release || return
        MUSTER_BUILD=$root/build/release run_scripts e2e 600
}

# The tests as they are were seen to pass by the groups above.
group_breaks() {
        local patch name
        for patch in tests/breaks/*.patch; do
                name=$(basename "$patch" .patch)
                run_test "breaks/$name" 2400 tests/breaks/run "$name"
        done
}
