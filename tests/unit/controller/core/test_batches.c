/* Batches and canaries: what a plan makes of them, and when a run begins the next one. */
#include "tests/unit/controller/core/lab.h"

static void plan_in_batches(struct incident *in, struct plan **ret)
{
        struct error error = {0};

        if (incident_plan(in, PLAN_REBOOT, ret, &error) < 0)
                fail_msg("%s", error.text);
        assert_int_equal(plan_check(*ret, &error), 0);
}

static unsigned batch_of(const struct plan *plan, const char *step)
{
        return plan->steps[step_named(plan, step)].batch;
}

static void test_a_host_at_a_time(void **state)
{
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        in.options.rollout.batch = 1;
        plan_in_batches(&in, &plan);
        assert_int_equal(plan->batch_count, 3);
        assert_string_equal(plan->batches[0], "db1");
        assert_string_equal(plan->batches[2], "app1");
        assert_int_equal(batch_of(plan, "db1 host.reboot"), 1);
        assert_int_equal(batch_of(plan, "db2 host.reboot"), 2);
        assert_int_equal(batch_of(plan, "app1 host.reboot"), 3);

        /* What stands on db1's services goes down and comes up with them, wherever it is. */
        assert_after(plan, "db1/bds unit.stop", "app1/router unit.stop (batch 1)");
        assert_after(plan, "app1/router unit.stop (batch 1)", "app1/apps pm2.stop (batch 1)");
        assert_after(plan, "app1/apps pm2.restore (batch 1)", "app1/router ready (batch 1)");
        assert_after(plan, "app1/router ready (batch 1)", "db1/bds ready");
        /* What does not, stays up; and has to be up. */
        assert_int_equal(step_find(plan, "db2/bull00 unit.stop (batch 1)"), -1);
        assert_after(plan, "app1/apps pm2.stop (batch 1)", "db2/bull00 is ready (batch 1)");
        assert_int_equal(step_find(plan, "app1/router unit.stop (batch 2)"), -1);
        /* PM2 is saved once, before the first batch that stops it. */
        assert_int_equal(batch_of(plan, "app1/apps pm2.save (batch 1)"), 1);
        assert_int_equal(step_find(plan, "app1/apps pm2.save"), -1);
        /* Three times: with what it stands on twice, and with its own host. */
        assert_true(plan->warning_count > 0);
        assert_non_null(strstr(plan->warnings[0], "app1/router is stopped and brought back 2 times"));
        assert_non_null(strstr(plan->warnings[1], "app1/apps is stopped and brought back 3 times"));
        plan_free(plan);
}

static void test_a_replica_elsewhere_stays_up(void **state)
{
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        in.services[BDS_COPY].host = DB2;
        in.said[DB2][BDS_COPY] = in.said[DB1][BDS_COPY];
        in.options.rollout.batch = 1;
        plan_in_batches(&in, &plan);
        assert_int_equal(step_find(plan, "db2/bds-copy unit.stop (batch 1)"), -1);
        assert_after(plan, "db2/bds-copy ready (batch 1)", "db1/bds ready");
        assert_int_equal(batch_of(plan, "db2/bds-copy unit.stop"), 2);
        /* Its own batch needs the master, which is not touched then. */
        assert_after(plan, "db2/bds-copy unit.stop", "db1/bds is ready (batch 2)");
        plan_free(plan);
}

static void test_canaries(void **state)
{
        struct error error = {0};
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        TEXT_COPY(in.options.rollout.canary_host, "db2");
        in.services[BULL01].on_failure = ON_FAILURE_CONTINUE;
        in.services[GEO].on_failure = ON_FAILURE_CONTINUE;
        plan_in_batches(&in, &plan);
        assert_int_equal(plan->batch_count, 2);
        assert_true(plan->canary);
        assert_string_equal(plan->batches[0], "db2");
        assert_string_equal(plan->batches[1], "db1, app1");
        /* A canary is there to fail: nothing of it is passed over. */
        assert_int_equal(plan->steps[step_named(plan, "db2/bull01 ready")].on_failure, ON_FAILURE_PAUSE);
        assert_int_equal(plan->steps[step_named(plan, "db1/geo ready")].on_failure, ON_FAILURE_CONTINUE);
        plan_free(plan);

        in.options.rollout = (struct rollout){.canary = 1, .batch = 1};
        plan_in_batches(&in, &plan);
        assert_string_equal(plan->batches[0], "db1");
        assert_int_equal(plan->batch_count, 3);
        plan_free(plan);

        /* One that is not in scope: refused if asked for, else said. */
        in.scope_hosts[DB2] = false;
        in.scope_services[BULL00] = in.scope_services[BULL01] = in.scope_services[BULL02] = false;
        in.options.rollout = (struct rollout){.canary_host = "db2"};
        plan_in_batches(&in, &plan);
        assert_int_equal(plan->batch_count, 1);
        assert_false(plan->canary);
        assert_non_null(strstr(plan->warnings[0], "canary db2 is not in scope"));
        plan_free(plan);
        in.options.canary_asked = true;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), -EINVAL);
        assert_non_null(strstr(error.text, "the canary 'db2' is none of the hosts of this reboot"));
}

