/* What is remembered of the last boot: the same id with another start of PID 1 proves nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/probe/probe.h"

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "1123456789abcdef0123456789abcdef"

static void test_check(void **state)
{
        char folder[] = "/tmp/muster-boot.XXXXXX", path[64];
        struct error error = {0};
        FILE *file;

        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/boot", folder);
        assert_int_equal(probe_boot_check(folder, ONE, 100, &error), 0);
        assert_int_equal(probe_boot_check(folder, ONE, 100, &error), 0); /* the agent was started again */
        assert_int_equal(probe_boot_check(folder, TWO, 200, &error), 0); /* a reboot */
        assert_int_equal(probe_boot_check(folder, TWO, 300, &error), -ESTALE);
        assert_non_null(strstr(error.text, "started at tick 200 then, at 300 now"));
        assert_int_equal(probe_boot_check(folder, TWO, 300, &error), -ESTALE); /* until it is another */
        assert_int_equal(probe_boot_check(folder, ONE, 400, &error), 0);
        file = fopen(path, "w");
        assert_non_null(file);
        fputs("no boot id\n", file);
        fclose(file);
        assert_int_equal(probe_boot_check(folder, ONE, 500, &error), 0); /* damaged: begun anew */
        assert_int_equal(probe_boot_check(folder, ONE, 600, &error), -ESTALE);
        unlink(path);
        rmdir(folder);
        assert_true(probe_boot_check(folder, ONE, 600, &error) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_check)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
