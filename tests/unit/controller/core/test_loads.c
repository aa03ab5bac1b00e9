/* Loads of one disk, no more at a time than it was told to bear. */
#include "tests/unit/controller/core/lab.h"

/* bull00 and bull01 lie on one disk, bull02 on another; one load of each at a time. */
static void on_two_disks(struct incident *in)
{
        incident_init(in);
        in->hosts[DB2].loads_said = true;
        in->hosts[DB2].loads_per_disk = 1;
        for (size_t s = BULL00; s <= BULL02; s++)
                TEXT_COPY(incident_said(in, s)->redis.disk, s == BULL02 ? "8:17" : "8:1");
}

static void assert_waits_for(struct lab *lab, const char *text)
{
        char waiting[4 * TEXT_SIZE];

        run_waiting_for(lab->run, waiting, sizeof(waiting));
        if (!strstr(waiting, text))
                fail_msg("it waits for '%s', not '%s'", waiting, text);
}

/* Started: a new process, in that phase. */
static void started(struct lab *lab, size_t service, const char *step, enum service_phase phase)
{
        lab_new_process(lab, service);
        lab_phase(lab, service, phase, 0);
        lab_done(lab, step);
        lab_changed(lab, lab->in.services[service].host);
}

static void test_one_waits_for_the_other(void **state)
{
        struct lab lab = {0};

        on_two_disks(&lab.in);
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        assert_step(&lab, "db2/bull00 unit.start", STEP_RUNNING);
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        assert_step(&lab, "db2/bull02 unit.start", STEP_RUNNING);
        assert_waits_for(&lab,
                         "db2/bull01 unit.start (bull00 is loading from its disk, at most 1 at a time)");
        /* Just stopped: its process is there still, and does not answer. That is not one that has begun. */
        incident_said(&lab.in, BULL01)->redis.run_id[0] = '\0';
        lab_phase(&lab, BULL01, PHASE_STARTING, 0);
        started(&lab, BULL00, "db2/bull00 unit.start", PHASE_STARTING);
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        lab_phase(&lab, BULL00, PHASE_LOADING, 0);
        lab_changed(&lab, DB2);
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        /* Loaded: that it is held for a while reads nothing. */
        lab_phase(&lab, BULL00, PHASE_READY, 0);
        lab_changed(&lab, DB2);
        assert_step(&lab, "db2/bull00 ready", STEP_RUNNING);
        assert_step(&lab, "db2/bull01 unit.start", STEP_RUNNING);
        lab_end(&lab);
}

static void test_two_at_a_time(void **state)
{
        struct lab lab = {0};

        on_two_disks(&lab.in);
        TEXT_COPY(incident_said(&lab.in, BULL02)->redis.disk, "8:1");
        lab.in.hosts[DB2].loads_per_disk = 2;
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        assert_step(&lab, "db2/bull01 unit.start", STEP_RUNNING);
        assert_step(&lab, "db2/bull02 unit.start", STEP_WAITING);
        assert_waits_for(&lab, "(bull00, bull01 are loading from its disk, at most 2 at a time)");
        lab_end(&lab);
}

/* Where one of a host's disks is not known, all of its loads count as from one. */
static void test_a_disk_that_is_not_known(void **state)
{
        struct lab lab = {0};

        on_two_disks(&lab.in);
        incident_said(&lab.in, BULL01)->redis.disk[0] = '\0';
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        assert_step(&lab, "db2/bull00 unit.start", STEP_RUNNING);
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        assert_step(&lab, "db2/bull02 unit.start", STEP_WAITING);
        lab_end(&lab);
}

