/* Unary calls, both ways, and everything that can be wrong with one. */
#include "tests/unit/common/rpc/pair.h"

static const struct rpc_method methods[] = {
        {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
};

static void test_unary(void **state)
{
        struct pair pair;
        struct outcome outcome = {0};

        pair_connect(&pair, methods, 1);
        assert_int_equal(report_start(NULL, pair.client.peer, "hello", 0, &outcome), 0);
        assert_int_equal(outcome.ends, 0);
        wait_for(&pair, outcome.ends);
        assert_int_equal(outcome.code, RPC_OK);
        assert_int_equal(outcome.messages, 1);
        assert_string_equal(outcome.last, "hello");
        pair_free(&pair);
        assert_int_equal(outcome.ends, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unary),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
