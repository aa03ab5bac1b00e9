/* Policies by kind of step: what a plan takes from them, and what a run does when a step fails. */
#include "tests/unit/controller/core/lab.h"

static void set_policy(struct incident *in, size_t service, unsigned kind, struct step_policy policy)
{
        in->services[service].policies[kind] = policy;
}

static const struct step *step_of(const struct plan *plan, const char *name)
{
        return &plan->steps[step_named(plan, name)];
}

static void test_a_plan_takes_them(void **state)
{
        struct incident in;
        struct plan *plan;
        char text[TEXT_SIZE];

        incident_init(&in);
        in.services[GEO].on_failure = ON_FAILURE_CONTINUE;
        set_policy(&in, GEO, OPERATION_UNIT_STOP,
                   (struct step_policy){.set = POLICY_ON_FAILURE, .on_failure = ON_FAILURE_ABORT});
        set_policy(&in, BDS, OPERATION_REDIS_REWRITE,
                   (struct step_policy){.set = POLICY_RETRIES | POLICY_BACKOFF | POLICY_ON_FAILURE,
                                        .retries = 3,
                                        .backoff_us = 10 * USEC_PER_SEC,
                                        .on_failure = ON_FAILURE_CONTINUE});
        set_policy(&in, BDS, POLICY_REDIS_LOAD,
                   (struct step_policy){.set = POLICY_DEADLINE, .deadline_us = 7 * USEC_PER_SEC});
        in.fleet.policies[OPERATION_HOST_REBOOT] =
                (struct step_policy){.set = POLICY_DEADLINE, .deadline_us = 300 * USEC_PER_SEC};
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        assert_int_equal(step_of(plan, "db1/geo unit.stop")->on_failure, ON_FAILURE_ABORT);
        assert_int_equal(step_of(plan, "db1/geo unit.start")->on_failure, ON_FAILURE_CONTINUE);
        assert_int_equal(step_of(plan, "db1/bds ready")->deadline_us, 7 * USEC_PER_SEC);
        assert_int_equal(step_of(plan, "db1 host.reboot")->deadline_us, 300 * USEC_PER_SEC);
        assert_int_equal(step_of(plan, "db1/bds redis.rewrite")->retries, 3);
        plan_policy_text(step_of(plan, "db1/bds redis.rewrite"), text, sizeof(text));
        assert_string_equal(text, "4 tries, 10.0 s apart or more, then continue");
        plan_policy_text(step_of(plan, "db1/bds ready"), text, sizeof(text));
        assert_string_equal(text, "deadline 7.0 s");
        plan_policy_text(step_of(plan, "db1 host.reboot"), text, sizeof(text));
        assert_string_equal(text, "deadline 5 min 00 s");
        plan_policy_text(step_of(plan, "db1/geo unit.stop"), text, sizeof(text));
        assert_string_equal(text, "abort");
        plan_policy_text(step_of(plan, "db1/bds unit.stop"), text, sizeof(text));
        assert_string_equal(text, "");
        plan_free(plan);
}

/* Two things are not passed over, whatever is said of their service: that what PM2 runs is saved before it is
 * taken down, and that what has to be there already is. */
static void test_what_is_never_passed_over(void **state)
{
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        for (size_t s = 0; s < SERVICES; s++)
                in.services[s].on_failure = ON_FAILURE_CONTINUE;
        set_policy(&in, BDS, POLICY_REDIS_LOAD,
                   (struct step_policy){.set = POLICY_ON_FAILURE, .on_failure = ON_FAILURE_CONTINUE});
        for (size_t s = 0; s < SERVICES; s++)
                in.scope_services[s] = s >= ROUTER;
        assert_int_equal(incident_plan(&in, PLAN_RESTART, &plan, NULL), 0);
        assert_int_equal(step_of(plan, "app1/apps pm2.save")->on_failure, ON_FAILURE_PAUSE);
        assert_int_equal(step_of(plan, "db1/bds is ready")->on_failure, ON_FAILURE_PAUSE);
        assert_int_equal(step_of(plan, "db1/geo is ready")->on_failure, ON_FAILURE_PAUSE);
        assert_int_equal(step_of(plan, "app1/apps pm2.stop")->on_failure, ON_FAILURE_CONTINUE);
        assert_int_equal(step_of(plan, "app1/router ready")->on_failure, ON_FAILURE_CONTINUE);
        plan_free(plan);

        in.services[BDS].policies[POLICY_REDIS_LOAD].on_failure = ON_FAILURE_ABORT;
        assert_int_equal(incident_plan(&in, PLAN_RESTART, &plan, NULL), 0);
        assert_int_equal(step_of(plan, "db1/bds is ready")->on_failure, ON_FAILURE_ABORT);
        plan_free(plan);
}

