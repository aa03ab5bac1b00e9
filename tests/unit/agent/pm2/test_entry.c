/* What is sent to PM2 for an app. */
#include "agent/pm2/place.h"
#include "agent/pm2/register.h"
#include "tests/unit/agent/pm2/lists.h"

#define SETTINGS                                                                                             \
        ",\"instances\":4,\"created_at\":5,\"axm_monitor\":{\"x\":1},\"restart_time\":7,\"autostart\":true," \
        "\"pm_out_log_path\":\"/l/a-3.log\""

static void test_plain(void **state)
{
        struct pm2_list list = list_of("[" APP(3, "a", "online", SETTINGS) "]");
        json_t *env = pm2_entry_env(&list.apps[0]);

        assert_string_equal(json_text(env, "status"), "stopped");
        assert_null(json_object_get(env, "instances"));  /* PM2 would start so many */
        assert_null(json_object_get(env, "created_at")); /* an old one turns its crash counter off */
        assert_null(json_object_get(env, "axm_monitor"));
        assert_int_equal(json_number(env, "restart_time", 0), 7);
        assert_string_equal(json_text(env, "pm_out_log_path"), "/l/a-3.log");
        /* The app itself is as it was. */
        assert_int_equal(json_number(list.apps[0].env, "instances", 0), 4);
        assert_string_equal(list.apps[0].status_text, "online");
        json_decref(env);
        pm2_list_clear(&list);
}

static void test_stopped_keeps_its_past(void **state)
{
        struct pm2_list list =
                list_of("[{\"pm2_env\":{\"pm_id\":1,\"status\":\"stopped\",\"created_at\":5}}]");
        json_t *env = pm2_entry_env(&list.apps[0]);

        assert_int_equal(json_number(env, "created_at", 0), 5);
        assert_true(json_is_object(json_object_get(env, "env"))); /* PM2 writes into it */
        json_decref(env);
        pm2_list_clear(&list);
}

static void test_restart(void **state)
{
        struct pm2_list list = list_of("[{\"pm2_env\":{\"pm_id\":3,\"status\":\"online\",\"instances\":4,"
                                       "\"restart_time\":7,\"env\":{\"unique_id\":\"u\",\"A\":\"b\"}}}]");
        json_t *options = pm2_entry_restart(&list.apps[0], PM2_ENTRY_PLAIN), *settings;

        assert_int_equal(json_number(options, "id", -1), 3);
        assert_string_equal(json_text(json_object_get(options, "env"), "unique_id"), "u");
        settings = json_object_get(json_object_get(options, "env"), "current_conf");
        assert_int_equal(json_object_size(settings), 1);
        assert_int_equal(json_number(settings, "instances", 0), 4);
        json_decref(options);
        pm2_list_clear(&list);
}

/* A bookmark, and the start that makes it the app: nothing of the first is left. */
static void check_placed(const char *more, const char *watched, const char *folder)
{
        char text[512];
        struct pm2_list list;
        json_t *env, *options, *settings, *value;
        const char *key;

        snprintf(
                text, sizeof(text),
                "[{\"pm2_env\":{\"pm_id\":3,\"name\":\"a\",\"status\":\"online\",\"pm_cwd\":\"/srv\",\"env\":"
                "{\"A\":\"b\"}%s}}]",
                more);
        list = list_of(text);
        env = pm2_place_bookmark(&list.apps[0]);
        assert_int_equal(json_number(env, "pm_id", -1), 3);
        assert_true(json_is_false(json_object_get(env, "autostart"))); /* or PM2 runs it */
        assert_false(json_truthy(json_object_get(env, "watch")));      /* or PM2 takes it for watched */
        assert_int_equal(json_object_size(json_object_get(env, "env")), 0);
        value = json_of(watched);
        assert_true(json_equal(json_object_get(env, "pm_cwd"), value));
        json_decref(value);
        assert_string_equal(json_text(json_object_get(env, "watch_options"), "cwd"), folder);
        options = pm2_entry_restart(&list.apps[0], PM2_ENTRY_PLACE);
        settings = json_object_get(json_object_get(options, "env"), "current_conf");
        json_object_foreach(settings, key, value)
        {
                if (json_is_string(value) && strcmp(json_string_value(value), "null") == 0)
                        json_object_del(env, key);
                else
                        json_object_set(env, key, value);
        }
        json_object_set_new(env, "status", json_string("online")); /* PM2's to say */
        if (!json_equal(env, list.apps[0].env))
                fail_msg("%s", json_dumps(env, JSON_SORT_KEYS));
        json_decref(env);
        json_decref(options);
        pm2_list_clear(&list);
}

static void test_placed(void **state)
{
        check_placed("", "\"/srv\"", "/srv");
        check_placed(",\"watch\":true,\"autostart\":true", "\"/srv\"", "/srv");
        check_placed(",\"watch\":[\"lib\",\"x.js\"],\"ignore_watch\":[\"y\"],\"watch_delay\":5",
                     "[\"lib\",\"x.js\"]", "/srv");
        check_placed(",\"watch\":\"lib\",\"watch_options\":{\"cwd\":\"/else\",\"usePolling\":true}",
                     "\"lib\"", "/else");
        check_placed(",\"watch\":[],\"watch_options\":null", "\"/srv\"", "/srv");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_stopped_keeps_its_past),
                cmocka_unit_test(test_restart),
                cmocka_unit_test(test_placed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
