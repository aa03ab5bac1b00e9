/* What is sent to PM2 for an app. */
#include "agent/pm2/register.h"
#include "tests/unit/agent/pm2/lists.h"

#define SETTINGS                                                                                             \
        ",\"instances\":4,\"created_at\":5,\"axm_monitor\":{\"x\":1},\"restart_time\":7,\"autostart\":true," \
        "\"pm_out_log_path\":\"/l/a-3.log\""

static void test_plain(void **state)
{
        struct pm2_list list = list_of("[" APP(3, "a", "online", SETTINGS) "]");
        json_t *env = pm2_entry_env(&list.apps[0], PM2_ENTRY_PLAIN);

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
        json_t *env = pm2_entry_env(&list.apps[0], PM2_ENTRY_PLAIN);

        assert_int_equal(json_number(env, "created_at", 0), 5);
        assert_true(json_is_object(json_object_get(env, "env"))); /* PM2 writes into it */
        json_decref(env);
        pm2_list_clear(&list);
}

static void test_insert_and_watched(void **state)
{
        struct pm2_list list = list_of("[" APP(3, "a", "online", SETTINGS) "]");
        json_t *insert = pm2_entry_env(&list.apps[0], PM2_ENTRY_INSERT);
        json_t *watched = pm2_entry_env(&list.apps[0], PM2_ENTRY_WATCHED);

        assert_int_equal(json_number(insert, "pm_id", -1), 3);
        assert_true(json_is_true(json_object_get(insert, "autostart")));
        assert_string_not_equal(json_text(insert, "status"), "stopped");
        assert_null(json_object_get(watched, "pm_id"));
        assert_true(json_is_false(json_object_get(watched, "autostart")));
        json_decref(insert);
        json_decref(watched);
        pm2_list_clear(&list);
}

static void test_restart(void **state)
{
        struct pm2_list list =
                list_of("[{\"pm2_env\":{\"pm_id\":3,\"status\":\"online\",\"instances\":4,\"watch\":true,"
                        "\"restart_time\":7,\"env\":{\"unique_id\":\"u\",\"A\":\"b\"}}}]");
        json_t *plain = pm2_entry_restart(&list.apps[0], PM2_ENTRY_PLAIN);
        json_t *watched = pm2_entry_restart(&list.apps[0], PM2_ENTRY_WATCHED), *settings;

        assert_int_equal(json_number(plain, "id", -1), 3);
        assert_string_equal(json_text(json_object_get(plain, "env"), "unique_id"), "u");
        settings = json_object_get(json_object_get(plain, "env"), "current_conf");
        assert_int_equal(json_object_size(settings), 1);
        assert_int_equal(json_number(settings, "instances", 0), 4);
        settings = json_object_get(json_object_get(watched, "env"), "current_conf");
        assert_int_equal(json_number(settings, "restart_time", 0), 7);
        assert_string_equal(json_text(settings, "autostart"), "null"); /* PM2's word for deleting it */
        assert_null(json_object_get(settings, "status"));
        assert_null(json_object_get(settings, "watch"));
        json_decref(plain);
        json_decref(watched);
        pm2_list_clear(&list);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_stopped_keeps_its_past),
                cmocka_unit_test(test_insert_and_watched),
                cmocka_unit_test(test_restart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
