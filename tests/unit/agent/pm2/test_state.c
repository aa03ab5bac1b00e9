/* Lists of apps out of what PM2 says. */
#include <errno.h>

#include "tests/unit/agent/pm2/lists.h"

static void test_fields(void **state)
{
        struct pm2_list list = list_of("[" APP(
                3, "b", "waiting restart",
                ",\"NODE_APP_INSTANCE\":1,\"restart_time\":7,\"pm_uptime\":1700000000123,"
                "\"watch\":[\"x\"],"
                "\"pmx_module\":true,\"kill_timeout\":\"250\",\"treekill\":true,"
                "\"autostart\":false") "," APP(1, "b", "online", ",\"namespace\":\"n\"") "," APP(0, "b",
                                                                                                 "one-launch-"
                                                                                                 "status",
                                                                                                 "") "]");
        const struct pm2_app *app = pm2_list_find(&list, 3);

        assert_int_equal(list.count, 3);
        assert_int_equal(list.apps[0].pm_id, 0);
        assert_int_equal(list.apps[0].status, PM2_OTHER);
        assert_int_equal(app->status, PM2_WAITING);
        assert_true(pm2_status_runs(app->status));
        assert_int_equal(app->instance, 1);
        assert_int_equal(app->instances, 2); /* the one of namespace n is another */
        assert_int_equal(app->restarts, 7);
        assert_int_equal(app->uptime_us, 1700000000123000);
        assert_int_equal(app->kill_timeout_ms, 250);
        assert_true(app->watch && app->module && app->treekill && !app->autostart);
        assert_string_equal(app->space, "default");
        assert_null(pm2_list_find(&list, 2));
        assert_int_equal(pm2_list_count(&list, PM2_ONLINE), 1);
        pm2_list_clear(&list);
}

/* PM2 calls "waiting restart" what it will not start again, too. */
static void test_what_waits_for_nothing(void **state)
{
        static const struct {
                const char *settings;
                enum pm2_status status;
        } cases[] = {
                {",\"created_at\":1700000000123", PM2_WAITING},
                {",\"created_at\":null", PM2_ERRORED},
                {",\"created_at\":null,\"autorestart\":false", PM2_ERRORED},
                {",\"autorestart\":false", PM2_STOPPED},
                {",\"autorestart\":\"false\"", PM2_STOPPED},
                {",\"autorestart\":\"no\"", PM2_WAITING},
                {",\"autorestart\":0", PM2_WAITING},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct pm2_list list;
                char text[512];

                snprintf(text, sizeof(text), "[" APP(0, "a", "waiting restart", "%s") "]", cases[i].settings);
                list = list_of(text);
                assert_int_equal(list.apps[0].status, cases[i].status);
                assert_string_equal(list.apps[0].status_text, pm2_status_name(cases[i].status));
                pm2_list_clear(&list);
        }
}

/* PM2 changes these at each start; a hash that took them in would differ after every restore. */
static void test_hashes_leave_out_what_changes(void **state)
{
        struct pm2_list list = list_of(
                "[" APP(0, "a", "online",
                        ",\"pm_uptime\":1,\"created_at\":2,\"restart_time\":1,\"A\":"
                        "\"1\","
                        "\"axm_monitor\":{\"x\":1},\"unique_id\":\"u\",\"instances\":"
                        "2") "," APP(1, "a", "stopped",
                                     ",\"pm_uptime\":5,\"version\":\"1.2\",\"NODE_APP_"
                                     "INSTANCE\":4,"
                                     "\"instance_var\":\"NODE_APP_INSTANCE\"") "," APP(2, "a", "stopped",
                                                                                       ",\"max_memory_"
                                                                                       "restart\":1000") "]");

        assert_string_not_equal(list.apps[0].settings_hash, list.apps[2].settings_hash);
        assert_string_equal(list.apps[0].env_hash, list.apps[1].env_hash);
        pm2_list_clear(&list);
        list = list_of("[{\"pm2_env\":{\"pm_id\":0,\"env\":{\"A\":\"1\",\"unique_id\":\"x\"},\"A\":\"1\"}},"
                       "{\"pm2_env\":{\"pm_id\":1,\"env\":{\"A\":\"1\",\"unique_id\":\"y\"}}},"
                       "{\"pm2_env\":{\"pm_id\":2,\"env\":{\"A\":\"2\",\"unique_id\":\"y\"}}}]");
        assert_string_equal(list.apps[0].env_hash, list.apps[1].env_hash);
        assert_string_equal(list.apps[0].settings_hash, list.apps[1].settings_hash);
        assert_string_not_equal(list.apps[0].env_hash, list.apps[2].env_hash);
        pm2_list_clear(&list);
}

static void test_refused(void **state)
{
        static const struct {
                const char *text, *says;
        } bad[] = {
                {"{}", "not an array"},
                {"[1]", "no pm2_env"},
                {"[{\"pm2_env\":[]}]", "no pm2_env"},
                {"[{\"pm2_env\":{\"name\":\"x\"}}]", "pm_id -1"},
                {"[{\"pm2_env\":{\"pm_id\":65536}}]", "pm_id 65536"},
                {"[{\"pm2_env\":{\"pm_id\":1e300}}]", "pm_id -1"},
                {"[{\"pm2_env\":{\"pm_id\":\"_old_1\"}}]", "pm_id -1"},
                {"[{\"pm2_env\":{\"pm_id\":1}},{\"pm2_env\":{\"pm_id\":1}}]", "twice"},
        };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                json_t *data = json_of(bad[i].text);
                struct pm2_list list = {0};
                struct error error = {0};

                assert_int_equal(pm2_list_decode(&list, data, &error), -EBADMSG);
                assert_non_null(strstr(error.text, bad[i].says));
                assert_null(list.apps);
                json_decref(data);
        }
}

static void test_too_many(void **state)
{
        json_t *data = json_array();
        struct pm2_list list = {0};

        for (int i = 0; i <= PM2_APPS_MAX; i++)
                json_array_append_new(data, json_pack("{s:{s:i}}", "pm2_env", "pm_id", i));
        assert_int_equal(pm2_list_decode(&list, data, NULL), -E2BIG);
        json_decref(data);
}

static void test_facts(void **state)
{
        json_t *good = json_of("{\"argv\":[\"/usr/bin/node\",\"/x/Daemon.js\"],\"env\":{\"A\":\"b\"},"
                               "\"pm2_version\":\"7.0.4\"}");
        json_t *bad = json_of("{\"argv\":[\"/usr/bin/node\"],\"env\":{}}");
        struct pm2_daemon_facts facts = {0};

        assert_int_equal(pm2_daemon_facts_decode(&facts, good, NULL), 0);
        assert_string_equal(facts.exec, "/usr/bin/node");
        assert_string_equal(facts.version, "7.0.4");
        pm2_daemon_facts_clear(&facts);
        assert_int_equal(pm2_daemon_facts_decode(&facts, bad, NULL), -EBADMSG);
        json_decref(good);
        json_decref(bad);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_what_waits_for_nothing),
                cmocka_unit_test(test_hashes_leave_out_what_changes),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_too_many),
                cmocka_unit_test(test_facts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
