/* Differences between two lists. */
#include "agent/pm2/diff.h"
#include "tests/unit/agent/pm2/lists.h"

/* "pm_id what before after; …", so that a test is one line. */
static void said(const struct pm2_list *before, const struct pm2_list *after, unsigned flags, char *ret,
                 size_t size)
{
        struct pm2_diff diff = {0};
        size_t used = 0;

        assert_int_equal(pm2_diff_compute(&diff, before, after, flags), 0);
        ret[0] = '\0';
        for (size_t i = 0; i < diff.count; i++)
                used += (size_t)snprintf(ret + used, size - used, "%lld %s %s %s;",
                                         (long long)diff.items[i].pm_id, diff.items[i].what,
                                         diff.items[i].before, diff.items[i].after);
        pm2_diff_clear(&diff);
}

static void check(const char *before, const char *after, unsigned flags, const char *expected)
{
        struct pm2_list a = list_of(before), b = list_of(after);
        char text[2048];

        said(&a, &b, flags, text, sizeof(text));
        assert_string_equal(text, expected);
        pm2_list_clear(&a);
        pm2_list_clear(&b);
}

static void test_equal(void **state)
{
        check("[" APP(0, "a", "online", "") "]", "[" APP(0, "a", "online", ",\"pm_uptime\":9") "]", 0, "");
        check("[]", "[]", 0, "");
}

static void test_missing_and_extra(void **state)
{
        check("[" APP(0, "a", "online", "") "," APP(2, "b", "stopped", "") "]",
              "[" APP(0, "a", "online", "") "," APP(2, "c", "errored", "") "]", 0,
              "2 missing stopped ;2 extra  errored;");
}

static void test_status(void **state)
{
        const char *before = "[" APP(0, "a", "online", "") "]", *after = "[" APP(0, "a", "launching", "") "]";

        check(before, after, 0, "0 status online launching;");
        check(before, after, PM2_DIFF_RUNS, "");
        check(before, after, PM2_DIFF_NO_STATUS, "");
        check(before, "[" APP(0, "a", "stopped", "") "]", PM2_DIFF_RUNS, "0 status online stopped;");
}

static void test_instances(void **state)
{
        check("[" APP(0, "a", "online", "") "," APP(1, "a", "online", "") "]",
              "[" APP(0, "a", "online", "") "]", 0, "0 instances 2 1;1 missing online ;");
}

static void test_each_field(void **state)
{
        static const struct {
                const char *more, *what;
        } changes[] = {
                {",\"exec_mode\":\"cluster_mode\"", "mode"},
                {",\"exec_interpreter\":\"bash\"", "interpreter"},
                {",\"cron_restart\":\"0 3 * * *\"", "cron"},
                {",\"args\":[\"x\"]", "args"},
                {",\"node_args\":[\"x\"]", "node_args"},
                {",\"watch\":true", "watch"},
                {",\"kill_timeout\":5", "settings"},
                {",\"NODE_APP_INSTANCE\":0", "instance"},
                {",\"pm_cwd\":\"/other\"", "cwd"},
                {",\"pm_exec_path\":\"/other.js\"", "script"},
                {",\"env\":{\"A\":\"2\"}", "env"},
        };

        for (size_t i = 0; i < ELEMENTS(changes); i++) {
                struct pm2_list before =
                        list_of("[" APP(0, "a", "online", ",\"instance_var\":\"NODE_APP_INSTANCE\"") "]");
                char text[1024], *after = text;
                struct pm2_list changed;
                struct pm2_diff diff = {0};

                /* Of a member that is there twice, the reader takes the last. */
                snprintf(text, sizeof(text),
                         "[{\"pm2_env\":{\"pm_id\":0,\"name\":\"a\",\"status\":\"online\","
                         "\"pm_exec_path\":\"/srv/app.js\",\"pm_cwd\":\"/srv\",\"env\":{\"A\":\"1\"},"
                         "\"instance_var\":\"NODE_APP_INSTANCE\"%s}}]",
                         changes[i].more);
                changed = list_of(after);
                assert_int_equal(pm2_diff_compute(&diff, &before, &changed, 0), 0);
                assert_int_equal(diff.count, 1);
                assert_string_equal(diff.items[0].what, changes[i].what);
                assert_false(pm2_app_same(&before.apps[0], &changed.apps[0]));
                pm2_diff_clear(&diff);
                pm2_list_clear(&before);
                pm2_list_clear(&changed);
        }
}

