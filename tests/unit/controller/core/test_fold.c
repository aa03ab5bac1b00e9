/* The fold refuses what does not fit; events as lines of the journal. */
#include "tests/unit/controller/core/lab.h"

#define SAVE    "app1/apps pm2.save"
#define REWRITE "db1/bds redis.rewrite"

static void refused(struct lab *lab, struct run_event event, const char *word)
{
        struct error error = {0};
        uint64_t events = run_events(lab->run);

        assert_int_equal(run_fold(lab->run, &event, &error), -EPROTO);
        if (!strstr(error.text, word))
                fail_msg("'%s' does not say '%s'", error.text, word);
        assert_int_equal(run_events(lab->run), events);
        lab_check(lab);
}

static void test_fold_refusals(void **state)
{
        struct lab lab;
        int save, stop, gate, reboot;

        lab_start(&lab, PLAN_REBOOT);
        save = step_named(run_plan(lab.run), SAVE);
        stop = step_named(run_plan(lab.run), "app1/apps pm2.stop");
        gate = step_named(run_plan(lab.run), "db1/bds ready");
        reboot = step_named(run_plan(lab.run), "db1 host.reboot");
        refused(&lab, (struct run_event){.kind = EVENT_STARTED, .step = -1, .seed = "0123456789abcdef"},
                "began");
        refused(&lab, (struct run_event){.kind = EVENT_DONE, .step = stop}, "waiting");
        refused(&lab, (struct run_event){.kind = EVENT_DONE, .step = 9999}, "no such step");
        refused(&lab, (struct run_event){.kind = EVENT_DONE, .step = -1}, "no such step");
        refused(&lab,
                (struct run_event){.kind = EVENT_INTENT,
                                   .step = stop,
                                   .attempt = 1,
                                   .operation = "0123456789abcdef0123456789abcdef",
                                   .boot_id = "1"},
                "comes before");
        refused(&lab, (struct run_event){.kind = EVENT_INTENT, .step = save, .attempt = 2}, "running");
        refused(&lab, (struct run_event){.kind = EVENT_OPENED, .step = gate}, "comes before");
        refused(&lab, (struct run_event){.kind = EVENT_OPENED, .step = save}, "kind of step");
        refused(&lab, (struct run_event){.kind = EVENT_ATTEMPT, .step = save, .attempt = 7},
                "present attempt");
        refused(&lab, (struct run_event){.kind = EVENT_RESUMED, .step = -1}, "not paused");
        refused(&lab, (struct run_event){.kind = EVENT_BOOTED, .step = -1, .host = "x", .boot_id = "1"},
                "host");
        refused(&lab, (struct run_event){.kind = EVENT_FINISHED, .step = -1, .state = RUN_DONE},
                "steps left");
        refused(&lab, (struct run_event){.kind = 99, .step = -1}, "kind");
        lab_take_down(&lab);
        refused(&lab, (struct run_event){.kind = EVENT_DONE, .step = reboot}, "no new boot");
        {
                struct run_event same = {.kind = EVENT_DONE, .step = reboot};

                TEXT_COPY(same.boot_id, lab.in.states[DB1].host.boot_id);
                refused(&lab, same, "no new boot");
        }
        lab_end(&lab);
}

static void test_event_json(void **state)
{
        struct run_event event = {
                .kind = EVENT_INTENT,
                .clock_us = 1700000000123456,
                .step = 0,
                .attempt = 3,
                .operation = "0123456789abcdef0123456789abcdef",
                .host = "db1",
                .boot_id = "fedcba9876543210fedcba9876543210",
                .identity = "run abc",
                .seed = "0123456789abcdef",
                .user = "viktor",
                .interrupted = true,
                .unknown = true,
                .leave = true,
                .state = RUN_PART,
                .text = "ein \"Text\" \xc3\xa4\n",
                .figures = {{"size", "1 MB"}, {"size", "\xff\xfe"}},
                .figure_count = 2,
        };
        struct run_event *again = calloc(1, sizeof(*again));
        struct error error = {0};
        char *json, *second;

        assert_int_equal(run_event_to_json(&event, &json), 0);
        assert_int_equal(run_event_from_json(again, json, &error), 0);
        assert_int_equal(again->step, 0);
        assert_int_equal(again->clock_us, event.clock_us);
        assert_string_equal(again->text, event.text);
        assert_int_equal(again->figure_count, 2);
        assert_string_equal(again->figures[1].value, "??"); /* no UTF-8: it must not stop the journal */
        assert_int_equal(run_event_to_json(again, &second), 0);
        assert_string_equal(json, second);
        free(json);
        free(second);
        for (const char *const *bad =
                     (const char *const[]){
                             "", "{", "[]", "{}", "{\"kind\":\"dance\"}", "{\"kind\":\"done\",\"x\":1}",
                             "{\"kind\":\"done\",\"step\":-1}", "{\"kind\":\"done\",\"step\":\"1\"}",
                             "{\"kind\":\"done\",\"step\":4294967296}",
                             "{\"kind\":\"done\",\"figures\":{\"a\":1}}", "{\"kind\":\"done\",\"leave\":1}",
                             "{\"kind\":\"finished\",\"state\":\"x\"}",
                             "{\"kind\":\"done\",\"kind\":\"done\"}", NULL};
             *bad; bad++)
                if (run_event_from_json(again, *bad, &error) != -EINVAL)
                        fail_msg("taken for an event: %s", *bad);
        free(again);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fold_refusals),
                cmocka_unit_test(test_event_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