static void test_what_cannot_be_stopped(void **state)
{
        struct error error = {0};
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        in.services[BULL00].spec.unit[0] = '\0';
        in.services[BULL00].needs[in.services[BULL00].need_count++] = BDS;
        plan_in_batches(&in, &plan); /* all at once its host takes it down */
        plan_free(plan);
        in.options.rollout.batch = 1;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), -EINVAL);
        assert_non_null(strstr(error.text,
                               "batch 1 takes down bds on db1, and bull00 on db2, which needs it, "
                               "has no unit"));
}

static void test_plans_that_are_not_sound(void **state)
{
        struct error error = {0};
        struct incident in;
        struct plan *plan, *read;
        char *json;

        incident_init(&in);
        in.options.rollout.batch = 1;
        plan_in_batches(&in, &plan);
        assert_int_equal(plan_to_json(plan, &json), 0);
        assert_int_equal(plan_from_json(&read, json, &error), 0);
        assert_int_equal(read->batch_count, 3);
        assert_string_equal(read->batches[1], "db2");
        plan_free(read);
        free(json);
        plan->steps[plan->step_count - 1].batch = 1;
        assert_int_equal(plan_check(plan, &error), -EINVAL);
        plan->steps[plan->step_count - 1].batch = 4;
        assert_int_equal(plan_check(plan, &error), -EINVAL);
        assert_non_null(strstr(error.text, "out of order"));
        plan_free(plan);
}

/* --- runs --- */

/* A canary, db2, and then the two others. */
static void start_with_canary(struct lab *lab)
{
        memset(lab, 0, sizeof(*lab));
        incident_init(&lab->in);
        TEXT_COPY(lab->in.options.rollout.canary_host, "db2");
        lab_start_plan(lab, PLAN_REBOOT);
}

static void done_all(struct lab *lab, const char *const *steps)
{
        for (; *steps; steps++)
                lab_done(lab, *steps);
}

static void take_down_db2(struct lab *lab)
{
        done_all(lab, (const char *const[]){"db2/bull00 redis.rewrite", "db2/bull01 redis.rewrite",
                                            "db2/bull02 redis.rewrite", "app1/apps pm2.save (batch 1)",
                                            "app1/apps pm2.stop (batch 1)", "db2/bull00 unit.stop",
                                            "db2/bull01 unit.stop", "db2/bull02 unit.stop", NULL});
        lab_reboot(lab, DB2);
        done_all(lab, (const char *const[]){"db2/bull00 unit.start", "db2/bull01 unit.start",
                                            "db2/bull02 unit.start", NULL});
}

static void bring_up_db2(struct lab *lab)
{
        lab_changed(lab, DB2);
        done_all(lab, (const char *const[]){"app1/apps pm2.restore (batch 1)",
                                            "app1/apps pm2.verify (batch 1)", NULL});
}

static void test_the_next_batch_waits(void **state)
{
        struct lab lab;

        start_with_canary(&lab);
        assert_step(&lab, "db1/bds redis.rewrite", STEP_WAITING);
        take_down_db2(&lab);
        lab_changed(&lab, DB2);
        assert_int_equal(run_batch(lab.run), 1);
        lab_done(&lab, "app1/apps pm2.restore (batch 1)");
        assert_step(&lab, "db1/bds redis.rewrite", STEP_WAITING);
        assert_int_equal(run_batch(lab.run), 1);

        /* All is back but for one that has just fallen: the next batch does not begin. */
        lab_phase(&lab, BULL01, PHASE_LOADING, 0);
        lab_changed(&lab, DB2);
        lab_done(&lab, "app1/apps pm2.verify (batch 1)");
        assert_step(&lab, "db2/bull01 ready", STEP_RUNNING);
        assert_int_equal(run_batch(lab.run), 1);
        lab_phase(&lab, BULL01, PHASE_READY, 60000);
        lab_changed(&lab, DB2);
        assert_int_equal(run_batch(lab.run), 2);
        assert_step(&lab, "db1/bds redis.rewrite", STEP_RUNNING);
        lab_end(&lab);
}

