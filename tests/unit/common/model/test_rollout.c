/* Batches and canaries as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/text.h"
#include "common/model/rollout.h"

static size_t batch_of(const char *text, size_t hosts)
{
        struct rollout rollout = {0};

        if (rollout_batch_parse(&rollout, text) < 0)
                return SIZE_MAX;
        return rollout_batch_size(&rollout, hosts);
}

static void test_batches(void **state)
{
        assert_int_equal(batch_of("2", 10), 2);
        assert_int_equal(batch_of("20", 10), 20);
        assert_int_equal(batch_of("all", 10), 10);
        assert_int_equal(batch_of("25%", 10), 2); /* never more than was said */
        assert_int_equal(batch_of("33%", 3), 1);  /* but one at least */
        assert_int_equal(batch_of("7%", 100), 7); /* and no rounding of binary fractions */
        assert_int_equal(batch_of("100%", 7), 7);
        for (const char *const *wrong =
                     (const char *const[]){"", "0", "0%", "101%", "-1", "2.5", "%", "2 ", "two", "all%",
                                           "1025", "123456789012345678", NULL};
             *wrong; wrong++)
                if (batch_of(*wrong, 10) != SIZE_MAX)
                        fail_msg("'%s' is taken for a batch", *wrong);
}

static void test_a_batch_replaces_the_other_kind(void **state)
{
        struct rollout rollout = {.batch = 3};

        assert_int_equal(rollout_batch_parse(&rollout, "50%"), 0);
        assert_int_equal(rollout_batch_size(&rollout, 8), 4);
        assert_int_equal(rollout_batch_parse(&rollout, "2"), 0);
        assert_int_equal(rollout_batch_size(&rollout, 8), 2);
        assert_int_equal(rollout_batch_parse(&rollout, "all"), 0);
        assert_int_equal(rollout_batch_size(&rollout, 8), 8);
}

static void test_canaries(void **state)
{
        struct rollout rollout = {0};

        assert_int_equal(rollout_canary_parse(&rollout, "db2"), 0);
        assert_string_equal(rollout.canary_host, "db2");
        assert_int_equal(rollout_canary_parse(&rollout, "3"), 0);
        assert_int_equal(rollout.canary, 3);
        assert_string_equal(rollout.canary_host, "");
        assert_int_equal(rollout_canary_parse(&rollout, "none"), 0);
        assert_int_equal(rollout.canary, 0);
        assert_int_equal(rollout_canary_parse(&rollout, "0"), -EINVAL);
        assert_int_equal(rollout_canary_parse(&rollout, "a b"), -EINVAL);
        assert_int_equal(rollout_canary_parse(&rollout, "2000"), -EINVAL);
        assert_int_equal(rollout_canary_parse(&rollout, ""), -EINVAL);
        assert_string_equal(rollout.canary_host, "");
}

static void test_budgets(void **state)
{
        struct rollout rollout = {0};

        assert_int_equal(rollout_budget_size(&rollout, 40), UINT32_MAX);
        assert_int_equal(rollout_budget_parse(&rollout, "0"), 0);
        assert_int_equal(rollout_budget_size(&rollout, 40), 0);
        assert_int_equal(rollout_budget_parse(&rollout, "5%"), 0);
        assert_int_equal(rollout_budget_size(&rollout, 40), 2);
        assert_int_equal(rollout_budget_size(&rollout, 10), 0);
        assert_int_equal(rollout_budget_parse(&rollout, "none"), 0);
        assert_int_equal(rollout_budget_size(&rollout, 40), UINT32_MAX);
        assert_int_equal(rollout_budget_parse(&rollout, "all"), -EINVAL);
        assert_int_equal(rollout_budget_parse(&rollout, "101%"), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_batches),
                cmocka_unit_test(test_a_batch_replaces_the_other_kind),
                cmocka_unit_test(test_canaries),
                cmocka_unit_test(test_budgets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
