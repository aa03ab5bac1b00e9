/* When an app counts as settled, and when as failed. */
#include "agent/pm2/settle.h"
#include "tests/unit/agent/pm2/lists.h"

#define SECOND 1000000ull

static enum pm2_settled look(struct pm2_settle_item *item, const char *text, uint64_t age_s, uint64_t now_s)
{
        struct pm2_brief *apps = NULL;
        size_t count = 0;

        assert_int_equal(pm2_scan(text, strlen(text), &apps, &count), 0);
        pm2_settle_look(item, pm2_brief_find(apps, count, 0), age_s * SECOND, 10 * SECOND, now_s * SECOND);
        free(apps);
        return item->state;
}

/* What PM2 says of its start is by a clock that may have been set: it does not count. */
static void test_online_for_long_enough(void **state)
{
        static const char *const ups[] = {
                "[" APP(0, "a", "online", ",\"pm_uptime\":1") "]",
                "[" APP(0, "a", "online", ",\"pm_uptime\":99999999999000") "]",
        };

        for (size_t i = 0; i < ELEMENTS(ups); i++) {
                struct pm2_settle_item item = {0};

                assert_int_equal(look(&item, ups[i], 4, 5), PM2_UNSETTLED);
                assert_int_equal(look(&item, ups[i], 9, 10), PM2_UNSETTLED);
                assert_int_equal(look(&item, ups[i], 10, 11), PM2_SETTLED);
        }
}

static void test_restarts_begin_it_anew(void **state)
{
        struct pm2_settle_item item = {0};

        assert_int_equal(look(&item, "[" APP(0, "a", "online", ",\"restart_time\":3") "]", 4, 5),
                         PM2_UNSETTLED);
        assert_int_equal(look(&item, "[" APP(0, "a", "online", ",\"restart_time\":8") "]", 3, 12),
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
        static const char *const says[] = {"errored: PM2 gave up after 16 restarts", "stopped, exit code 7",
                                           "not in PM2's list"};

        for (size_t i = 0; i < ELEMENTS(ends); i++) {
                struct pm2_settle_item item = {0};

                assert_int_equal(look(&item, ends[i], 0, 5), PM2_UNSETTLED);
                assert_int_equal(look(&item, ends[i], 0, 6), PM2_FAILED);
                assert_non_null(strstr(item.reason, says[i]));
        }
}

/* Given up while it was looked at: those that were seen count. */
static void test_gives_up(void **state)
{
        struct pm2_settle_item item = {0};

        assert_int_equal(look(&item, "[" APP(0, "a", "online", ",\"restart_time\":40") "]", 1, 5),
                         PM2_UNSETTLED);
        assert_int_equal(look(&item, "[" APP(0, "a", "errored", ",\"restart_time\":42") "]", 0, 6),
                         PM2_UNSETTLED);
        assert_non_null(strstr(item.reason, "gave up after 2 restarts"));
}

static void test_between_an_exit_and_the_restart(void **state)
{
        struct pm2_settle_item item = {0};

        assert_int_equal(look(&item, "[" APP(0, "a", "stopped", "") "]", 0, 5), PM2_UNSETTLED);
        assert_int_equal(look(&item, "[" APP(0, "a", "launching", "") "]", 0, 6), PM2_UNSETTLED);
        assert_int_equal(look(&item, "[" APP(0, "a", "stopped", "") "]", 0, 7), PM2_UNSETTLED);
        assert_int_equal(look(&item, "[" APP(0, "a", "waiting restart", "") "]", 0, 90), PM2_UNSETTLED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_online_for_long_enough),
                cmocka_unit_test(test_restarts_begin_it_anew),
                cmocka_unit_test(test_failed_only_after_a_moment),
                cmocka_unit_test(test_gives_up),
                cmocka_unit_test(test_between_an_exit_and_the_restart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
