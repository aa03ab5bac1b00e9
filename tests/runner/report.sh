# shellcheck shell=bash
# What a test came to, one line each, and the count of them all.

passed=0
failed=0
skipped=0

report() { # pass|fail|skip NAME MILLISECONDS [WHY]
        local word=$1
        case $word in
        pass) passed=$((passed + 1)) ;;
        fail) failed=$((failed + 1)) word=FAIL ;;
        skip) skipped=$((skipped + 1)) ;;
        esac
        printf '%-4s %s (%d.%d s)%s\n' "$word" "$2" "$(($3 / 1000))" "$(($3 % 1000 / 100))" "${4:+: $4}"
}

report_total() {
        printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
}

now_ms() {
        local now=${EPOCHREALTIME/[.,]/}
        echo $((now / 1000))
}