static void test_a_failed_canary(void **state)
{
        struct lab lab;

        start_with_canary(&lab);
        lab_phase(&lab, BULL01, PHASE_FAILED, 0);
        take_down_db2(&lab);
        lab_wait(&lab, 600 * USEC_PER_SEC);
        assert_run(&lab, RUN_PAUSED);
        assert_int_equal(run_batch(lab.run), 1);
        assert_step(&lab, "db1/bds redis.rewrite", STEP_WAITING);
        /* A person may say that it is good enough. */
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "db2/bull01 ready", "not needed today"), 0);
        lab_done(&lab, "app1/apps pm2.restore (batch 1)");
        lab_done(&lab, "app1/apps pm2.verify (batch 1)");
        assert_int_equal(run_batch(lab.run), 2);
        lab_end(&lab);
}

/* A host of an earlier batch is booted anew by somebody while a later one is down: what the later batch has
 * taken down is left to it, the rest is brought back now, without waiting for each other. */
static void test_a_host_of_an_earlier_batch_is_booted(void **state)
{
        struct lab lab;

        start_with_canary(&lab);
        take_down_db2(&lab);
        bring_up_db2(&lab);
        assert_int_equal(run_batch(lab.run), 2);
        done_all(&lab, (const char *const[]){"db1/bds redis.rewrite", "db1/geo tile38.shrink",
                                             "app1/apps pm2.stop", "app1/router unit.stop", NULL});
        lab_down(&lab, DB2);
        lab_new_boot(&lab, DB2);
        lab_up(&lab, DB2);
        assert_step(&lab, "db2/bull00 unit.start", STEP_RUNNING);
        assert_step(&lab, "app1/apps pm2.verify (batch 1)", STEP_DONE);
        assert_step(&lab, "db1/bds unit.stop", STEP_WAITING); /* after the replica's */
        assert_step(&lab, "db1/bds-copy unit.stop", STEP_RUNNING);
        assert_int_equal(run_batch(lab.run), 2);
        lab_end(&lab);
}

static void test_abort_in_a_later_batch(void **state)
{
        struct lab lab;

        start_with_canary(&lab);
        take_down_db2(&lab);
        bring_up_db2(&lab);
        lab_done(&lab, "db1/bds redis.rewrite");
        /* Nothing of the second batch is down, all of the first is up: there is nothing to bring up. */
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
        lab_done(&lab, "db1/geo tile38.shrink");
        assert_run(&lab, RUN_ABORTED);
        assert_step(&lab, "db1/bds unit.start", STEP_CANCELLED);
        assert_step(&lab, "app1/apps pm2.restore", STEP_CANCELLED);
        lab_end(&lab);
}

/* What a later batch was to watch over and no longer does is the earlier one's again: its host is booted
 * anew, and what stands on it is awaited. */
