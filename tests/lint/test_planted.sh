#!/bin/bash
# Every lint must see what it is for: a small clean tree passes, and each planted violation is told by its lint.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

clean_tree() {
        rm -rf "${tree:?}"/*
        mkdir -p "$tree"/{common/{base,model,noise,rpc},agent,cli,controller/{core,checks,api},proto,deploy,docs}
        cp "$here/../../.clang-format" "$tree/"
        echo 'syntax = "proto3";' >"$tree/proto/agent.proto"
        printf '#include <errno.h>\nint error_set(int why);\n' >"$tree/common/base/error.h"
        printf '#include "common/base/error.h"\nint state_parse(void);\n' >"$tree/common/model/state.h"
        printf '#include "proto/agent.pb-c.h"\n#include <nng/nng.h>\n' >"$tree/common/rpc/link.c"
        printf '#include "common/model/state.h"\n#include <stdio.h>\n' >"$tree/controller/core/plan.c"
        printf '#include "proto/agent.pb-c.h"\n' >"$tree/cli/cmd_status.c"
        printf '#include "proto/agent.pb-c.h"\n' >"$tree/agent/service.c"
        printf '#!/bin/bash\nset -e\necho "$1"\n' >"$tree/deploy/demo"
        printf 'static const struct check checks[] = {\n        {"disk", 0, false, check_disk},\n};\n' >"$tree/controller/checks/checks.c"
        printf 'void check_disk(struct checking *checking)\n{\n}\n' >"$tree/controller/checks/disk.c"
        printf '| `disk` | a full disk | warns | |\n\nwarns    db1 disk\n' >"$tree/docs/checks.md"
}

# planted LINT FILE TEXT SAYS: with TEXT added to FILE the lint fails and prints SAYS.
planted() {
        local output status=0
        clean_tree
        mkdir -p "$(dirname "$tree/$2")"
        printf '%b\n' "$3" >>"$tree/$2"
        output=$("$here/$1" "$tree" 2>&1) || status=$?
        if [[ $status -eq 77 ]]; then
                echo "$1 cannot run here: $output"
        elif [[ $status -eq 0 || $output != *"$4"* ]]; then
                echo "$1 did not see this in $2: $3"
                echo "  it said ($status): $output"
                failed=1
        fi
}

for lint in includes format shell words traps checks; do
        clean_tree
        status=0
        output=$("$here/$lint" "$tree" 2>&1) || status=$?
        if [[ $status -ne 0 && $status -ne 77 ]]; then
                echo "$lint complains of a clean tree: $output"
                failed=1
        fi
done

planted includes common/base/error.h '#include "common/model/state.h"' 'common/base may not include common/model'
planted includes common/model/state.h '#include "common/rpc/link.c"' 'may not include common/rpc'
planted includes agent/service.c '#include "controller/core/plan.c"' 'agent may not include controller/core'
planted includes controller/core/plan.c '#include "agent/service.c"' 'may not include agent'
planted includes controller/core/plan.c '#include "controller/checks/checks.c"' 'controller/core may not include controller/checks'
planted includes cli/cmd_status.c '#include "agent/service.c"' 'cli may not include agent'
planted includes agent/ledger.c '#include "proto/agent.pb-c.h"' 'generated proto types stop'
planted includes cli/table.c '#include "proto/agent.pb-c.h"' 'generated proto types stop'
planted includes agent/service.c '#include <nng/nng.h>' 'nng is included in common/rpc only'
planted includes common/rpc/link.c '#include <nng/protocol/reqrep0/req.h>' 'lose or repeat messages'
planted includes common/rpc/link.c 'const char *where = "ipc:///run/x";' 'stops accepting'
planted includes agent/service.c 'int f(void) { return fork(); }' 'panics in a forked child'
planted includes controller/core/plan.c '#include <time.h>' 'takes no <time.h>'
planted includes controller/core/plan.c '#include <sqlite3.h>' 'takes no <sqlite3.h>'
planted includes common/model/state.h '#include <hiredis/hiredis.h>' 'takes no <hiredis/hiredis.h>'
planted includes common/model/state.h '#include <sodium.h>' 'takes no <sodium.h>'
planted includes common/noise/noise.c '#include <systemd/sd-bus.h>' 'takes no <systemd/sd-bus.h>'
planted includes common/noise/noise.c 'void f(void) { randombytes_buf(0, 0); }' 'a pure room does no I/O'
planted includes controller/core/plan.c 'void f(void) { fopen("x", "r"); }' 'a pure room does no I/O'
planted includes controller/core/plan.c 'long f(void) { return time(0); }' 'a pure room does no I/O'
planted includes controller/checks/disk.c 'long f(void) { return time(0); }' 'a pure room does no I/O'
planted includes agent/service.c '#include "service.h"' 'is not a path from the root'
planted includes agent/service.c '#include "../common/base/error.h"' 'is not a path from the root'
planted includes common/unknown/x.c '#include "common/base/error.h"' 'no line in tests/lint/rooms'
planted format agent/service.c 'int  f( void ){return 1;}' 'not as clang-format'
planted shell deploy/demo 'cd $missing; rm $*' 'SC'
planted words agent/service.c '// TO''DO: later' 'unfinished'
planted words deploy/demo '<<<<<<< HEAD' 'left from a merge'
planted words deploy/demo 'cd /work''/main' 'speak of one machine'
planted words agent/long.c "$(printf 'int a;\\n%.0s' {1..601})" '602 lines'
planted traps docs/traps.md '| `tests/e2e/test_absent.sh` |' 'there is no tests/e2e/test_absent.sh'
planted traps docs/traps.md '| a trap | a defence | a test | |' "'a trap' has no break"
planted traps docs/traps.md '| a trap | a defence | a test | `absent` |' 'there is no tests/breaks/absent.patch'
planted checks controller/checks/checks.c '        {"new-one", PM2 | UNIT, true, check_new_one},' "no row for the check 'new-one'"
planted checks controller/checks/checks.c '        {"new-one", PM2 | UNIT, true, check_new_one},' "no example finding of the check 'new-one'"
planted checks controller/checks/checks.c '        {"new-one", PM2 | UNIT, true, check_new_one},' "the check 'new-one' is not there"
planted checks docs/checks.md '| `gone` | nothing | informs | |' "there is no check 'gone'"
planted checks docs/checks.md 'blocks   app1/apps gone' "there is no check 'gone'"
# A break of a line that the clean tree has in agent/service.c; a row of that trap; and what may be wrong with them.
removed='# trap: x\n# test: deploy/demo\n# says: y\n--- a/agent/service.c\n+++ b/agent/service.c\n@@ -1 +0,0 @@\n-#include "proto/agent.pb-c.h"'
row='| a trap | a defence | `deploy/demo` | `gone` |'
planted_break() { # ROW PATCH SAYS
        local output status=0
        clean_tree
        mkdir -p "$tree/docs" "$tree/tests/breaks"
        printf '%b\n' "$1" >"$tree/docs/traps.md"
        printf '%b\n' "$2" >"$tree/tests/breaks/gone.patch"
        output=$("$here/traps" "$tree" 2>&1) || status=$?
        [[ $output == *"$3"* && (-n $3 && $status -ne 0 || -z $3$output) ]] && return
        echo "traps did not see what is wrong with a break, or saw more: ${3:-nothing is}"
        echo "  it said ($status): $output"
        failed=1
}
planted_break "$row" "$removed" ''
planted_break "" "$removed" 'no row of docs/traps.md names it'
planted_break "${row/demo/other}" "$removed" 'does not name deploy/demo, which gone turns red'
planted_break "$row" "${removed/says/said}" "no line '# says:'"
planted_break "$row" "${removed/agent.pb/other.pb}" 'it does not apply any more'
exit "$failed"
