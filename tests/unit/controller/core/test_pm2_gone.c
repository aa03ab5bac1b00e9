/* PM2 whose daemon is gone after its apps were verified, when a batch or the run is to end. */
#include "tests/unit/controller/core/lab.h"

static void pm2_is(struct lab *lab, bool there)
{
        lab_phase(lab, APPS, there ? PHASE_READY : PHASE_STOPPED, there ? 1000 : 0);
        incident_said(&lab->in, APPS)->pm2.reachable = there;
        lab_changed(lab, APP1);
}

/* Of a reboot all but the verification, the last of its steps. */
static void restored(struct lab *lab)
{
        lab_start(lab, PLAN_REBOOT);
        lab_reboot_all(lab);
        lab_bring_up_units(lab);
        lab_done(lab, "app1/apps pm2.restore");
}

/* PM2's daemon may die while other services load, or be killed by the kernel that has no memory left. */
static void test_ends_when_pm2_is_still_there(void **state)
{
        struct lab lab;

        restored(&lab);
        pm2_is(&lab, false); /* as it was seen before the restore */
        lab_done(&lab, "app1/apps pm2.verify");
        assert_run(&lab, RUN_RUNNING);
        lab_wait(&lab, 5 * USEC_PER_SEC);
        lab_phase(&lab, GEO, PHASE_FAILED, 0);
        lab_changed(&lab, DB1);
        pm2_is(&lab, true); /* a look that was stale loses nothing */
        assert_step(&lab, "app1/apps pm2.verify", STEP_DONE);
        pm2_is(&lab, false);
        lab_phase(&lab, GEO, PHASE_READY, 5000);
        lab_changed(&lab, DB1);
        assert_run(&lab, RUN_RUNNING);
        lab_wait(&lab, 25 * USEC_PER_SEC);
        assert_step(&lab, "app1/apps pm2.restore", STEP_RUNNING);
        assert_step(&lab, "app1/apps pm2.verify", STEP_WAITING);
        lab_done(&lab, "app1/apps pm2.restore");
        pm2_is(&lab, true);
        lab_done(&lab, "app1/apps pm2.verify");
        assert_run(&lab, RUN_DONE);
        lab_end(&lab);
}

/* One that dies each time is not restored for ever; and where no app is to run there is nothing to miss. */
static void test_pm2_that_dies_again(void **state)
{
        struct operation_report report;
        struct lab lab;

        for (int idle = 0; idle < 2; idle++) {
                restored(&lab);
                pm2_is(&lab, false);
                report = lab_report_of(&lab, "app1/apps pm2.verify", OPERATION_DONE, "done");
                report.figure_count = 1;
                TEXT_COPY(report.figures[0].name, "online");
                TEXT_COPY(report.figures[0].value, idle ? "0" : "3");
                lab_apply(&lab, (struct run_input){.kind = INPUT_REPORT,
                                                   .operation = report.id,
                                                   .reports = &report,
                                                   .report_count = 1});
                if (idle) {
                        assert_run(&lab, RUN_DONE);
                        lab_end(&lab);
                        continue;
                }
                lab_wait(&lab, 25 * USEC_PER_SEC);
                lab_done(&lab, "app1/apps pm2.restore");
                lab_done(&lab, "app1/apps pm2.verify");
                lab_wait(&lab, 25 * USEC_PER_SEC);
                assert_run(&lab, RUN_PAUSED);
                assert_step(&lab, "app1/apps pm2.restore", STEP_FAILED);
                assert_non_null(
                        strstr(lab_step(&lab, "app1/apps pm2.restore").text, "PM2 of apps is gone again"));
                assert_int_equal(lab_steer(&lab, STEER_RETRY, "app1/apps pm2.restore", ""), 0);
                lab_done(&lab, "app1/apps pm2.restore");
                pm2_is(&lab, true);
                lab_done(&lab, "app1/apps pm2.verify");
                assert_run(&lab, RUN_DONE);
                lab_end(&lab);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ends_when_pm2_is_still_there),
                cmocka_unit_test(test_pm2_that_dies_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