static void test_abort_and_an_earlier_batch(void **state)
{
        struct lab lab;

        start_with_canary(&lab);
        take_down_db2(&lab);
        bring_up_db2(&lab);
        lab_down(&lab, APP1);
        done_all(&lab, (const char *const[]){"db1/bds redis.rewrite", "db1/geo tile38.shrink", NULL});
        lab_down(&lab, DB2);
        lab_wait(&lab, 25 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull00 is ready (batch 2)", STEP_RUNNING);
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
        assert_step(&lab, "db2/bull00 is ready (batch 2)", STEP_CANCELLED);
        lab_new_boot(&lab, DB2);
        lab_phase(&lab, BULL00, PHASE_STARTING, 0);
        lab_up(&lab, DB2);
        assert_step(&lab, "db2/bull00 unit.start", STEP_RUNNING);
        assert_step(&lab, "db2/bull00 ready", STEP_WAITING);
        lab_end(&lab);
}

#define MANY 40

/* More hosts than a line holds: those that fit are named whole, and that there are more is said once. */
static void test_a_batch_of_many_hosts(void **state)
{
        static struct fleet_host hosts[MANY];
        static struct plan_host_fact facts[MANY];
        static bool scope_hosts[MANY];
        struct fleet fleet = {"many", hosts, MANY};
        struct agent_state seen = {0};
        struct scope scope = {scope_hosts, NULL};
        struct plan_facts known = {facts, NULL};
        struct error error = {0};
        struct plan *plan;
        const char *text;

        TEXT_COPY(seen.host.boot_id, "b0");
        for (size_t h = 0; h < MANY; h++) {
                snprintf(hosts[h].name, NAME_SIZE, "host%02zu%.*s", h, (int)(h % 7), "-longer");
                facts[h] = (struct plan_host_fact){true, &seen};
                scope_hosts[h] = true;
        }
        if (plan_build(&plan, PLAN_REBOOT, &fleet, &scope, "", NULL, &known, &error) < 0)
                fail_msg("%s", error.text);
        text = plan->batches[0];
        assert_true(strlen(text) > TEXT_SIZE - 32 && text_ends(text, ", …"));
        assert_ptr_equal(strstr(text, "…"), text + strlen(text) - strlen("…"));
        for (size_t h = 0; *text && !text_equal(text, "…"); h++) {
                assert_int_equal(strncmp(text, hosts[h].name, strlen(hosts[h].name)), 0);
                text += strlen(hosts[h].name);
                assert_int_equal(strncmp(text, ", ", 2), 0);
                text += 2;
        }
        plan_free(plan);
}

/* Each host that cannot, with its systemd, and why. */
static void test_soft_reboots(void **state)
{
        struct incident in;
        struct error error = {0};
        struct plan *plan;

        incident_init(&in);
        incident_soft(&in);
        in.facts[DB1].reboot_us = 300 * USEC_PER_SEC; /* what a full one takes */
        in.facts[DB1].reboots = 7;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), 0);
        for (size_t i = 0; i < plan->step_count; i++)
                assert_int_equal(plan->steps[i].soft, plan->steps[i].operation == OPERATION_HOST_REBOOT);
        assert_true(plan->steps[step_named(plan, "db1 host.reboot (soft)")].high_us < 300 * USEC_PER_SEC);
        plan_free(plan);
        assert_int_equal(incident_plan(&in, PLAN_RESTART, &plan, &error), -EINVAL);
        assert_string_equal(error.text, "only a reboot can be soft; leave --soft out");

        TEXT_COPY(in.states[DB1].host.systemd, "252.39-1~deb12u1");
        in.states[DB2].host.tells_soft = false;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), -EINVAL);
        assert_string_equal(
                error.text,
                "no soft reboot: db1 has systemd 252.39-1~deb12u1, soft reboots came with 254; db2 has "
                "systemd 254.26-1~bpo12+1, which offers it, but its agent could not prove it; leave "
                "--soft out");
        in.states[DB1].host.systemd[0] = '\0';
        in.states[DB2].host.tells_soft = true;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), -EINVAL);
        assert_string_equal(
                error.text,
                "no soft reboot: db1 has systemd ?, soft reboots came with 254; leave --soft out");
}

/* A boot undid what an earlier batch had brought up, and the batch that was to do it anew is called off. */
static void test_abort_after_a_boot(void **state)
{
        struct lab lab;

        start_with_canary(&lab);
        take_down_db2(&lab);
        bring_up_db2(&lab);
        assert_int_equal(run_batch(lab.run), 2);
        lab_down(&lab, APP1);
        lab_new_boot(&lab, APP1);
        lab_up(&lab, APP1);
        assert_step(&lab, "app1/apps pm2.restore (batch 1)", STEP_DONE); /* the second batch's affair */
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
        assert_step(&lab, "app1/apps pm2.restore", STEP_CANCELLED);
        lab_done(&lab, "db1/bds redis.rewrite");
        lab_done(&lab, "app1/apps pm2.restore (batch 1)");
        lab_done(&lab, "app1/apps pm2.verify (batch 1)");
        assert_run(&lab, RUN_ABORTED);
        lab_end(&lab);
}

/* What a batch brought up is its own to answer for as long as later ones only look whether it is there. */
static void test_a_look_is_not_done_again(void **state)
{
        struct lab lab = {0};

        incident_init(&lab.in);
        lab.in.options.rollout.batch = 1;
        lab_start_plan(&lab, PLAN_REBOOT);
        assert_false(lab_step(&lab, "db1/geo ready").again);
        assert_true(lab_step(&lab, "app1/router ready (batch 1)").again);
        assert_true(lab_step(&lab, "db2/bull00 is ready (batch 1)").again);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_host_at_a_time),
                cmocka_unit_test(test_a_replica_elsewhere_stays_up),
                cmocka_unit_test(test_canaries),
                cmocka_unit_test(test_what_cannot_be_stopped),
                cmocka_unit_test(test_plans_that_are_not_sound),
                cmocka_unit_test(test_the_next_batch_waits),
                cmocka_unit_test(test_a_failed_canary),
                cmocka_unit_test(test_a_host_of_an_earlier_batch_is_booted),
                cmocka_unit_test(test_abort_in_a_later_batch),
                cmocka_unit_test(test_abort_after_a_boot),
                cmocka_unit_test(test_a_look_is_not_done_again),
                cmocka_unit_test(test_abort_and_an_earlier_batch),
                cmocka_unit_test(test_a_batch_of_many_hosts),
                cmocka_unit_test(test_soft_reboots),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
