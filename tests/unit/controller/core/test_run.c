/* Runs when all goes well or nearly: order, gates, failures and what people do about them. */
#include "tests/unit/controller/core/lab.h"

static void test_to_the_end(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        assert_step(&lab, "db1/bds redis.rewrite", STEP_RUNNING);
        assert_step(&lab, "db1/geo tile38.shrink", STEP_WAITING); /* one a host */
        assert_step(&lab, "app1/apps pm2.stop", STEP_WAITING);
        lab_reboot_all(&lab);
        lab_bring_up(&lab);
        assert_run(&lab, RUN_DONE);
        assert_non_null(lab_effect(&lab, EFFECT_FINISHED, NULL));
        assert_int_equal(run_wake_us(lab.run), UINT64_MAX);
        assert_int_equal(run_steps_settled(lab.run), run_plan(lab.run)->step_count);
        lab_end(&lab);
}

/* What leaves is announced before, with an id of its own, for the boot that was seen. */
static void test_intent_before_send(void **state)
{
        char seen[256][ID_SIZE];
        size_t count = 0;
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        for (size_t i = 0; i < lab.effects.count; i++) {
                const struct run_effect *effect = &lab.effects.items[i];
                struct operation_request request;
                bool announced = false;

                if (effect->kind != EFFECT_OPERATE)
                        continue;
                for (size_t j = 0; j < i; j++)
                        announced |= lab.effects.items[j].kind == EFFECT_JOURNAL &&
                                     lab.effects.items[j].event->kind == EVENT_INTENT &&
                                     text_equal(lab.effects.items[j].event->operation, effect->operation);
                assert_true(announced);
                run_request(lab.run, (size_t)effect->step, &request);
                assert_int_equal(operation_request_check(&request, &lab.error), 0);
                assert_string_equal(request.id, effect->operation);
                assert_int_equal(strlen(request.boot_id), 32);
                for (size_t j = 0; j < count; j++)
                        assert_string_not_equal(seen[j], request.id);
                TEXT_COPY(seen[count++], request.id);
        }
        assert_int_equal(count, 3); /* two rewrites and the save */
        lab_end(&lab);
}

static void test_snapshot_is_the_runs(void **state)
{
        struct operation_request request;
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        run_request(lab.run, (size_t)step_named(run_plan(lab.run), "app1/apps pm2.save"), &request);
        assert_string_equal(request.snapshot, "r1");
        lab_end(&lab);
}

/* Apps have to run for as long as the fleet file says, and the step has the time for that. */
static void test_hold_is_the_apps(void **state)
{
        struct operation_request request;
        const struct plan *plan;
        struct lab lab;
        int step;

        lab_start(&lab, PLAN_REBOOT);
        plan = run_plan(lab.run);
        step = step_named(plan, "app1/apps pm2.verify");
        run_request(lab.run, (size_t)step, &request);
        assert_int_equal(request.settle_us, 2 * USEC_PER_SEC);
        assert_int_equal(plan->steps[step].deadline_us, (300 + 7 * 2) * USEC_PER_SEC);
        lab_end(&lab);
}

