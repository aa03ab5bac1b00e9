/* Names and states out of text: the same as the reader of values finds, and hostile text is refused. */
#include <errno.h>

#include "agent/pm2/scan.h"
#include "tests/unit/agent/pm2/lists.h"

static void test_same_as_the_reader(void **state)
{
        static const char text[] = "[" APP(
                5, "w\\\"\\u00e9\\n", "online",
                ",\"restart_time\":3,\"pm_uptime\":1700000000000,\"x\":[{},"
                "[\"]}\\\\\",1.5e3,null]],\"pmx_module\":true") " ,\n " APP(0, "plain", "waiting restart",
                                                                            "") "]";
        struct pm2_list list = list_of(text);
        struct pm2_brief *apps = NULL;
        size_t count = 0;

        assert_int_equal(pm2_scan(text, sizeof(text) - 1, &apps, &count), 0);
        assert_int_equal(count, list.count);
        for (size_t i = 0; i < count; i++) {
                const struct pm2_app *app = pm2_list_find(&list, apps[i].pm_id);

                assert_int_equal(apps[i].status, app->status);
                assert_string_equal(apps[i].status_text, app->status_text);
                assert_int_equal(apps[i].restarts, app->restarts);
                assert_int_equal(apps[i].uptime_us, app->uptime_us);
                assert_int_equal(apps[i].pid, app->pid);
                assert_int_equal(apps[i].module, app->module);
        }
        assert_string_equal(apps[0].name, "w\"? "); /* escapes beyond ASCII show as one sign */
        assert_string_equal(apps[1].name, "plain");
        free(apps);
        pm2_list_clear(&list);
}

/* "waiting restart" is read as the reader of values does. */
static void test_what_waits_for_nothing(void **state)
{
        static const char *const settings[] = {
                ",\"created_at\":1",          ",\"created_at\":null",        ",\"autorestart\":false",
                ",\"autorestart\":\"false\"", ",\"autorestart\":\"false \"", ",\"autorestart\":null",
        };

        for (size_t i = 0; i < ELEMENTS(settings); i++) {
                struct pm2_brief *apps = NULL;
                struct pm2_list list;
                char text[512];
                size_t count;

                snprintf(text, sizeof(text), "[" APP(0, "a", "waiting restart", "%s") "]", settings[i]);
                list = list_of(text);
                assert_int_equal(pm2_scan(text, strlen(text), &apps, &count), 0);
                assert_int_equal(apps[0].status, list.apps[0].status);
                assert_string_equal(apps[0].status_text, list.apps[0].status_text);
                free(apps);
                pm2_list_clear(&list);
        }
}

static void test_empty(void **state)
{
        struct pm2_brief *apps = NULL;
        size_t count = 9;

        assert_int_equal(pm2_scan("[]", 2, &apps, &count), 0);
        assert_int_equal(count, 0);
        free(apps);
}

static void test_every_cut_is_refused(void **state)
{
        static const char text[] = "[" APP(5, "a", "online", ",\"x\":{\"y\":\"\\\\\"}") "]";
        struct pm2_brief *apps = NULL;
        size_t count = 0;

        for (size_t size = 0; size + 1 < sizeof(text); size++) {
                /* Its own memory, so that a sanitizer sees a step beyond. */
                char *cut = malloc(size ? size : 1);

                memcpy(cut, text, size);
                assert_int_equal(pm2_scan(cut, size, &apps, &count), -EBADMSG);
                free(cut);
        }
        assert_null(apps);
}

static void test_refused(void **state)
{
        static const char *const bad[] = {
                "{}",
                "[{}]",
                "[{\"pm2_env\":{}}]",
                "[{\"pm2_env\":{\"pm_id\":-1}}]",
                "[{\"pm2_env\":{\"pm_id\":99999999999999999999}}]",
                "[{\"pm2_env\":{\"pm_id\":65536}}]",
                "[{\"pm2_env\":{\"pm_id\":1}},]",
                "[{\"pm2_env\":{\"pm_id\":1}}]x",
                "[{\"pm2_env\":{\"pm_id\":1 \"name\":\"x\"}}]",
                "[{\"pm2_env\":{\"name\":\"\\q\",\"pm_id\":1}}]",
                "[{\"pm2_env\":{\"name\":\"\\u12\",\"pm_id\":1}}]",
        };
        struct pm2_brief *apps = NULL;
        size_t count = 0;
        char *deep = malloc(100000);

        for (size_t i = 0; i < ELEMENTS(bad); i++)
                assert_int_equal(pm2_scan(bad[i], strlen(bad[i]), &apps, &count), -EBADMSG);
        memset(deep, '[', 100000);
        assert_int_equal(pm2_scan(deep, 100000, &apps, &count), -EBADMSG);
        memcpy(deep, "[{\"x\":", 6);
        assert_int_equal(pm2_scan(deep, 100000, &apps, &count), -EBADMSG);
        free(deep);
        assert_null(apps);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_same_as_the_reader),
                cmocka_unit_test(test_what_waits_for_nothing),
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_every_cut_is_refused),
                cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
