/* Replicas in a run: held against their masters, and not stopped while they load. */
#include "tests/unit/controller/core/lab.h"

/* Whether one event of the journal holds both. */
static bool journal_holds(const struct lab *lab, const char *one, const char *other)
{
        for (size_t i = 0; i < lab->events; i++)
                if (strstr(lab->journal[i], one) && strstr(lab->journal[i], other))
                        return true;
        return false;
}

/* All up but the replica, which is as the test says. */
static void await_replica(struct lab *lab, uint64_t max_lag)
{
        memset(lab, 0, sizeof(*lab));
        incident_init(&lab->in);
        lab->in.services[BDS_COPY].max_lag = max_lag;
        strcpy(incident_said(&lab->in, BDS_COPY)->redis.master_address, "10.0.0.1:6379");
        strcpy(incident_said(&lab->in, BDS)->redis.replication_id, "one");
        strcpy(incident_said(&lab->in, BDS_COPY)->redis.replication_id, "one");
        lab_start_plan(lab, PLAN_REBOOT);
        incident_said(&lab->in, BDS)->redis.master_offset = 5000;
        incident_said(&lab->in, BDS_COPY)->redis.replica_offset = 1000;
        lab_reboot_all(lab);
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(lab, h);
                lab_changed(lab, h);
        }
        lab_start_units(lab, DB1);
        lab_changed(lab, DB1);
        assert_step(lab, "db1/bds ready", STEP_DONE);
}

/* Ready by its own word, and thousands of bytes behind its master. */
static void test_replica_lags(void **state)
{
        struct redis_state *redis;
        struct lab lab;

        await_replica(&lab, 3999);
        redis = &incident_said(&lab.in, BDS_COPY)->redis;
        assert_step(&lab, "db1/bds-copy ready", STEP_RUNNING);
        redis->replica_offset = 1001;
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds-copy ready", STEP_DONE);
        assert_true(journal_holds(&lab, "role-after", "replica of 10.0.0.1:6379"));
        redis->replica_offset = 1; /* what an older look said: the gate was open once */
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds-copy ready", STEP_DONE);
        lab_end(&lab);
}

/* Its link is up, to somebody else. */
static void test_replica_of_another(void **state)
{
        struct redis_state *redis;
        struct step_view view;
        struct lab lab;

        await_replica(&lab, 1000000);
        assert_step(&lab, "db1/bds-copy ready", STEP_DONE);
        lab_end(&lab);

        await_replica(&lab, 100);
        redis = &incident_said(&lab.in, BDS_COPY)->redis;
        strcpy(redis->replication_id, "two");
        strcpy(redis->master_address, "10.0.0.2:6379");
        redis->replica_offset = 5000;
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds-copy ready", STEP_RUNNING);
        lab_wait(&lab, 300 * USEC_PER_SEC);
        assert_step(&lab, "db1/bds-copy ready", STEP_FAILED);
        run_step(lab.run, (size_t)step_named(run_plan(lab.run), "db1/bds-copy ready"), &view);
        assert_non_null(strstr(view.text, "it is a replica of 10.0.0.2:6379, and does not follow bds"));
        lab_end(&lab);
}

/* Everything of a restart before the first stops of stores. */
static void lead_to_stops(struct lab *lab)
{
        for (const char *const *step =
                     (const char *const[]){"db1/bds redis.rewrite", "db1/geo tile38.shrink",
                                           "db2/bull00 redis.rewrite", "db2/bull01 redis.rewrite",
                                           "db2/bull02 redis.rewrite", "app1/apps pm2.save",
                                           "app1/apps pm2.stop", "app1/router unit.stop", NULL};
             *step; step++)
                lab_done(lab, *step);
}

/* It began to load after the plan was made (a full resync): it is stopped when it has ended, and not before.
 */
static void test_what_loads_is_not_stopped(void **state)
{
        struct lab lab;
        char text[512];

        lab_start(&lab, PLAN_RESTART);
        lab_loading(&lab, BDS_COPY, 10, 100);
        lab_changed(&lab, DB1);
        lead_to_stops(&lab);
        for (uint64_t done = 20; done <= 70;
             done += 10) { /* it gets on: test_deadlines.c has one that does not */
                lab_wait(&lab, 100 * USEC_PER_SEC);
                lab_loading(&lab, BDS_COPY, done, 100);
                lab_changed(&lab, DB1);
        }
        assert_step(&lab, "db1/bds-copy unit.stop", STEP_WAITING);
        assert_step(&lab, "db1/geo unit.stop", STEP_RUNNING);
        run_waiting_for(lab.run, text, sizeof(text));
        assert_non_null(strstr(text, "db1/bds-copy unit.stop (bds-copy is loading)"));
        incident_said(&lab.in, BDS_COPY)->progress_total = 0;
        lab_phase(&lab, BDS_COPY, PHASE_READY, 0);
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/bds-copy unit.stop", STEP_RUNNING);
        lab_end(&lab);
}

