/* From two lists to steps. */
#include <errno.h>

#include "agent/pm2/plan.h"
#include "tests/unit/agent/pm2/lists.h"

/* Actions as letters (k s x a), then "-ids" to be removed, then "!" where all is built anew. */
static int planned(const char *wanted, const char *live, const struct pm2_plan_options *options, char *ret)
{
        struct pm2_list a = list_of(wanted), b = list_of(live);
        struct pm2_plan plan = {0};
        size_t used = 0;
        int r = pm2_plan_make(&plan, &a, &b, options, NULL);

        for (size_t i = 0; i < a.count && r == 0; i++)
                ret[used++] = "ksxa"[plan.actions[i]];
        for (size_t i = 0; i < plan.removal_count; i++)
                used += (size_t)sprintf(ret + used, "-%lld", (long long)plan.removals[i]);
        if (plan.rebuild)
                ret[used++] = '!';
        ret[used] = '\0';
        if (r == 0)
                assert_int_equal(plan.add_count + plan.keep_count + plan.start_count + plan.stop_count,
                                 a.count);
        pm2_plan_clear(&plan);
        pm2_list_clear(&a);
        pm2_list_clear(&b);
        return r;
}

static void check(const char *wanted, const char *live, const struct pm2_plan_options *options,
                  const char *expected)
{
        static const struct pm2_plan_options none = {0};
        char text[256];

        assert_int_equal(planned(wanted, live, options ? options : &none, text), 0);
        assert_string_equal(text, expected);
}

#define ONLINE(id)  APP(id, "app" #id, "online", "")
#define STOPPED(id) APP(id, "app" #id, "stopped", "")
#define CLOCKED(id) APP(id, "app" #id, "stopped", ",\"cron_restart\":\"* * * * *\"")
#define ERRORED(id) APP(id, "app" #id, "errored", "")

static void test_states(void **state)
{
        static const struct pm2_plan_options start_errored = {.start_errored = true};

        check("[" ONLINE(0) "," STOPPED(1) "," ERRORED(2) "]",
              "[" ONLINE(0) "," STOPPED(1) "," ERRORED(2) "]", NULL, "kkk");
        check("[" ONLINE(0) "," STOPPED(1) "," ERRORED(2) "]",
              "[" STOPPED(0) "," ONLINE(1) "," STOPPED(2) "]", NULL, "sxk");
        check("[" ERRORED(0) "," ERRORED(1) "]", "[" STOPPED(0) "," ERRORED(1) "]", &start_errored, "ss");
        check("[" STOPPED(0) "," ERRORED(1) "]", "[" ERRORED(0) "," ONLINE(1) "]", NULL, "xx");
        check("[" ONLINE(0) "]", "[" APP(0, "app0", "waiting restart", "") "]", NULL, "k");
}

static void test_empty_live(void **state)
{
        check("[" ONLINE(0) "," STOPPED(4) "]", "[]", NULL, "aa");
        check("[]", "[" ONLINE(0) "," STOPPED(4) "]", NULL, "-0-4");
}

static void test_other_definition_is_replaced(void **state)
{
        check("[" ONLINE(0) "," ONLINE(1) "]",
              "[" APP(0, "app0", "online", ",\"pm_cwd\":\"/x\"") "," ONLINE(1) "]", NULL, "ak-0");
}

static void test_extra(void **state)
{
        static const struct pm2_plan_options keep = {.keep_extra = true};

        check("[" ONLINE(0) "]", "[" ONLINE(0) "," ONLINE(7) "]", NULL, "k-7");
        check("[" ONLINE(0) "]", "[" ONLINE(0) "," ONLINE(7) "]", &keep, "k");
}

/* At an id that has passed an app can come in, but for one that PM2 is to watch or to start by the clock. */
static void test_passed_ids(void **state)
{
        static const struct pm2_plan_options keep = {.keep_extra = true};
        char text[256];

        check("[" ONLINE(0) "," ONLINE(1) "]", "[" ONLINE(1) "]", NULL, "ak");
        check("[" STOPPED(0) "," ONLINE(1) "]", "[" ONLINE(1) "]", NULL, "ak");
        check("[" CLOCKED(0) "," ONLINE(1) "]", "[" ONLINE(1) "]", NULL, "aa-1!");
        check("[" APP(0, "w", "online", ",\"watch\":true") "," ONLINE(1) "]", "[" ONLINE(1) "]", NULL,
              "aa-1!");
        /* After it nothing stays: the sequence begins anew in any case. */
        check("[" CLOCKED(0) "]", "[" ONLINE(1) "]", NULL, "a-1");
        /* Beyond what is there the sequence may still reach it. */
        check("[" ONLINE(1) "," CLOCKED(5) "]", "[" ONLINE(1) "]", NULL, "ka");
        /* The id of an app that goes has passed too. */
        check("[" ONLINE(1) "," CLOCKED(5) "]", "[" ONLINE(1) "," ONLINE(9) "]", NULL, "aa-1-9!");
        assert_int_equal(planned("[" CLOCKED(0) "]", "[" ONLINE(1) "]", &keep, text), -ENOTSUP);
}

static void test_rebuild_when_asked(void **state)
{
        static const struct pm2_plan_options rebuild = {.rebuild = true};

        check("[" ONLINE(0) "]", "[" ONLINE(0) "]", &rebuild, "a-0!");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_states),
                cmocka_unit_test(test_empty_live),
                cmocka_unit_test(test_other_definition_is_replaced),
                cmocka_unit_test(test_extra),
                cmocka_unit_test(test_passed_ids),
                cmocka_unit_test(test_rebuild_when_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
