/* Gates of a run: what counts as ready, for how long it is waited for, and what stands on it. */
#include "tests/unit/controller/core/lab.h"

/* A process of before the stop, however ready, opens no gate. */
static void test_gate_wants_a_new_process(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        lab_done(&lab, "db1/bds unit.start");
        assert_step(&lab, "db1/bds ready", STEP_RUNNING);
        lab_changed(&lab, DB1); /* an old look, taken before the stop */
        assert_step(&lab, "db1/bds ready", STEP_RUNNING);
        lab_new_process(&lab, BDS);
        lab_phase(&lab, BDS, PHASE_READY, 1999);
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds ready", STEP_RUNNING); /* not long enough */
        lab_phase(&lab, BDS, PHASE_READY, 2000);
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds ready", STEP_DONE);
        lab_end(&lab);
}

static void test_gate_waits_while_it_moves(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_loading(&lab, BDS, 0, 10000000000);
        incident_said(&lab.in, BDS)->redis.base_bytes = 5000000000;
        lab_reboot_all(&lab);
        lab_done(&lab, "db1/bds unit.start");
        for (uint64_t done = 1; done <= 9; done++) {
                lab_wait(&lab, (done <= 5 ? 50 : 100) * USEC_PER_SEC);
                lab_loading(&lab, BDS, done * 1000000000, 10000000000);
                lab_changed(&lab, DB1);
                assert_non_null(lab_effect(&lab, EFFECT_PROGRESS, "db1/bds ready"));
                assert_step(&lab, "db1/bds ready", STEP_RUNNING);
        }
        lab_phase(&lab, BDS, PHASE_READY, 2000);
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds ready", STEP_DONE);
        lab_end(&lab);
}

static void test_gate_expires_and_opens_late(void **state)
{
        char waiting[512];
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_loading(&lab, BDS, 1000, 2000);
        lab_reboot_all(&lab);
        lab_done(&lab, "db1/bds unit.start");
        lab_wait(&lab, 119 * USEC_PER_SEC);
        assert_step(&lab, "db1/bds ready", STEP_RUNNING);
        lab_wait(&lab, 2 * USEC_PER_SEC);
        assert_step(&lab, "db1/bds ready", STEP_FAILED);
        assert_run(&lab, RUN_PAUSED);
        run_waiting_for(lab.run, waiting, sizeof(waiting));
        assert_non_null(strstr(waiting, "loading, 50.0 %"));
        assert_step(&lab, "app1/router unit.start", STEP_WAITING); /* what needs it is not started */
        assert_step(&lab, "db2/bull00 unit.start", STEP_RUNNING);  /* what does not, is */

        lab_phase(&lab, BDS, PHASE_READY, 5000);
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds ready", STEP_DONE);
        assert_run(&lab, RUN_RUNNING);
        assert_step(&lab, "app1/router unit.start", STEP_RUNNING);
        lab_end(&lab);
}

static void test_gate_is_lost_again(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_reboot_all(&lab);
        lab_start_units(&lab, DB1);
        lab_changed(&lab, DB1);
        lab_start_units(&lab, APP1);
        lab_changed(&lab, APP1);
        assert_step(&lab, "app1/router ready", STEP_DONE);
        assert_step(&lab, "app1/apps pm2.restore", STEP_WAITING); /* for db2 */
        lab_loading(&lab, BDS, 1, 100);                           /* PONG, and then LOADING again */
        lab_changed(&lab, DB1);
        lab_start_units(&lab, DB2);
        lab_changed(&lab, DB2);
        assert_step(&lab, "db1/bds ready", STEP_RUNNING);
        assert_step(&lab, "app1/apps pm2.restore", STEP_WAITING);
        lab_phase(&lab, BDS, PHASE_READY, 2500);
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds ready", STEP_DONE);
        assert_step(&lab, "app1/apps pm2.restore", STEP_RUNNING);
        lab_end(&lab);
}

/* What was lost and does not come back in time is no more there than while it was waited for: nothing begins
 * on top of it, however far below. */
static void test_gate_that_failed_holds_what_is_further_down(void **state)
{
        struct lab lab = {0};

        incident_init(&lab.in);
        lab.in.services[ROUTER].same_as = -1; /* and so is ready whatever stands behind it */
        lab_start_plan(&lab, PLAN_REBOOT);
        lab_reboot_all(&lab);
        lab_start_units(&lab, DB1);
        lab_changed(&lab, DB1);
        lab_start_units(&lab, APP1);
        lab_changed(&lab, APP1);
        assert_step(&lab, "app1/router ready", STEP_DONE);
        lab_loading(&lab, BDS, 1, 100);
        lab_changed(&lab, DB1);
        lab_start_units(&lab, DB2);
        lab_changed(&lab, DB2);
        assert_step(&lab, "db1/bds ready", STEP_RUNNING);
        assert_step(&lab, "app1/apps pm2.restore", STEP_WAITING);
        lab_wait(&lab, 700 * USEC_PER_SEC);
        assert_step(&lab, "db1/bds ready", STEP_FAILED);
        assert_run(&lab, RUN_PAUSED);
        assert_step(&lab, "app1/apps pm2.restore", STEP_WAITING);
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "db1/bds ready", "nobody needs it today"), 0);
        assert_step(&lab, "app1/apps pm2.restore", STEP_RUNNING);
        lab_end(&lab);
}

static void test_gate_through_the_router(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_reboot_all(&lab);
        TEXT_COPY(incident_said(&lab.in, ROUTER)->redis.run_id, "run-of-somebody-else");
        lab_changed(&lab, APP1);
        lab_start_units(&lab, DB1);
        lab_changed(&lab, DB1);
        lab_start_units(&lab, APP1);
        assert_step(&lab, "app1/router ready", STEP_RUNNING);
        TEXT_COPY(incident_said(&lab.in, ROUTER)->redis.run_id, incident_said(&lab.in, BDS)->redis.run_id);
        lab_changed(&lab, APP1);
        assert_step(&lab, "app1/router ready", STEP_DONE);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_gate_wants_a_new_process),
                cmocka_unit_test(test_gate_waits_while_it_moves),
                cmocka_unit_test(test_gate_expires_and_opens_late),
                cmocka_unit_test(test_gate_is_lost_again),
                cmocka_unit_test(test_gate_that_failed_holds_what_is_further_down),
                cmocka_unit_test(test_gate_through_the_router),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
