/* What is remembered of the last boot: the same id with another start of PID 1 proves nothing, and userspace
 * that began anew is another boot. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/probe/boot.h"
#include "common/base/text.h"

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "1123456789abcdef0123456789abcdef"

static char folder[32], path[64];

static int set_up(void **state)
{
        strcpy(folder, "/tmp/muster-boot.XXXXXX");
        snprintf(path, sizeof(path), "%s/boot", mkdtemp(folder));
        return 0;
}

static int tear_down(void **state)
{
        unlink(path);
        return rmdir(folder);
}

static struct boot boot_of(const char *kernel, uint64_t pid1_start_ticks, uint64_t userspace_us)
{
        struct boot boot = {.pid1_start_ticks = pid1_start_ticks, .userspace_us = userspace_us};

        TEXT_COPY(boot.id, kernel);
        return boot;
}

static int check(const char *kernel, uint64_t pid1_start_ticks, struct error *error)
{
        struct boot boot = boot_of(kernel, pid1_start_ticks, 0);
        int r = probe_boot_check(folder, &boot, error);

        assert_string_equal(boot.id, kernel);
        assert_false(boot.soft);
        assert_false(boot.tells_soft);
        return r;
}

static void write_record(const char *text)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fputs(text, file);
        fclose(file);
}

static void test_check(void **state)
{
        struct error error = {0};

        assert_int_equal(check(ONE, 100, &error), 0);
        assert_int_equal(check(ONE, 100, &error), 0); /* the agent was started again */
        assert_int_equal(check(TWO, 200, &error), 0); /* a reboot */
        assert_int_equal(check(TWO, 300, &error), -ESTALE);
        assert_non_null(strstr(error.text, "started at tick 200 then, at 300 now"));
        assert_int_equal(check(TWO, 300, &error), -ESTALE); /* until it is another */
        assert_int_equal(check(ONE, 400, &error), 0);
        write_record("no boot id\n");
        assert_int_equal(check(ONE, 500, &error), 0); /* damaged: begun anew */
        assert_int_equal(check(ONE, 600, &error), -ESTALE);
        strcat(folder, "/none");
        assert_true(check(ONE, 600, &error) < 0);
        *strrchr(folder, '/') = '\0';
}

static void expect_boot(const char *kernel, uint64_t userspace_us, bool soft, const char *id)
{
        struct boot boot = boot_of(kernel, 100, userspace_us);

        assert_int_equal(probe_boot_check(folder, &boot, NULL), 0);
        assert_string_equal(boot.id, id);
        assert_int_equal(boot.soft, soft);
        assert_true(boot.tells_soft);
}

/* The same kernel and PID 1, and userspace begun anew. */
static void test_soft_reboots(void **state)
{
        struct boot boot;

        expect_boot(ONE, 5000, false, ONE);
        expect_boot(ONE, 5000, false, ONE); /* the agent was started again */
        expect_boot(ONE, 7000, true, ONE "+7000");
        expect_boot(ONE, 7000, true, ONE "+7000");
        expect_boot(ONE, 9000, true, ONE "+9000");
        boot = boot_of(ONE, 300, 9000);
        assert_int_equal(probe_boot_check(folder, &boot, NULL), -ESTALE);
        assert_string_equal(boot.id, ONE);
        expect_boot(TWO, 9000, false, TWO); /* a full one */
        expect_boot(TWO, UINT64_MAX, true, TWO "+18446744073709551615");
}

/* Where nothing can be put down, nothing can be told later; a record without userspace, of an earlier
 * version, is completed. */
static void test_soft_reboots_without_a_record(void **state)
{
        struct boot boot = boot_of(ONE, 100, 5000);

        strcat(folder, "/none");
        assert_true(probe_boot_check(folder, &boot, NULL) < 0);
        *strrchr(folder, '/') = '\0';
        assert_false(boot.tells_soft);
        assert_string_equal(boot.id, ONE);
        write_record(ONE " 100\n");
        expect_boot(ONE, 5000, false, ONE);
        expect_boot(ONE, 7000, true, ONE "+7000");
}

/* A record that cannot be read now is not taken for none: the soft boot's id would change with it. A link to
 * itself cannot be read, and could be replaced. */
static void test_unreadable(void **state)
{
        struct boot boot = boot_of(ONE, 100, 7000);
        char aside[sizeof(path) + 8];

        snprintf(aside, sizeof(aside), "%s.aside", path);
        expect_boot(ONE, 5000, false, ONE);
        expect_boot(ONE, 7000, true, ONE "+7000");
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(symlink("boot", path), 0);
        assert_int_equal(probe_boot_check(folder, &boot, NULL), -ELOOP);
        assert_string_equal(boot.id, ONE);
        assert_false(boot.tells_soft);
        assert_int_equal(rename(aside, path), 0);
        expect_boot(ONE, 7000, true, ONE "+7000");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_soft_reboots, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_soft_reboots_without_a_record, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