/* Nobody waits for ever for one that does not come up, nor for one that a person has given up. */
static void test_one_that_does_not_come_up(void **state)
{
        struct lab lab = {0};

        on_two_disks(&lab.in);
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        started(&lab, BULL00, "db2/bull00 unit.start", PHASE_STARTING);
        lab_wait(&lab, 119 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull00 ready", STEP_FAILED);
        assert_step(&lab, "db2/bull01 unit.start", STEP_RUNNING);
        lab_end(&lab);

        memset(&lab, 0, sizeof(lab));
        on_two_disks(&lab.in);
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        started(&lab, BULL00, "db2/bull00 unit.start", PHASE_LOADING);
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "db2/bull00 ready", "its disk is broken"), 0);
        assert_step(&lab, "db2/bull01 unit.start", STEP_RUNNING);
        lab_end(&lab);
}

/* Its gate has failed, and yet it was started again just now: whether it loads is not to be seen so soon. */
static void test_one_that_is_started_again_late(void **state)
{
        struct lab lab = {0};

        on_two_disks(&lab.in);
        lab.in.options.rollout = (struct rollout){.has_budget = true, .budget = 1};
        lab.in.services[BULL00].policies[OPERATION_UNIT_START] = (struct step_policy){
                .set = POLICY_RETRIES | POLICY_ON_FAILURE, .on_failure = ON_FAILURE_CONTINUE};
        lab.in.services[BULL01].policies[OPERATION_UNIT_START] = (struct step_policy){.set = POLICY_RETRIES};
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        lab_phase(&lab, BULL00, PHASE_STOPPED, 0);
        lab_phase(&lab, BULL01, PHASE_STOPPED, 0);
        lab_changed(&lab, DB2);
        lab_report(&lab, "db2/bull00 unit.start", OPERATION_FAILED, "no such file"); /* forgiven */
        lab_report(&lab, "db2/bull01 unit.start", OPERATION_FAILED, "no such file");
        lab_wait(&lab, 120 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull00 ready", STEP_FAILED);
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db2/bull00 unit.start", ""), 0);
        lab_done(&lab, "db2/bull00 unit.start");
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db2/bull01 unit.start", ""), 0);
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        lab_changed(&lab, DB2); /* as its agent saw it a while ago */
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        lab_wait(&lab, 20 * USEC_PER_SEC); /* it has nothing to say, and the run goes on */
        assert_step(&lab, "db2/bull01 unit.start", STEP_RUNNING);
        lab_end(&lab);
}

/* A boot that nobody asked for puts a start back: what waits for its load has to wait for that first, and
 * others of its disk wait for both. */
static void test_a_boot_while_one_loads(void **state)
{
        struct lab lab = {0};

        on_two_disks(&lab.in);
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        started(&lab, BULL00, "db2/bull00 unit.start", PHASE_LOADING);
        assert_step(&lab, "db2/bull00 ready", STEP_RUNNING);
        lab_wait(&lab, 110 * USEC_PER_SEC);
        lab_down(&lab, DB2);
        lab_new_boot(&lab, DB2);
        for (size_t s = BULL00; s <= BULL02; s++)
                lab_phase(&lab, s, PHASE_STOPPED, 0);
        lab_up(&lab, DB2);
        assert_step(&lab, "db2/bull00 unit.start", STEP_RUNNING);
        assert_step(&lab, "db2/bull00 ready", STEP_WAITING);
        lab_wait(&lab, 30 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull00 ready", STEP_WAITING);
        started(&lab, BULL00, "db2/bull00 unit.start", PHASE_STOPPED);
        assert_step(&lab, "db2/bull00 ready", STEP_RUNNING);
        assert_step(&lab, "db2/bull01 unit.start", STEP_WAITING);
        lab_end(&lab);
}

/* What the limit makes of the time that it takes. */
static void test_the_forecast(void **state)
{
        uint64_t low[2], high[2], load_low = 0, load_high = 0;

        for (size_t limited = 0; limited < 2; limited++) {
                struct incident in;
                struct plan *plan;

                on_two_disks(&in);
                TEXT_COPY(incident_said(&in, BULL02)->redis.disk, "8:1");
                in.hosts[DB2].loads_per_disk = (uint32_t)limited; /* 0: all */
                for (size_t s = 0; s < SERVICES; s++)
                        in.scope_services[s] = in.services[s].host == DB2;
                in.scope_hosts[DB1] = in.scope_hosts[APP1] = false;
                assert_int_equal(incident_plan(&in, PLAN_RESTART, &plan, NULL), 0);
                plan_forecast(plan, &low[limited], &high[limited]);
                for (size_t i = 0; i < plan->step_count; i++)
                        if (text_equal(plan->steps[i].name, "db2/bull01 ready")) {
                                load_low = plan->steps[i].low_us - plan->steps[i].hold_us;
                                load_high = plan->steps[i].high_us - plan->steps[i].hold_us;
                        }
                plan_free(plan);
        }
        assert_true(load_low > 0);
        assert_true(low[1] >= low[0] + 2 * load_low - 4 * USEC_PER_SEC);
        assert_true(high[1] >= high[0] + 2 * load_high);
        assert_true(high[1] <= high[0] + 2 * load_high + 60 * USEC_PER_SEC);
}

/* The same of what is left, while one loads and two are held back: each has its turn. */
static void test_what_is_left(void **state)
{
        struct lab lab = {0};
        uint64_t low, high;

        on_two_disks(&lab.in);
        TEXT_COPY(incident_said(&lab.in, BULL02)->redis.disk, "8:1");
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        started(&lab, BULL00, "db2/bull00 unit.start", PHASE_STARTING);
        run_left(lab.run, lab.now_us, &low, &high);
        assert_true(high >=
                    3 * (run_plan(lab.run)->steps[step_named(run_plan(lab.run), "db2/bull01 ready")].high_us -
                         2 * USEC_PER_SEC));
        lab_end(&lab);
}

static const struct step *step_of(const struct plan *plan, const char *name)
{
        return &plan->steps[step_named(plan, name)];
}

/* systemd starts what is enabled: that is not held back, and the plan says so. */
static void test_what_starts_at_boot(void **state)
{
        struct incident in;
        struct plan *plan;
        bool said = false;

        on_two_disks(&in);
        TEXT_COPY(incident_said(&in, BULL00)->unit.unit_file_state, "enabled");
        TEXT_COPY(incident_said(&in, BULL01)->unit.unit_file_state, "enabled");
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        assert_int_equal(step_of(plan, "db2/bull00 unit.start")->loads_most, 0);
        assert_int_equal(step_of(plan, "db2/bull02 unit.start")->loads_most, 1);
        assert_non_null(
                strstr(step_of(plan, "db2/bull02 unit.start")->basis, "1 load of its disk at a time"));
        for (size_t i = 0; i < plan->warning_count; i++)
                said = said || strstr(plan->warnings[i], "systemd starts 2 services that load by itself");
        assert_true(said);
        plan_free(plan);

        /* The same of all plans of a kind, unless the host says otherwise. */
        on_two_disks(&in);
        in.options.rollout.loads_per_disk = 3;
        assert_int_equal(incident_plan(&in, PLAN_RESTART, &plan, NULL), 0);
        assert_int_equal(step_of(plan, "db2/bull00 unit.start")->loads_most, 1);
        assert_int_equal(step_of(plan, "db1/bds unit.start")->loads_most, 3);
        assert_int_equal(step_of(plan, "app1/router unit.start")->disk, 0);
        plan_free(plan);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_waits_for_the_other),
                cmocka_unit_test(test_two_at_a_time),
                cmocka_unit_test(test_a_disk_that_is_not_known),
                cmocka_unit_test(test_one_that_does_not_come_up),
                cmocka_unit_test(test_one_that_is_started_again_late),
                cmocka_unit_test(test_a_boot_while_one_loads),
                cmocka_unit_test(test_the_forecast),
                cmocka_unit_test(test_what_is_left),
                cmocka_unit_test(test_what_starts_at_boot),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
