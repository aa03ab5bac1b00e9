/* Boots that nobody asked for, or nobody waits for any more: what they undo is done again. */
#include "tests/unit/controller/core/lab.h"

static void down(struct lab *lab)
{
        lab_start(lab, PLAN_REBOOT);
        lab_take_down(lab);
        assert_step(lab, "db1 host.reboot", STEP_RUNNING);
}

static void test_power_cut_after_stops(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        for (const char *const *step =
                     (const char *const[]){"db1/bds redis.rewrite", "db1/geo tile38.shrink",
                                           "app1/apps pm2.save", "db2/bull00 redis.rewrite",
                                           "db2/bull01 redis.rewrite", "db2/bull02 redis.rewrite",
                                           "app1/apps pm2.stop", "db2/bull00 unit.stop", NULL};
             *step; step++)
                lab_done(&lab, *step);
        lab_down(&lab, DB2);
        lab_new_boot(&lab, DB2); /* all of bull is up again */
        lab_up(&lab, DB2);
        assert_step(&lab, "db2/bull00 redis.rewrite", STEP_DONE);
        assert_step(&lab, "db2/bull00 unit.stop", STEP_RUNNING);
        assert_int_equal(lab_step(&lab, "db2/bull00 unit.stop").attempt, 2);
        assert_step(&lab, "app1/apps pm2.stop", STEP_DONE);
        assert_step(&lab, "db2 host.reboot", STEP_WAITING);
        lab_end(&lab);
}

static void test_power_cut_after_restore(void **state)
{
        struct lab lab;

        down(&lab);
        for (size_t h = 0; h < HOSTS; h++)
                lab_reboot(&lab, h);
        lab_bring_up_units(&lab);
        lab_done(&lab, "app1/apps pm2.restore");
        lab_down(&lab, APP1);
        lab_new_boot(&lab, APP1);
        lab_up(&lab, APP1);
        assert_step(&lab, "app1 host.reboot", STEP_DONE); /* not once more */
        assert_step(&lab, "app1/router unit.start", STEP_RUNNING);
        assert_step(&lab, "app1/apps pm2.restore", STEP_WAITING);
        lab_done(&lab, "app1/router unit.start");
        lab_done(&lab, "app1/apps pm2.restore");
        lab_ledger(&lab, APP1, "app1/apps pm2.verify", OPERATION_INTERRUPTED);
        lab_wait(&lab, USEC_PER_SEC);
        lab_done(&lab, "app1/apps pm2.verify");
        assert_run(&lab, RUN_DONE);
        lab_end(&lab);
}

/* What has waited in vain for a service waits anew once a boot has put its start back; and what a journal of
 * before that was so says of it can be read. */
static void test_power_cut_after_a_failed_gate(void **state)
{
        static const enum run_event_kind then[] = {EVENT_DONE, EVENT_RETRIED, EVENT_FAILED};

        for (size_t i = 0; i < sizeof(then) / sizeof(then[0]); i++) {
                struct run_event event = {.kind = then[i], .clock_us = 1};
                struct lab lab;
                run *folded;

                down(&lab);
                for (size_t h = 0; h < HOSTS; h++)
                        lab_reboot(&lab, h);
                lab_phase(&lab, BDS, PHASE_STOPPED, 0);
                lab_changed(&lab, DB1);
                lab_start_units(&lab, DB1);
                assert_step(&lab, "db1/bds ready", STEP_RUNNING);
                lab_wait(&lab, 600 * USEC_PER_SEC);
                assert_step(&lab, "db1/bds ready", STEP_FAILED);
                assert_int_equal(run_state(lab.run), RUN_PAUSED);
                lab_down(&lab, DB1);
                lab_new_boot(&lab, DB1);
                lab_up(&lab, DB1);
                assert_step(&lab, "db1/bds unit.start", STEP_RUNNING);
                assert_step(&lab, "db1/bds ready", STEP_WAITING);
                event.step = step_named(run_plan(lab.run), "db1/bds ready");
                folded = lab_refold(&lab);
                assert_int_equal(run_fold(folded, &event, &lab.error), 0);
                assert_int_equal(run_check(folded, &lab.error), 0);
                event.step = step_named(run_plan(lab.run), "db1/bds-copy unit.start");
                event.kind = EVENT_DONE; /* and of an operation that waits it says nothing */
                assert_int_equal(run_fold(folded, &event, &lab.error), -EPROTO);
                run_free(folded);
                lab_done(&lab, "db1/bds unit.start");
                assert_step(&lab, "db1/bds ready", STEP_RUNNING);
                lab_end(&lab);
        }
}

/* A reboot that does not come: how the run got past it, and whether somebody else's machine answered since.
 */