static void step_fails(struct lab *lab, const char *step)
{
        assert_step(lab, step, STEP_RUNNING);
        lab_report(lab, step, OPERATION_FAILED, "the disk is full");
}

static void test_retries_and_their_pauses(void **state)
{
        struct lab lab = {0};

        incident_init(&lab.in);
        set_policy(&lab.in, BDS, OPERATION_REDIS_REWRITE,
                   (struct step_policy){.set = POLICY_RETRIES | POLICY_BACKOFF,
                                        .retries = 2,
                                        .backoff_us = 10 * USEC_PER_SEC});
        lab_start_plan(&lab, PLAN_REBOOT);
        step_fails(&lab, "db1/bds redis.rewrite");
        lab_wait(&lab, 9 * USEC_PER_SEC);
        assert_step(&lab, "db1/bds redis.rewrite", STEP_RETRYING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        step_fails(&lab, "db1/bds redis.rewrite");
        lab_wait(&lab, 19 * USEC_PER_SEC); /* twice as long */
        assert_step(&lab, "db1/bds redis.rewrite", STEP_RETRYING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        step_fails(&lab, "db1/bds redis.rewrite");
        assert_step(&lab, "db1/bds redis.rewrite", STEP_FAILED);
        assert_run(&lab, RUN_PAUSED);
        lab_end(&lab);
}

/* Three rewrites may fail, the budget forgives one. */
static void test_an_error_budget(void **state)
{
        struct lab lab = {0};
        struct step_policy policy = {
                .set = POLICY_RETRIES | POLICY_ON_FAILURE,
                .on_failure = ON_FAILURE_CONTINUE,
        };

        incident_init(&lab.in);
        for (size_t s = BULL00; s <= BULL02; s++)
                set_policy(&lab.in, s, OPERATION_REDIS_REWRITE, policy);
        lab.in.options.rollout = (struct rollout){.has_budget = true, .budget = 1};
        lab_start_plan(&lab, PLAN_REBOOT);
        step_fails(&lab, "db2/bull00 redis.rewrite");
        assert_run(&lab, RUN_RUNNING);
        step_fails(&lab, "db2/bull01 redis.rewrite");
        assert_run(&lab, RUN_PAUSED);
        assert_non_null(strstr(lab_step(&lab, "db2/bull01 redis.rewrite").text,
                               "more than the error budget of 1 forgives: the disk is full"));
        assert_true(lab_step(&lab, "db2/bull01 redis.rewrite").blocks);
        assert_false(lab_step(&lab, "db2/bull00 redis.rewrite").blocks);

        /* One that is mended gives back what it took of the budget. */
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db2/bull00 redis.rewrite", ""), 0);
        lab_done(&lab, "db2/bull00 redis.rewrite");
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db2/bull01 redis.rewrite", ""), 0);
        step_fails(&lab, "db2/bull01 redis.rewrite");
        assert_run(&lab, RUN_RUNNING);
        assert_step(&lab, "db2/bull02 redis.rewrite", STEP_RUNNING);
        lab_end(&lab);
}

static void assert_waits_for(struct lab *lab, const char *text)
{
        char waiting[4 * TEXT_SIZE];

        run_waiting_for(lab->run, waiting, sizeof(waiting));
        if (!strstr(waiting, text))
                fail_msg("it waits for '%s', not '%s'", waiting, text);
}

/* A paused run says why, and the commands that move it, whatever it was that paused it. */
static void test_what_a_run_waits_for(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        assert_waits_for(&lab, "db1/bds redis.rewrite, db2/bull00 redis.rewrite");
        assert_int_equal(lab_steer(&lab, STEER_PAUSE, NULL, "a look around"), 0);
        assert_waits_for(&lab,
                         "paused by viktor: a look around; to move it: muster run resume r1, or muster run "
                         "abort r1");
        step_fails(&lab, "db1/bds redis.rewrite");
        assert_int_equal(lab_steer(&lab, STEER_RESUME, NULL, ""), 0);
        lab_wait(&lab, 60 * USEC_PER_SEC);
        step_fails(&lab, "db1/bds redis.rewrite");
        assert_waits_for(&lab,
                         "redis.rewrite failed: the disk is full; to move it: muster run retry r1 0, muster "
                         "run skip r1 0 --why TEXT, or muster run abort r1");
        assert_int_equal(lab_steer(&lab, STEER_PAUSE, NULL, ""), 0);
        assert_waits_for(&lab, "or muster run abort r1; and it is paused: muster run resume r1");
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
        assert_waits_for(&lab, "db2/bull00 redis.rewrite");
        lab_end(&lab);
}

/* Between two attempts it says when the next one comes, and why; and where more than one step waits for a
 * person, which ones. */
static void test_waiting_between_attempts(void **state)
{
        struct lab lab = {0};
        struct step_policy once = {.set = POLICY_RETRIES};

        incident_init(&lab.in);
        set_policy(&lab.in, BDS, OPERATION_REDIS_REWRITE,
                   (struct step_policy){.set = POLICY_RETRIES | POLICY_BACKOFF,
                                        .retries = 2,
                                        .backoff_us = 600 * USEC_PER_SEC});
        set_policy(&lab.in, APPS, OPERATION_PM2_SAVE, once);
        set_policy(&lab.in, BULL00, OPERATION_REDIS_REWRITE, once);
        lab_start_plan(&lab, PLAN_REBOOT);
        step_fails(&lab, "db1/bds redis.rewrite");
        lab_wait(&lab, 60 * USEC_PER_SEC);
        lab_changed(&lab, DB2);
        assert_waits_for(&lab, "db1/bds redis.rewrite (tried again in 9 min 00 s: the disk is full), ");
        step_fails(&lab, "db2/bull00 redis.rewrite");
        assert_waits_for(&lab, "the disk is full; to move it: ");
        step_fails(&lab, "app1/apps pm2.save");
        assert_waits_for(&lab, "the disk is full (also step 5); to move it: ");
        lab_end(&lab);
}

/* Nothing is under way: the step that could begin says what it waits for. */
static void test_waiting_for_a_host(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_done(&lab, "app1/apps pm2.save");
        lab_done(&lab, "db2/bull00 redis.rewrite");
        lab_down(&lab, DB2);
        lab_done(&lab, "db1/bds redis.rewrite");
        lab_down(&lab, DB1);
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "db2/bull01 redis.rewrite", "it is small"), 0);
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "db1/geo tile38.shrink", "it is small"), 0);
        assert_waits_for(&lab, "db2/bull02 redis.rewrite: db2 is not connected");
        lab_end(&lab);
}

