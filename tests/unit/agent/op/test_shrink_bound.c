/* When a shrink is given up on: each bound just before and just behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "agent/op/shrink_bound.h"
#include "common/base/time.h"

#define S  USEC_PER_SEC
#define MB 1000000ull
#define T0 (1000 * S)

static int look(struct shrink_bound *bound, uint64_t after_us, struct shrink_sight sight, const char *text)
{
        struct error error = {0};
        int r = shrink_bound_look(bound, T0 + after_us, &sight, &error);

        if (text)
                assert_non_null(strstr(error.text, text));
        return r;
}

static void test_whole(void **state)
{
        struct shrink_sight sight = {.files = true, .aof_bytes = 1000 * MB};
        struct shrink_bound bound;

        shrink_bound_begin(&bound, T0, 160 * S);
        for (uint64_t at = 0; at < 150; at += 10, sight.work_bytes += MB) /* it does make progress */
                assert_int_equal(look(&bound, at * S, sight, NULL), 0);
        assert_int_equal(look(&bound, 150 * S - 1, sight, NULL), 0);
        assert_int_equal(look(&bound, 150 * S, sight, "has not ended within 2 min 30 s"), -ETIMEDOUT);
}

static void test_stall(void **state)
{
        struct shrink_sight sight = {.files = true, .aof_bytes = 1000 * MB, .work_bytes = 4 * MB};
        struct shrink_bound bound;

        shrink_bound_begin(&bound, T0, 160 * S);
        assert_int_equal(look(&bound, 30 * S, sight, NULL), 0);
        assert_int_equal(look(&bound, 70 * S - 1, sight, NULL), 0);
        assert_int_equal(look(&bound, 70 * S, sight, "has not written anything for 40.0 s"), -ETIMEDOUT);
        /* An hour's operation is not waited for that long. */
        shrink_bound_begin(&bound, T0, 3600 * S);
        assert_int_equal(look(&bound, 0, sight, NULL), 0);
        assert_int_equal(look(&bound, 300 * S - 1, sight, NULL), 0);
        assert_int_equal(look(&bound, 300 * S, sight, NULL), -ETIMEDOUT);
        /* Where the files cannot be seen nothing can be said of that. */
        sight.files = false;
        shrink_bound_begin(&bound, T0, 3600 * S);
        assert_int_equal(look(&bound, 3000 * S, sight, NULL), 0);
        assert_int_equal(look(&bound, 3375 * S, sight, NULL), -ETIMEDOUT);
}

static void test_outgrown(void **state)
{
        struct shrink_sight sight = {.files = true, .aof_bytes = 80 * MB};
        struct shrink_bound bound;

        shrink_bound_begin(&bound, T0, 3600 * S);
        sight.work_bytes = 90 * MB + (8u << 20);
        assert_int_equal(look(&bound, S, sight, NULL), 0);
        sight.work_bytes++;
        assert_int_equal(look(&bound, 2 * S, sight, "more than the 80.0 MB that it is to replace"), -EFBIG);
        sight.aof_bytes += 10 * MB; /* what is written meanwhile stands in both */
        assert_int_equal(look(&bound, 2 * S, sight, NULL), 0);
}

static void test_disk(void **state)
{
        struct shrink_sight sight = {.files = true, .aof_bytes = 640 * MB, .disk_known = true};
        struct shrink_bound bound;

        shrink_bound_begin(&bound, T0, 3600 * S);
        sight.disk_available = 10 * MB;
        assert_int_equal(look(&bound, S, sight, NULL), 0);
        sight.disk_available--;
        assert_int_equal(look(&bound, S, sight, "is about to fill its disk, 10.0 MB"), -ENOSPC);
        sight.disk_known = false;
        assert_int_equal(look(&bound, S, sight, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole),
                cmocka_unit_test(test_stall),
                cmocka_unit_test(test_outgrown),
                cmocka_unit_test(test_disk),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