static void give_up_reboot(struct lab *lab, bool forgiven, bool in_doubt)
{
        memset(lab, 0, sizeof(*lab));
        incident_init(&lab->in);
        if (forgiven) {
                lab->in.fleet.policies[OPERATION_HOST_REBOOT] =
                        (struct step_policy){.set = POLICY_ON_FAILURE, .on_failure = ON_FAILURE_CONTINUE};
                lab->in.options.rollout = (struct rollout){.has_budget = true, .budget = 1};
        }
        lab_start_plan(lab, PLAN_REBOOT);
        lab_take_down(lab);
        if (in_doubt) {
                lab_down(lab, APP1);
                lab_up(lab, APP1);
                lab_ledger(lab, APP1, "app1 host.reboot", OPERATION_INTERRUPTED);
                lab_wait(lab, 31 * USEC_PER_SEC);
                assert_step(lab, "app1 host.reboot", STEP_DOUBT);
        } else {
                lab_report(lab, "app1 host.reboot", OPERATION_FAILED, "held back by an inhibitor");
                assert_step(lab, "app1 host.reboot", STEP_FAILED);
        }
        if (!forgiven)
                assert_int_equal(lab_steer(lab, STEER_ABORT, NULL, "no reboot of app1"), 0);
}

/* The host of a reboot that was given up is booted after all, once all that it runs has been brought up on
 * the boot of before: that is done again, and the run does not end before. */
static void test_boot_after_the_run_went_on(void **state)
{
        enum { FAILED, DOUBTED, FORGIVEN, ANSWERED_BY_ANOTHER, WAYS };

        for (int way = 0; way < WAYS; way++) {
                struct lab lab;

                give_up_reboot(&lab, way >= FORGIVEN, way == DOUBTED);
                lab_reboot(&lab, DB1);
                lab_reboot(&lab, DB2);
                lab_phase(&lab, BDS_COPY, PHASE_STOPPED, 0); /* the last to come, and needed by nothing */
                lab_new_process(&lab, ROUTER);
                lab_bring_up(&lab);
                assert_step(&lab, "app1/apps pm2.verify", STEP_DONE);
                assert_run(&lab, RUN_RUNNING);
                if (way == ANSWERED_BY_ANOTHER) {
                        lab_another_answers(&lab, APP1);
                }
                lab_down(&lab, APP1);
                lab_new_boot(&lab, APP1);
                lab_up(&lab, APP1);
                assert_step(&lab, "app1 host.reboot", STEP_DONE);
                assert_step(&lab, "app1/router unit.stop",
                            STEP_DONE); /* it boots with what starts by itself */
                assert_step(&lab, "app1/router unit.start", STEP_RUNNING);
                assert_step(&lab, "app1/apps pm2.restore", STEP_WAITING);
                assert_step(&lab, "app1/apps pm2.verify", STEP_WAITING);
                lab_phase(&lab, BDS_COPY, PHASE_READY, 5000);
                lab_changed(&lab, DB1);
                lab_start_units(&lab, APP1);
                lab_changed(&lab, APP1);
                lab_done(&lab, "app1/apps pm2.restore");
                lab_done(&lab, "app1/apps pm2.verify");
                assert_run(&lab, way >= FORGIVEN ? RUN_DONE : RUN_ABORTED);
                lab_end(&lab);
        }
}

/* After an abort nobody waits for a reboot; where it is in doubt which machine answers, what fails for that
 * says what to do. */
static void test_doubt_after_an_abort(void **state)
{
        char skip[64];
        struct lab lab;

        give_up_reboot(&lab, false, false);
        lab_another_answers(&lab, APP1);
        lab_reboot(&lab, DB1);
        lab_reboot(&lab, DB2);
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(&lab, h);
                lab_changed(&lab, h);
        }
        lab_wait(&lab, 300 * USEC_PER_SEC);
        assert_step(&lab, "app1/router unit.start", STEP_FAILED);
        snprintf(skip, sizeof(skip), "if it is: muster run skip r1 %d ",
                 step_named(run_plan(lab.run), "app1 host.reboot"));
        assert_non_null(strstr(lab_step(&lab, "app1/router unit.start").text, skip));
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "app1 host.reboot", "it is app1"), 0);
        lab_changed(&lab, APP1);
        assert_non_null(strstr(lab.journal[lab.events - 1], "app1 was booted anew"));
        lab_end(&lab);
}

static void test_host_that_keeps_booting(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        for (int i = 0; i < 4; i++) {
                assert_int_equal(run_state(lab.run), RUN_RUNNING);
                lab_down(&lab, DB1);
                lab_new_boot(&lab, DB1);
                lab_up(&lab, DB1);
                lab_ledger(&lab, DB1, "db1/bds redis.rewrite", OPERATION_INTERRUPTED);
                lab_wait(&lab, USEC_PER_SEC);
        }
        assert_int_equal(run_state(lab.run), RUN_PAUSED);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_power_cut_after_stops),
                cmocka_unit_test(test_power_cut_after_restore),
                cmocka_unit_test(test_power_cut_after_a_failed_gate),
                cmocka_unit_test(test_boot_after_the_run_went_on),
                cmocka_unit_test(test_doubt_after_an_abort),
                cmocka_unit_test(test_host_that_keeps_booting),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
