/* Soft reboots: another life of userspace under the same kernel proves them, and no full one. */
#include "tests/unit/controller/core/lab.h"

#define SOFT "db1 host.reboot (soft)"

static void down_soft(struct lab *lab)
{
        memset(lab, 0, sizeof(*lab));
        incident_init(&lab->in);
        incident_soft(&lab->in);
        lab_start_plan(lab, PLAN_REBOOT);
        lab_take_down(lab);
        assert_step(lab, SOFT, STEP_RUNNING);
}

static void test_soft_reboot_is_proven_by_its_boot(void **state)
{
        struct operation_request request;
        struct lab lab;

        down_soft(&lab);
        run_request(lab.run, (size_t)step_named(run_plan(lab.run), SOFT), &request);
        assert_true(request.soft);
        lab_done(&lab, SOFT); /* the word of an agent is no proof */
        assert_step(&lab, SOFT, STEP_RUNNING);
        lab_down(&lab, DB1);
        lab_up(&lab, DB1); /* the link was cut, no more */
        assert_step(&lab, SOFT, STEP_RUNNING);
        lab_down(&lab, DB1);
        lab_wait(&lab, 3 * USEC_PER_SEC);
        lab_new_soft_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, SOFT, STEP_DONE);
        assert_non_null(strstr(lab_step(&lab, SOFT).text, "on the kernel boot of before"));
        assert_null(lab_effect(&lab, EFFECT_REBOOT, NULL)); /* full ones are estimated by what is learned */
        /* What follows is of that boot: a second one undoes it. */
        lab_done(&lab, "db1/bds unit.start");
        lab_down(&lab, DB1);
        lab_new_soft_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, SOFT, STEP_DONE);
        assert_step(&lab, "db1/bds unit.start", STEP_RUNNING);
        assert_int_equal(lab_step(&lab, "db1/bds unit.start").attempt, 2);
        lab_end(&lab);
}

/* Userspace that began before the reboot was asked for is not what that led to. */
static void test_soft_reboot_is_not_proven_by_an_old_one(void **state)
{
        struct lab lab;

        down_soft(&lab);
        lab_down(&lab, DB1);
        lab_wait(&lab, 60 * USEC_PER_SEC);
        lab_new_soft_boot(&lab, DB1);
        lab.in.states[DB1].host.uptime_ms = 66 * 1000;
        lab_up(&lab, DB1);
        assert_step(&lab, SOFT, STEP_DOUBT);
        lab_end(&lab);
}

static void test_soft_reboot_that_was_full(void **state)
{
        struct lab lab;

        down_soft(&lab);
        lab_down(&lab, DB1);
        lab_wait(&lab, 3 * USEC_PER_SEC);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, SOFT, STEP_DONE);
        assert_non_null(strstr(lab_step(&lab, SOFT).text, "a full reboot, not the soft one asked for"));
        lab_end(&lab);
}

/* Somebody's soft reboot came before the full one that was asked for, and ended it: it is to be asked for
 * again, and what the soft one started is stopped before. */
static void test_full_reboot_is_not_proven_by_a_soft_one(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_take_down(&lab);
        lab_down(&lab, DB1);
        lab_wait(&lab, 3 * USEC_PER_SEC);
        lab_new_soft_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_FAILED);
        assert_non_null(strstr(lab_step(&lab, "db1 host.reboot").text, "which is no full reboot"));
        assert_step(&lab, "db1/bds unit.stop", STEP_WAITING);
        assert_int_equal(run_state(lab.run), RUN_PAUSED);
        lab_new_boot(&lab, DB1); /* a person's, say */
        lab_down(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_soft_reboot_is_proven_by_its_boot),
                cmocka_unit_test(test_soft_reboot_is_not_proven_by_an_old_one),
                cmocka_unit_test(test_soft_reboot_that_was_full),
                cmocka_unit_test(test_full_reboot_is_not_proven_by_a_soft_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