static size_t count_late(const struct lab *lab)
{
        size_t count = 0;

        for (size_t i = 0; i < lab->events; i++)
                if (strstr(lab->journal[i], "\"kind\":\"late\"")) {
                        assert_non_null(strstr(lab->journal[i], "it may not be finished by 2023-"));
                        count++;
                }
        return count;
}

/* Said once, when the upper end of what is left passes the time. */
static void test_finish_by(void **state)
{
        struct lab lab = {0};
        struct plan *plan;
        uint64_t low, high;

        incident_init(&lab.in);
        assert_int_equal(incident_plan(&lab.in, PLAN_REBOOT, &plan, NULL), 0);
        plan_forecast(plan, &low, &high);
        plan_free(plan);
        lab.in.options.finish_by_us = 1700000000000000 + 1000 * USEC_PER_SEC + high + 300 * USEC_PER_SEC;
        lab_start_plan(&lab, PLAN_REBOOT);
        assert_int_equal(count_late(&lab), 0);
        /* The first rewrites stand still: their estimates pass, and then the slack of five minutes. */
        lab_wait(&lab, 200 * USEC_PER_SEC);
        assert_int_equal(count_late(&lab), 0);
        lab_wait(&lab, 3600 * USEC_PER_SEC);
        assert_int_equal(count_late(&lab), 1);
        lab_wait(&lab, 3600 * USEC_PER_SEC);
        assert_int_equal(count_late(&lab), 1);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_plan_takes_them),
                cmocka_unit_test(test_what_is_never_passed_over),
                cmocka_unit_test(test_retries_and_their_pauses),
                cmocka_unit_test(test_an_error_budget),
                cmocka_unit_test(test_what_a_run_waits_for),
                cmocka_unit_test(test_waiting_for_a_host),
                cmocka_unit_test(test_waiting_between_attempts),
                cmocka_unit_test(test_finish_by),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
