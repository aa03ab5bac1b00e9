/* From two lists to steps. */
#include <stdio.h>

#include "agent/pm2/plan.h"
#include "tests/unit/agent/pm2/lists.h"

/* Actions as letters (k s x a w), then "-ids" to be removed. */
static void check(const char *wanted, const char *live, const struct pm2_plan_options *options,
                  const char *expected)
{
        static const struct pm2_plan_options none = {0};
        struct pm2_list a = list_of(wanted), b = list_of(live);
        struct pm2_plan plan = {0};
        char text[256];
        size_t used = 0;

        assert_int_equal(pm2_plan_make(&plan, &a, &b, options ? options : &none), 0);
        for (size_t i = 0; i < a.count; i++)
                text[used++] = "ksxaw"[plan.actions[i]];
        for (size_t i = 0; i < plan.removal_count; i++)
                used += (size_t)sprintf(text + used, "-%lld", (long long)plan.removals[i]);
        text[used] = '\0';
        assert_string_equal(text, expected);
        assert_int_equal(plan.add_count + plan.keep_count + plan.start_count + plan.stop_count, a.count);
        pm2_plan_clear(&plan);
        pm2_list_clear(&a);
        pm2_list_clear(&b);
}

#define ONLINE(id)          APP(id, "app" #id, "online", "")
#define STOPPED(id)         APP(id, "app" #id, "stopped", "")
#define WATCHED(id, status) APP(id, "app" #id, status, ",\"watch\":[\"lib\"]")
#define ERRORED(id)         APP(id, "app" #id, "errored", "")

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

/* What is missing comes back without anything else being taken off. */
static void test_missing(void **state)
{
        check("[" ONLINE(0) "," STOPPED(1) "," WATCHED(2, "online") "," WATCHED(3,
                                                                                "stopped") "," ONLINE(4) "]",
              "[" ONLINE(4) "]", NULL, "aaaak");
        check("[" ONLINE(1) "," STOPPED(5) "]", "[" ONLINE(1) "," ONLINE(9) "]", NULL, "ka-9");
}

/* Whether PM2 watches the files of what is stopped cannot be seen. */
static void test_watched(void **state)
{
        check("[" WATCHED(0, "online") "," WATCHED(1, "stopped") "," WATCHED(2, "online") "]",
              "[" WATCHED(0, "online") "," WATCHED(1, "stopped") "," WATCHED(2, "stopped") "]", NULL, "kwa");
        check("[" WATCHED(0, "stopped") "," WATCHED(1, "errored") "]",
              "[" WATCHED(0, "online") "," WATCHED(1, "errored") "]", NULL, "xk");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_states),
                cmocka_unit_test(test_empty_live),
                cmocka_unit_test(test_other_definition_is_replaced),
                cmocka_unit_test(test_extra),
                cmocka_unit_test(test_missing),
                cmocka_unit_test(test_watched),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