static void test_secrets_stand_as_hashes(void **state)
{
        struct pm2_list a = list_of("[" APP(0, "a", "online", ",\"args\":[\"--password\",\"hunter2\"]") "]");
        struct pm2_list b = list_of(
                "[{\"pm2_env\":{\"pm_id\":0,\"name\":\"a\",\"status\":\"online\",\"pm_exec_path\":"
                "\"/srv/app.js\",\"pm_cwd\":\"/srv\",\"env\":{\"A\":\"hunter3\"},\"args\":\"hunter4\"}}]");
        char text[2048];

        said(&a, &b, 0, text, sizeof(text));
        assert_non_null(strstr(text, "0 env #"));
        assert_non_null(strstr(text, "0 args #"));
        assert_null(strstr(text, "hunter"));
        pm2_list_clear(&a);
        pm2_list_clear(&b);
}

static void check_dump(const char *before, bool before_dump, const char *after, bool after_dump,
                       const char *expected)
{
        struct pm2_list a = list_of(before), b = list_of(after);
        char text[2048];

        a.dump = before_dump;
        b.dump = after_dump;
        said(&a, &b, 0, text, sizeof(text));
        assert_string_equal(text, expected);
        pm2_list_clear(&a);
        pm2_list_clear(&b);
}

/* A dump has no ids: those of the other side are told, and -1 where it has none. */
static void test_dump_goes_by_name(void **state)
{
        const char *dump =
                "[" APP(0, "a", "online", "") "," APP(1, "b", "online", "") "," APP(2, "c", "online", "") "]";
        const char *live = "[" APP(5, "b", "online", "") "," APP(7, "a", "stopped", "") "]";

        check_dump(dump, true, live, false, "7 status online stopped;-1 missing online ;");
        check_dump(live, false, dump, true, "7 status stopped online;-1 extra  online;");
}

static void test_dump_has_no_modules(void **state)
{
        const char *live =
                "[" APP(0, "a", "online", "") "," APP(1, "rotate", "online", ",\"pmx_module\":true") "]";
        const char *dump = "[" APP(0, "a", "online", "") "]";

        check_dump(live, false, dump, true, "");
        check_dump(dump, true, live, false, "");
        check_dump(live, false, dump, false, "1 missing online ;");
}

/* Apps of one name without an instance: each is one app, not all of them the first. */
static void test_dump_with_one_name_twice(void **state)
{
        const char *twice = "[" APP(3, "a", "online", "") "," APP(4, "a", "stopped", "") "]";

        check_dump(twice, true, twice, false, "");
        check_dump(twice, true, "[" APP(3, "a", "online", "") "]", false,
                   "3 instances 2 1;-1 missing stopped ;");
}

static void test_namespace(void **state)
{
        check("[" APP(0, "a", "online", "") "]", "[" APP(0, "a", "online", ",\"namespace\":\"other\"") "]", 0,
              "0 namespace default other;");
}

static void test_counts(void **state)
{
        struct pm2_list before = list_of("[" APP(0, "a", "online", "") "," APP(1, "b", "stopped", "") "," APP(
                2, "c", "waiting restart", "") "," APP(3, "d", "online", "") "]");
        struct pm2_list after = list_of("[" APP(0, "a", "errored", ",\"cron_restart\":\"x\"") "," APP(
                1, "b", "online", "") "," APP(2, "c", "launching", "") "," APP(4, "e", "online", "") "]");
        struct pm2_diff diff = {0};

        assert_int_equal(pm2_diff_compute(&diff, &before, &after, PM2_DIFF_RUNS), 0);
        assert_int_equal(diff.count, 5);
        assert_int_equal(diff.apps, 4);   /* a twice, b, d and e once */
        assert_int_equal(diff.fallen, 2); /* a and d */
        pm2_diff_clear(&diff);
        pm2_list_clear(&before);
        pm2_list_clear(&after);
}

static void test_text(void **state)
{
        struct pm2_difference item = {.pm_id = 4, .name = "web", .what = "cron", .after = "* * * * *"};
        char text[128];

        pm2_difference_text(&item, text, sizeof(text));
        assert_string_equal(text, "web (4): cron was unset, is * * * * *");
        item.pm_id = -1;
        strcpy(item.what, "missing");
        pm2_difference_text(&item, text, sizeof(text));
        assert_string_equal(text, "web: missing");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_equal),
                cmocka_unit_test(test_missing_and_extra),
                cmocka_unit_test(test_status),
                cmocka_unit_test(test_instances),
                cmocka_unit_test(test_each_field),
                cmocka_unit_test(test_secrets_stand_as_hashes),
                cmocka_unit_test(test_dump_goes_by_name),
                cmocka_unit_test(test_dump_has_no_modules),
                cmocka_unit_test(test_dump_with_one_name_twice),
                cmocka_unit_test(test_namespace),
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
