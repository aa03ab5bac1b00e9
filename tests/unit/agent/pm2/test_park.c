/* The stand-in for a stopped app, and the settings that make it the app: together they leave nothing of the
 * disguise. */
#include <stdio.h>

#include "agent/pm2/park.h"
#include "tests/unit/agent/pm2/lists.h"

/* What PM2 makes of the stand-in when it takes the settings (Utility.extendMix). */
static void apply(json_t *env, const json_t *options)
{
        json_t *settings = json_object_get(json_object_get(options, "env"), "current_conf"), *value;
        const char *key;

        json_object_foreach(settings, key, value)
        {
                if (json_is_string(value) && strcmp(json_string_value(value), "null") == 0)
                        json_object_del(env, key);
                else
                        json_object_set(env, key, value);
        }
}

static void test_nothing_of_the_disguise_stays(void **state)
{
        struct pm2_list list =
                list_of("[" APP(7, "a", "stopped",
                                ",\"autostart\":false,\"kill_timeout\":9,\"cron_restart\":\"\","
                                "\"pm_out_log_path\":\"/l/a.log\",\"pm_pid_path\":\"/l/"
                                "a.pid\",\"args\":[\"x\"],\"treekill\":true,"
                                "\"instances\":2,\"restart_time\":3,\"uid\":1000") "]");
        json_t *stand_in = pm2_park_stand_in(&list.apps[0]), *options = pm2_park_settings(&list.apps[0]);

        assert_int_equal(json_number(stand_in, "pm_id", -1), 7);
        assert_string_equal(json_text(stand_in, "pm_exec_path"), "/bin/sh");
        assert_string_equal(json_text(stand_in, "pm_out_log_path"), "/dev/null");
        /* PM2 unlinks it as the home's user, who may be root: it has to be the app's own. */
        assert_string_equal(json_text(stand_in, "pm_pid_path"), "/l/a.pid");
        assert_true(json_is_true(json_object_get(stand_in, "autostart")));
        assert_null(json_object_get(stand_in, "instances"));
        assert_null(json_object_get(stand_in, "uid"));
        assert_int_equal(json_number(options, "id", -1), 7);
        apply(stand_in, options);
        /* PM2 keeps the status to itself while it stops the stand-in. */
        assert_int_equal(json_object_set_new(stand_in, "status", json_string("stopped")), 0);
        if (!json_equal(stand_in, list.apps[0].env))
                fail_msg("%s", json_dumps(stand_in, JSON_SORT_KEYS));
        assert_string_equal(list.apps[0].script, "/srv/app.js");
        json_decref(stand_in);
        json_decref(options);
        pm2_list_clear(&list);
}

/* It sets the clock for the id, and must not start anything. */
static void test_clock(void **state)
{
        struct pm2_list list = list_of("[" APP(7, "a", "stopped", ",\"cron_restart\":\"0 3 * * *\"") "]");
        json_t *clock = pm2_park_clock(&list.apps[0]);

        assert_int_equal(json_number(clock, "pm_id", -1), 7);
        assert_string_equal(json_text(clock, "cron_restart"), "0 3 * * *");
        assert_null(json_object_get(clock, "instances"));
        assert_null(fopen(json_text(clock, "pm_out_log_path"), "a"));
        assert_null(fopen(json_text(clock, "pm_err_log_path"), "a"));
        assert_null(strstr(json_text(clock, "pm_err_log_path"), "/dev/null")); /* PM2 opens none for it */
        json_decref(clock);
        pm2_list_clear(&list);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_of_the_disguise_stays),
                                           cmocka_unit_test(test_clock)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