static void test_retry_then_pause_then_retry(void **state)
{
        char first[ID_SIZE], waiting[RUN_WAITING_SIZE], reason[200];
        struct lab lab;

        snprintf(reason, sizeof(reason), "%0190d full", 0); /* the longest are told whole */
        lab_start(&lab, PLAN_REBOOT);
        TEXT_COPY(first, lab_step(&lab, "app1/apps pm2.save").operation);
        lab_report(&lab, "app1/apps pm2.save", OPERATION_FAILED, "disk full");
        assert_step(&lab, "app1/apps pm2.save", STEP_RETRYING);
        assert_run(&lab, RUN_RUNNING);
        lab_wait(&lab, 5 * USEC_PER_SEC);
        assert_step(&lab, "app1/apps pm2.save", STEP_RUNNING);
        assert_string_not_equal(lab_step(&lab, "app1/apps pm2.save").operation, first);
        lab_report(&lab, "app1/apps pm2.save", OPERATION_FAILED, reason);
        assert_step(&lab, "app1/apps pm2.save", STEP_FAILED);
        assert_run(&lab, RUN_PAUSED);
        run_waiting_for(lab.run, waiting, sizeof(waiting));
        assert_non_null(strstr(waiting, "00 full; to move it: "));
        assert_non_null(strstr(waiting, "muster run retry r1"));
        assert_non_null(strstr(waiting, "--why"));

        /* While it waits for a person nothing more is taken down. */
        lab_done(&lab, "db2/bull00 redis.rewrite");
        assert_step(&lab, "db2/bull01 redis.rewrite", STEP_WAITING);
        assert_int_equal(lab_steer(&lab, STEER_RESUME, NULL, ""), -EINVAL);
        assert_non_null(strstr(lab.error.text, "00 full; to move it: "));
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "app1/apps pm2.save", ""), 0);
        assert_run(&lab, RUN_RUNNING);
        assert_step(&lab, "db2/bull01 redis.rewrite", STEP_RUNNING);
        assert_int_equal(lab_step(&lab, "app1/apps pm2.save").attempt, 3);
        lab_done(&lab, "app1/apps pm2.save");
        lab_end(&lab);
}

static void test_skip(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "app1/apps pm2.stop", ""), -EINVAL);
        assert_non_null(strstr(lab.error.text, "--why"));
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "db1/bds redis.rewrite", "no time"), -EINVAL);
        assert_non_null(strstr(lab.error.text, "at work"));
        lab_reboot_all(&lab);
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "app1/apps pm2.verify", "in a hurry"), 0);
        assert_step(&lab, "app1/apps pm2.verify", STEP_SKIPPED);
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "app1/apps pm2.verify", "again"), -EINVAL);
        lab_bring_up_units(&lab);
        lab_done(&lab, "app1/apps pm2.restore");
        assert_run(&lab, RUN_PART);
        lab_end(&lab);
}

static void test_pause_and_resume(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        assert_int_equal(lab_steer(&lab, STEER_PAUSE, NULL, "lunch"), 0);
        assert_run(&lab, RUN_PAUSED);
        assert_int_equal(lab_steer(&lab, STEER_PAUSE, NULL, ""), -EINVAL);
        lab_done(&lab, "db1/bds redis.rewrite");
        assert_step(&lab, "db1/geo tile38.shrink", STEP_WAITING);
        assert_int_equal(lab_steer(&lab, STEER_RESUME, NULL, ""), 0);
        assert_step(&lab, "db1/geo tile38.shrink", STEP_RUNNING);
        assert_int_equal(lab_steer(&lab, STEER_RESUME, NULL, ""), -EINVAL);
        lab_end(&lab);
}

static void test_abort_before_anything(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, "wrong fleet"), 0);
        assert_step(&lab, "app1/apps pm2.stop", STEP_CANCELLED);
        assert_step(&lab, "app1/apps pm2.restore", STEP_CANCELLED);
        assert_run(&lab, RUN_RUNNING); /* what runs may end */
        lab_done(&lab, "app1/apps pm2.save");
        lab_done(&lab, "db1/bds redis.rewrite");
        lab_done(&lab, "db2/bull00 redis.rewrite");
        assert_run(&lab, RUN_ABORTED);
        assert_int_equal(lab_steer(&lab, STEER_PAUSE, NULL, ""), -EINVAL);
        assert_non_null(strstr(lab.error.text, "has ended"));
        lab_end(&lab);
}