/* The same where the link broke under what would stop it, before that had arrived: by the time that it would
 * be sent again the service loads. */
static void test_what_loads_by_now_is_not_stopped(void **state)
{
        for (int whole_host = 0; whole_host < 2; whole_host++) {
                const char *step = whole_host ? "db1 host.reboot" : "db1/bds-copy unit.stop";
                char id[ID_SIZE];
                struct lab lab;

                lab_start(&lab, whole_host ? PLAN_REBOOT : PLAN_RESTART);
                if (whole_host)
                        lab_take_down(&lab);
                else
                        lead_to_stops(&lab);
                assert_step(&lab, step, STEP_RUNNING);
                TEXT_COPY(id, lab_step(&lab, step).operation);
                lab_down(&lab, DB1);
                lab_loading(&lab, BDS_COPY, 10, 100);
                lab_up(&lab, DB1);
                lab_ledger(&lab, DB1, step, OPERATION_UNKNOWN);
                assert_null(lab_effect(&lab, EFFECT_OPERATE, step));
                lab_wait(&lab, 60 * USEC_PER_SEC);
                assert_step(&lab, step, STEP_RETRYING);
                incident_said(&lab.in, BDS_COPY)->progress_total = 0;
                lab_phase(&lab, BDS_COPY, PHASE_READY, 0);
                lab_changed(&lab, DB1);
                assert_step(&lab, step, STEP_RUNNING);
                assert_string_not_equal(lab_step(&lab, step).operation, id);
                lab_end(&lab);
        }
}

static void syncing(struct lab *lab, uint64_t done, uint64_t total, bool loads)
{
        struct redis_state *redis = &incident_said(&lab->in, BDS_COPY)->redis;

        lab_loading(lab, BDS_COPY, done, total);
        redis->sync_in_progress = true;
        redis->loading = loads;
        lab_changed(lab, DB1);
}

/* Its own files, then all from its master, who saves for long and may not know how much it is, then what
 * came. */
static void test_full_sync(void **state)
{
        static const char step[] = "db1/bds-copy ready";
        struct service_state *said;
        struct lab lab;
        uint64_t deadline;

        await_replica(&lab, 3999);
        said = incident_said(&lab.in, BDS_COPY);
        deadline = run_plan(lab.run)->steps[step_named(run_plan(lab.run), step)].deadline_us;
        for (unsigned round = 0; round < 3; round++) {
                lab_wait(&lab, deadline - 1);
                syncing(&lab, 0, 0, false);
                for (uint64_t done = 1; done < 4; done++) {
                        lab_wait(&lab, deadline - 1);
                        assert_step(&lab, step, STEP_RUNNING);
                        syncing(&lab, 1000 * done, round ? 5000 : 0, false);
                }
                for (uint64_t done = 0; done < 3; done++) {
                        lab_wait(&lab, deadline - 1);
                        assert_step(&lab, step, STEP_RUNNING);
                        syncing(&lab, 1000 * done, 5000, true);
                }
        }
        /* A master that cannot keep up with what it has to send begins anew each time. */
        lab_wait(&lab, deadline - 1);
        assert_step(&lab, step, STEP_RUNNING);
        syncing(&lab, 0, 0, false);
        assert_step(&lab, step, STEP_FAILED);
        assert_non_null(strstr(lab_step(&lab, step).text, "bds-copy has begun its load anew 3 times"));
        assert_int_equal(lab_steer(&lab, STEER_RETRY, step, ""), 0);
        said->redis.sync_in_progress = said->redis.loading = false;
        said->redis.replica_offset = 5000;
        said->progress_done = said->progress_total = 0;
        lab_phase(&lab, BDS_COPY, PHASE_READY, 60000);
        lab_changed(&lab, DB1);
        assert_step(&lab, step, STEP_DONE);
        lab_end(&lab);
}

/* While a large master saves, a replica that is as it should be shows no progress. */
static void test_time_for_a_full_sync(void **state)
{
        struct lab lab = {0};
        const struct plan *plan;

        incident_init(&lab.in);
        lab_start_plan(&lab, PLAN_REBOOT);
        plan = run_plan(lab.run);
        assert_int_equal(plan->steps[step_named(plan, "db1/bds-copy ready")].deadline_us, 290 * USEC_PER_SEC);
        assert_int_equal(plan->steps[step_named(plan, "db1/bds ready")].deadline_us, 120 * USEC_PER_SEC);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_replica_lags),
                cmocka_unit_test(test_full_sync),
                cmocka_unit_test(test_time_for_a_full_sync),
                cmocka_unit_test(test_replica_of_another),
                cmocka_unit_test(test_what_loads_is_not_stopped),
                cmocka_unit_test(test_what_loads_by_now_is_not_stopped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
