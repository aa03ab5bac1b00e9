/* When an app counts as settled, and when as failed. */
#include "agent/pm2/settle.h"
#include "tests/unit/agent/pm2/lists.h"

#define SECOND 1000000ull

static enum pm2_settled look(struct pm2_settle_item *item, const char *text, uint64_t now_s)
{
        struct pm2_brief *apps = NULL;
        size_t count = 0;

        assert_int_equal(pm2_scan(text, strlen(text), &apps, &count), 0);
        /* The clock stands 1,000 seconds beyond the monotonic time. */
        pm2_settle_look(item, pm2_brief_find(apps, count, 0), 10 * SECOND, now_s * SECOND,
                        (1000 + now_s) * SECOND);
        free(apps);
        return item->state;
}

static void test_online_for_long_enough(void **state)
{
        struct pm2_settle_item item = {0};
        const char *up = "[" APP(0, "a", "online", ",\"pm_uptime\":1001000") "]";

        assert_int_equal(look(&item, up, 5), PM2_UNSETTLED);
        assert_int_equal(look(&item, up, 10), PM2_UNSETTLED);
        assert_int_equal(look(&item, up, 11), PM2_SETTLED);
}

static void test_restarts_begin_it_anew(void **state)
{
        struct pm2_settle_item item = {0};

        assert_int_equal(
                look(&item, "[" APP(0, "a", "online", ",\"pm_uptime\":1001000,\"restart_time\":3") "]", 5),
                PM2_UNSETTLED);
        assert_int_equal(
                look(&item, "[" APP(0, "a", "online", ",\"pm_uptime\":1009000,\"restart_time\":8") "]", 12),
                PM2_UNSETTLED);
        assert_non_null(strstr(item.reason, "restarts: 5 so far"));
}

static void test_failed_only_after_a_moment(void **state)
{
        static const char *const ends[] = {
                "[" APP(0, "a", "errored", ",\"restart_time\":16") "]",
                "[" APP(0, "a", "stopped", ",\"exit_code\":7") "]",
                "[]",
        };
        static const char *const says[] = {"errored: PM2 gave up", "stopped, exit code 7",
                                           "not in PM2's list"};

        for (size_t i = 0; i < ELEMENTS(ends); i++) {
                struct pm2_settle_item item = {0};

                assert_int_equal(look(&item, ends[i], 5), PM2_UNSETTLED);
                assert_int_equal(look(&item, ends[i], 6), PM2_FAILED);
                assert_non_null(strstr(item.reason, says[i]));
        }
}

static void test_between_an_exit_and_the_restart(void **state)
{
        struct pm2_settle_item item = {0};

        assert_int_equal(look(&item, "[" APP(0, "a", "stopped", "") "]", 5), PM2_UNSETTLED);
        assert_int_equal(look(&item, "[" APP(0, "a", "launching", "") "]", 6), PM2_UNSETTLED);
        assert_int_equal(look(&item, "[" APP(0, "a", "stopped", "") "]", 7), PM2_UNSETTLED);
        assert_int_equal(look(&item, "[" APP(0, "a", "waiting restart", "") "]", 90), PM2_UNSETTLED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_online_for_long_enough),
                cmocka_unit_test(test_restarts_begin_it_anew),
                cmocka_unit_test(test_failed_only_after_a_moment),
                cmocka_unit_test(test_between_an_exit_and_the_restart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