/* An abort leaves nothing stopped that the run stopped. */
static void test_abort_brings_back_up(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_take_down(&lab);
        lab_reboot(&lab, APP1);
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
        lab_reboot(&lab, DB1); /* was under way */
        lab_reboot(&lab, DB2);
        lab_bring_up(&lab);
        assert_run(&lab, RUN_ABORTED);
        lab_end(&lab);

        lab_start(&lab, PLAN_REBOOT);
        for (const char *const *step =
                     (const char *const[]){"db1/bds redis.rewrite", "db1/geo tile38.shrink",
                                           "db2/bull00 redis.rewrite", "db2/bull01 redis.rewrite",
                                           "db2/bull02 redis.rewrite", "app1/apps pm2.save", NULL};
             *step; step++)
                lab_done(&lab, *step);
        assert_step(&lab, "app1/apps pm2.stop", STEP_RUNNING);
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
        assert_step(&lab, "db1/bds unit.start", STEP_CANCELLED);
        lab_done(&lab, "app1/apps pm2.stop");
        lab_done(&lab, "app1/apps pm2.restore");
        lab_done(&lab, "app1/apps pm2.verify");
        lab_done(&lab, "db1/bds-copy unit.stop"); /* was under way as well */
        lab_done(&lab, "db1/bds-copy unit.start");
        lab_new_process(&lab, BDS_COPY);
        lab_changed(&lab, DB1);
        assert_run(&lab, RUN_ABORTED);
        lab_end(&lab);
}

static void test_abort_and_leave(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
        assert_true(
                run_step_is_left(lab.run, (size_t)step_named(run_plan(lab.run), "app1/apps pm2.restore")));
        assert_false(run_step_is_left(lab.run, (size_t)step_named(run_plan(lab.run), "app1/apps pm2.stop")));
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), -EINVAL);
        assert_non_null(strstr(lab.error.text, "'muster run abort r1 --leave' leaves all as it is"));
        assert_int_equal(lab_steer(&lab, STEER_LEAVE, NULL, ""), 0);
        assert_int_equal(lab_steer(&lab, STEER_LEAVE, NULL, ""), -EINVAL);
        assert_step(&lab, "app1/apps pm2.restore", STEP_CANCELLED);
        lab_start_units(&lab, DB1); /* those that were under way */
        lab_start_units(&lab, DB2);
        lab_start_units(&lab, APP1);
        assert_run(&lab, RUN_ABORTED);
        lab_end(&lab);
}

static void test_policies(void **state)
{
        struct lab lab;

        memset(&lab, 0, sizeof(lab));
        incident_init(&lab.in);
        lab.in.services[BDS_COPY].on_failure = ON_FAILURE_CONTINUE;
        lab_start_plan(&lab, PLAN_REBOOT);
        lab_phase(&lab, BDS_COPY, PHASE_FAILED, 0);
        lab_reboot_all(&lab);
        lab_bring_up(&lab);
        assert_run(&lab, RUN_RUNNING);
        lab_wait(&lab, 300 * USEC_PER_SEC);
        assert_step(&lab, "db1/bds-copy ready", STEP_FAILED);
        assert_run(&lab, RUN_PART);
        lab_end(&lab);

        memset(&lab, 0, sizeof(lab));
        incident_init(&lab.in);
        lab.in.services[APPS].on_failure = ON_FAILURE_ABORT;
        lab_start_plan(&lab, PLAN_REBOOT);
        lab_report(&lab, "app1/apps pm2.save", OPERATION_FAILED, "no");
        lab_wait(&lab, 5 * USEC_PER_SEC);
        lab_report(&lab, "app1/apps pm2.save", OPERATION_FAILED, "no");
        assert_step(&lab, "app1/apps pm2.stop", STEP_CANCELLED);
        lab_done(&lab, "db1/bds redis.rewrite");
        lab_done(&lab, "db2/bull00 redis.rewrite");
        assert_run(&lab, RUN_FAILED);
        lab_end(&lab);
}

/* Up to the restore, which is under way. */
static void lead_to_restore(struct lab *lab)
{
        lab_reboot_all(lab);
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(lab, h);
                lab_changed(lab, h);
        }
        lab_start_units(lab, APP1);
        lab_changed(lab, APP1);
        assert_step(lab, "app1/apps pm2.restore", STEP_RUNNING);
}

/* A restore or a look at it that failed with so many apps as saved. */
static struct operation_report report_of_apps(struct lab *lab, const char *step, unsigned as_saved,
                                              unsigned expected)
{
        struct operation_report report = lab_report_of(lab, step, OPERATION_FAILED, "some apps differ");

        report.figure_count = 2;
        TEXT_COPY(report.figures[0].name, "expected");
        snprintf(report.figures[0].value, TEXT_SIZE, "%u", expected);
        TEXT_COPY(report.figures[1].name, "as-saved");
        snprintf(report.figures[1].value, TEXT_SIZE, "%u", as_saved);
        return report;
}

static void test_enough_apps(void **state)
{
        struct operation_report report;
        struct lab lab;

        for (unsigned as_saved = 126; as_saved <= 127; as_saved++) {
                lab_start(&lab, PLAN_REBOOT);
                lead_to_restore(&lab);
                report = report_of_apps(&lab, "app1/apps pm2.restore", as_saved, 133); /* 95 % is 126.35 */
                lab_apply(&lab, (struct run_input){.kind = INPUT_REPORT,
                                                   .operation = report.id,
                                                   .reports = &report,
                                                   .report_count = 1});
                assert_step(&lab, "app1/apps pm2.restore", as_saved == 127 ? STEP_DONE : STEP_RETRYING);
                lab_end(&lab);
        }
}

/* 55 of 100 apps are 55 %, whatever a computer makes of 0.55 times 100. */
static void test_just_enough_apps(void **state)
{
        struct operation_report report;
        struct lab lab = {0};

        incident_init(&lab.in);
        lab.in.services[APPS].at_least = 0.55;
        lab_start_plan(&lab, PLAN_REBOOT);
        lead_to_restore(&lab);
        report = report_of_apps(&lab, "app1/apps pm2.restore", 55, 100);
        lab_apply(&lab, (struct run_input){.kind = INPUT_REPORT,
                                           .operation = report.id,
                                           .reports = &report,
                                           .report_count = 1});
        assert_step(&lab, "app1/apps pm2.restore", STEP_DONE);
        lab_end(&lab);
}

/* Enough, but on a boot that has ended since: the answer was lost, and with the host's power all of its apps.
 */
static void test_enough_apps_of_before_a_boot(void **state)
{
        static const char *const steps[] = {"app1/apps pm2.restore", "app1/apps pm2.verify"};

        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                struct operation_report report;
                struct lab lab;

                lab_start(&lab, PLAN_REBOOT);
                lead_to_restore(&lab);
                if (i == 1)
                        lab_done(&lab, steps[0]);
                report = report_of_apps(&lab, steps[i], 127, 133);
                lab_down(&lab, APP1);
                lab_new_boot(&lab, APP1);
                lab_up(&lab, APP1);
                lab_apply(&lab, (struct run_input){.kind = INPUT_LEDGER,
                                                   .host = "app1",
                                                   .asked = (const char(*)[ID_SIZE])report.id,
                                                   .asked_count = 1,
                                                   .reports = &report,
                                                   .report_count = 1});
                assert_step(&lab, steps[i], STEP_RETRYING);
                lab_start_units(&lab, APP1);
                lab_changed(&lab, APP1);
                lab_wait(&lab, USEC_PER_SEC);
                assert_step(&lab, steps[0], STEP_RUNNING);
                assert_int_equal(lab_step(&lab, steps[0]).attempt, 2);
                lab_done(&lab, steps[0]);
                lab_wait(&lab, USEC_PER_SEC);
                lab_done(&lab, steps[1]);
                assert_run(&lab, RUN_DONE);
                lab_end(&lab);
        }
}

static void test_forecast(void **state)
{
        uint64_t low, high, before_low, before_high;
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        plan_forecast(run_plan(lab.run), &before_low, &before_high);
        run_left(lab.run, lab.now_us, &low, &high);
        assert_int_equal(low, before_low);
        assert_int_equal(high, before_high);
        lab_loading(&lab, BDS, 0, 1000);
        lab_reboot_all(&lab);
        lab_done(&lab, "db1/bds unit.start");
        lab_wait(&lab, 100 * USEC_PER_SEC);
        lab_loading(&lab, BDS, 500, 1000);
        lab_changed(&lab, DB1);
        run_left(lab.run, lab.now_us, &low, &high);
        assert_true(low >= 70 * USEC_PER_SEC && low < before_low + 150 * USEC_PER_SEC);
        assert_true(high >= 150 * USEC_PER_SEC && high < before_high);
        lab_end(&lab);
}

/* Incremental files load slower than the base: what is left goes by the file that is loading. */
static void test_forecast_of_two_files(void **state)
{
        uint64_t low, high, left_us = 402 * USEC_PER_SEC;
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        incident_said(&lab.in, BDS)->redis.base_bytes = 5000;
        incident_said(&lab.in, BDS)->redis.incremental_bytes = 5000;
        lab_loading(&lab, BDS, 0, 10000);
        lab_reboot_all(&lab);
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(&lab, h);
                lab_changed(&lab, h);
        }
        for (uint64_t second = 1; second <= 150; second++) {
                lab_wait(&lab, USEC_PER_SEC);
                lab_loading(&lab, BDS, second <= 50 ? second * 100 : 5000 + (second - 50) * 10, 10000);
                lab_changed(&lab, DB1);
        }
        assert_step(&lab, "db1/bds ready", STEP_RUNNING);
        run_left(lab.run, lab.now_us, &low, &high);
        /* Behind it: the replica, the router, the apps. */
        assert_true(low >= left_us * 8 / 10 && low < left_us + 120 * USEC_PER_SEC);
        assert_true(high > left_us);
        lab_end(&lab);
}

/* What earlier loads taught travels with the plan: the first bytes are enough for a forecast. */
static void test_forecast_by_what_was_learned(void **state)
{
        uint64_t low, high, left_us = 550 * USEC_PER_SEC;
        struct lab lab = {0};

        incident_init(&lab.in);
        lab.in.rates[BDS] = (struct plan_rate){100, 10, 2, {0}};
        lab_start_plan(&lab, PLAN_REBOOT);
        incident_said(&lab.in, BDS)->redis.base_bytes = 5000;
        incident_said(&lab.in, BDS)->redis.incremental_bytes = 5000;
        lab_loading(&lab, BDS, 0, 10000);
        lab_reboot_all(&lab);
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(&lab, h);
                lab_changed(&lab, h);
        }
        run_left(lab.run, lab.now_us, &low, &high);
        assert_true(low >= left_us * 6 / 10 && low < left_us);
        assert_true(high > left_us);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_to_the_end),
                cmocka_unit_test(test_intent_before_send),
                cmocka_unit_test(test_snapshot_is_the_runs),
                cmocka_unit_test(test_hold_is_the_apps),
                cmocka_unit_test(test_retry_then_pause_then_retry),
                cmocka_unit_test(test_skip),
                cmocka_unit_test(test_pause_and_resume),
                cmocka_unit_test(test_abort_before_anything),
                cmocka_unit_test(test_abort_brings_back_up),
                cmocka_unit_test(test_abort_and_leave),
                cmocka_unit_test(test_policies),
                cmocka_unit_test(test_just_enough_apps),
                cmocka_unit_test(test_enough_apps),
                cmocka_unit_test(test_enough_apps_of_before_a_boot),
                cmocka_unit_test(test_forecast),
                cmocka_unit_test(test_forecast_of_two_files),
                cmocka_unit_test(test_forecast_by_what_was_learned),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
