/* How long a run waits: deadlines go on after a controller's restart and begin anew with progress, what
 * stands still is not waited for without end, and what is left of it is not foretold as nothing. */
#include "tests/unit/controller/core/lab.h"

#define BYTES 1000000000ull

/* The controller's next life: what it knows is the journal. */
static void restart_controller(struct lab *lab)
{
        run *next = lab_refold(lab);

        run_free(lab->run);
        lab->run = next;
        lab_apply(lab, (struct run_input){.kind = INPUT_TICK});
}

static uint64_t deadline_of(struct lab *lab, const char *step)
{
        return run_plan(lab->run)->steps[step_named(run_plan(lab->run), step)].deadline_us;
}

static void assert_waits_for(struct lab *lab, const char *text)
{
        char waiting[4 * TEXT_SIZE];

        run_waiting_for(lab->run, waiting, sizeof(waiting));
        if (!strstr(waiting, text))
                fail_msg("it waits for '%s', not '%s'", waiting, text);
}

static void test_an_operation_goes_on(void **state)
{
        static const char step[] = "db1/bds redis.rewrite";
        struct lab lab;
        uint64_t deadline;

        lab_start(&lab, PLAN_REBOOT);
        deadline = deadline_of(&lab, step);
        lab_wait(&lab, deadline - 100 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_RUNNING);
        restart_controller(&lab);
        lab_up(&lab, DB1);
        lab_ledger(&lab, DB1, step, OPERATION_ACCEPTED);
        lab_wait(&lab, 129 * USEC_PER_SEC); /* and the slack of 30 */
        assert_step(&lab, step, STEP_RUNNING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_FAILED);
        lab_end(&lab);
}

/* What was over while no controller was there to see it: the agents come back and are asked first. */
static void test_the_grace_of_a_life(void **state)
{
        static const char step[] = "db1/bds redis.rewrite";
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab.now_us += 2 * deadline_of(&lab, step);
        restart_controller(&lab);
        lab_wait(&lab, 59 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_RUNNING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_FAILED);
        lab_end(&lab);
}

/* A host that dies under an operation: said at once, and no hour is waited for what takes an hour; when it is
 * back its ledger is asked, by no person. */
static void test_an_operation_whose_host_is_gone(void **state)
{
        static const char step[] = "db1/bds redis.rewrite";
        struct lab lab;

        for (int again = 0; again < 2; again++) {
                char id[ID_SIZE];

                lab_start(&lab, PLAN_REBOOT);
                TEXT_COPY(id, lab_step(&lab, step).operation);
                assert_true(deadline_of(&lab, step) >= 3600 * USEC_PER_SEC);
                lab_done(&lab, "app1/apps pm2.save");
                lab_down(&lab, DB1);
                lab_wait(&lab, 60 * USEC_PER_SEC);
                assert_waits_for(&lab,
                                 "db1/bds redis.rewrite (db1 is not connected, last seen 1 min 00 s ago)");
                restart_controller(&lab);
                lab_up(&lab, DB2);
                lab_up(&lab, APP1);
                lab_wait(&lab, 60 * USEC_PER_SEC);
                assert_waits_for(&lab,
                                 "db1/bds redis.rewrite (db1 is not connected, not seen for 1 min 00 s");
                lab_wait(&lab, 239 * USEC_PER_SEC);
                assert_step(&lab, step, STEP_RUNNING);
                lab_wait(&lab, 1 * USEC_PER_SEC);
                assert_step(&lab, step, STEP_FAILED);
                assert_run(&lab, RUN_PAUSED);
                assert_waits_for(&lab, "whether it happened is not known; look at its console");
                lab_wait(&lab, 600 * USEC_PER_SEC);
                if (again) /* too early: it has its time once more */
                        assert_int_equal(lab_steer(&lab, STEER_RETRY, step, ""), 0);
                lab_wait(&lab, 290 * USEC_PER_SEC);
                assert_step(&lab, step, again ? STEP_RUNNING : STEP_FAILED);
                lab_up(&lab, DB1);
                assert_step(&lab, step, STEP_RUNNING);
                assert_run(&lab, RUN_RUNNING);
                assert_non_null(lab_effect(&lab, EFFECT_LEDGER, NULL));
                assert_null(lab_effect(&lab, EFFECT_OPERATE, step));
                lab_ledger(&lab, DB1, step, OPERATION_DONE);
                assert_step(&lab, step, STEP_DONE);
                assert_string_equal(lab_step(&lab, step).operation, id);
                lab_end(&lab);
        }
}

/* Nobody has asked for it: what was interrupted is not done again while the run waits for a person. */
static void test_an_operation_whose_host_comes_back(void **state)
{
        static const char step[] = "db1/bds redis.rewrite", other[] = "db2/bull00 redis.rewrite";
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_done(&lab, "app1/apps pm2.save");
        lab_down(&lab, DB1);
        lab_down(&lab, DB2);
        lab_wait(&lab, 300 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_FAILED);
        assert_step(&lab, other, STEP_FAILED);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        lab_ledger(&lab, DB1, step, OPERATION_INTERRUPTED);
        lab_report(&lab, step, OPERATION_INTERRUPTED, "another boot");
        lab_wait(&lab, 60 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_RETRYING);
        lab_new_boot(&lab, DB2);
        lab_up(&lab, DB2);
        lab_wait(&lab, 60 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_RUNNING);
        assert_int_equal(lab_step(&lab, step).attempt, 2);
        lab_end(&lab);
}

static void test_an_operation_with_progress(void **state)
{
        static const char step[] = "db1/bds redis.rewrite";
        /* the last ones: another part of the work, counted anew */
        static const uint64_t keys[][2] = {{1, 100}, {2, 100}, {0, 7}, {0, 5}};
        struct lab lab;
        uint64_t deadline;

        lab_start(&lab, PLAN_REBOOT);
        deadline = deadline_of(&lab, step);
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                struct step_view view = lab_step(&lab, step);

                lab_wait(&lab, deadline);
                lab_apply(&lab, (struct run_input){.kind = INPUT_PROGRESS,
                                                   .operation = view.operation,
                                                   .done = keys[i][0],
                                                   .total = keys[i][1],
                                                   .text = "keys"});
                assert_step(&lab, step, STEP_RUNNING);
        }
        lab_wait(&lab, deadline + 29 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_RUNNING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_FAILED);
        lab_end(&lab);
}

static void say_load(struct lab *lab, size_t service, uint64_t done, uint64_t still_us)
{
        struct service_state *said = incident_said(&lab->in, service);

        lab_phase(lab, service, PHASE_LOADING, 0);
        said->progress_done = done;
        said->progress_total = BYTES;
        said->progress_still_ms = still_us / 1000;
        lab_changed(lab, lab->in.services[service].host);
}

/* bull00 is awaited, and loads. */
static void begin_load(struct lab *lab)
{
        lab_start(lab, PLAN_RESTART);
        lab_take_down(lab);
        lab_new_process(lab, BULL00);
        say_load(lab, BULL00, 0, 0);
        lab_done(lab, "db2/bull00 unit.start");
        assert_step(lab, "db2/bull00 ready", STEP_RUNNING);
}

/* A gate's deadline is of standing still: the agent knows since when, whoever asks. */
static void test_a_load_after_a_restart(void **state)
{
        static const char step[] = "db2/bull00 ready";
        struct lab lab;

        begin_load(&lab);
        for (uint64_t done = 1; done < 10; done++) {
                lab_wait(&lab, 100 * USEC_PER_SEC);
                say_load(&lab, BULL00, done * BYTES / 20, 0);
        }
        lab_wait(&lab, 70 * USEC_PER_SEC);
        restart_controller(&lab);
        lab_up(&lab, DB2);
        say_load(&lab, BULL00, 9 * BYTES / 20, 0); /* what it saw first still holds */
        incident_said(&lab.in, BULL00)->progress_still_ms = 70000;
        lab_down(&lab, DB2);
        lab_up(&lab, DB2);
        lab_wait(&lab, 59 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_RUNNING); /* the grace of a life */
        lab_wait(&lab, 1 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_FAILED);
        lab_end(&lab);

        /* One that has just moved has all of its time. */
        begin_load(&lab);
        for (uint64_t done = 1; done < 10; done++) {
                lab_wait(&lab, 100 * USEC_PER_SEC);
                say_load(&lab, BULL00, done * BYTES / 20, 0);
        }
        restart_controller(&lab);
        lab_up(&lab, DB2);
        lab_wait(&lab, 119 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_RUNNING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_FAILED);
        lab_end(&lab);
}

/* Held for longer than one waits for progress: that is no failure. */
static void test_a_long_hold(void **state)
{
        struct lab lab = {0};

        incident_init(&lab.in);
        lab.in.services[BULL00].hold_us = 600 * USEC_PER_SEC;
        lab_start_plan(&lab, PLAN_RESTART);
        lab_take_down(&lab);
        lab_new_process(&lab, BULL00);
        lab_phase(&lab, BULL00, PHASE_READY, 0);
        lab_done(&lab, "db2/bull00 unit.start");
        lab_changed(&lab, DB2);
        lab_wait(&lab, 590 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull00 ready", STEP_RUNNING);
        lab_phase(&lab, BULL00, PHASE_READY, 600000);
        lab_changed(&lab, DB2);
        assert_step(&lab, "db2/bull00 ready", STEP_DONE);
        lab_end(&lab);
}

/* Up to the first stop. */
static void finish_preparations(struct lab *lab)
{
        for (const char *const *step =
                     (const char *const[]){"db1/bds redis.rewrite", "db1/geo tile38.shrink",
                                           "db2/bull00 redis.rewrite", "db2/bull01 redis.rewrite",
                                           "db2/bull02 redis.rewrite", "app1/apps pm2.save", NULL};
             *step; step++)
                lab_done(lab, *step);
}

/* A stop waits for a load, as long as the load gets on. */
static void test_a_load_that_never_ends(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_RESTART);
        finish_preparations(&lab);
        say_load(&lab, BULL00, 1, 0);
        lab_done(&lab, "app1/apps pm2.stop");
        assert_step(&lab, "db2/bull00 unit.stop", STEP_WAITING);
        for (uint64_t done = 2; done < 6; done++) {
                lab_wait(&lab, 119 * USEC_PER_SEC);
                say_load(&lab, BULL00, done, 0);
        }
        lab_wait(&lab, 60 * USEC_PER_SEC);
        say_load(&lab, BULL00, 5, 60 * USEC_PER_SEC);
        assert_waits_for(&lab, "db2/bull00 unit.stop (bull00 is loading, no progress for 1 min 00 s)");
        lab_wait(&lab, 59 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull00 unit.stop", STEP_WAITING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull00 unit.stop", STEP_FAILED);
        assert_non_null(strstr(lab_step(&lab, "db2/bull00 unit.stop").text,
                               "bull00 is loading, and there was no progress for 2 min 00 s"));
        assert_run(&lab, RUN_PAUSED);
        /* Tried again by a person it waits again; loaded, it is stopped. */
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db2/bull00 unit.stop", ""), 0);
        assert_step(&lab, "db2/bull00 unit.stop", STEP_WAITING);
        lab_phase(&lab, BULL00, PHASE_READY, 0);
        lab_changed(&lab, DB2);
        assert_step(&lab, "db2/bull00 unit.stop", STEP_RUNNING);
        lab_end(&lab);
}

/* Something kills it at 60 %, something else starts it again: that moves for ever, and leads nowhere. */
static void test_a_load_that_begins_anew(void **state)
{
        static const char step[] = "db2/bull00 ready";
        struct service_state *said;
        struct lab lab;

        begin_load(&lab);
        said = incident_said(&lab.in, BULL00);
        for (unsigned anew = 0; anew <= 3; anew++) {
                for (uint64_t done = 0; done <= 6; done++) {
                        say_load(&lab, BULL00, done * BYTES / 10, 0);
                        if (anew < 3)
                                assert_step(&lab, step, STEP_RUNNING);
                        lab_wait(&lab, 30 * USEC_PER_SEC);
                }
                strcpy(said->unit.result, "oom-kill");
                said->progress_done = said->progress_total = 0;
                lab_phase(&lab, BULL00, PHASE_STARTING, 0);
                lab_changed(&lab, DB2);
                lab_wait(&lab, 60 * USEC_PER_SEC);
                strcpy(said->unit.result, "success");
                lab_new_process(&lab, BULL00);
        }
        assert_step(&lab, step, STEP_FAILED);
        assert_non_null(strstr(lab_step(&lab, step).text,
                               "bull00 has been started anew 3 times (result of its unit: "
                               "oom-kill), and each time it loads all again"));
        assert_run(&lab, RUN_PAUSED);
        /* A person who has seen to it gives it as many again. */
        assert_int_equal(lab_steer(&lab, STEER_RETRY, step, ""), 0);
        say_load(&lab, BULL00, 1, 0);
        say_load(&lab, BULL00, BYTES, 0);
        assert_step(&lab, step, STEP_RUNNING);
        lab_end(&lab);
}

/* One process that falls back is not waited for without end either; nor does the fall itself count. */
static void test_a_load_that_falls_back(void **state)
{
        static const char step[] = "db2/bull00 ready";
        struct lab lab;

        begin_load(&lab);
        for (unsigned anew = 0; anew <= 3; anew++) {
                assert_step(&lab, step, STEP_RUNNING);
                say_load(&lab, BULL00, 0, 0);
                lab_wait(&lab, 100 * USEC_PER_SEC);
                say_load(&lab, BULL00, BYTES / 2, 0);
                lab_wait(&lab, 100 * USEC_PER_SEC);
        }
        assert_step(&lab, step, STEP_FAILED);
        assert_non_null(strstr(lab_step(&lab, step).text, "bull00 has begun its load anew 3 times"));
        lab_end(&lab);

        /* Gone in the middle of it, it has stopped to move. */
        begin_load(&lab);
        say_load(&lab, BULL00, BYTES / 2, 0);
        lab_wait(&lab, 100 * USEC_PER_SEC);
        incident_said(&lab.in, BULL00)->progress_done = incident_said(&lab.in, BULL00)->progress_total = 0;
        lab_phase(&lab, BULL00, PHASE_STARTING, 0);
        lab_changed(&lab, DB2);
        lab_wait(&lab, 19 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_RUNNING);
        lab_wait(&lab, 1 * USEC_PER_SEC);
        assert_step(&lab, step, STEP_FAILED);
        lab_end(&lab);
}

/* A stop does not wait without end for what is started anew under it. */
static void test_a_stop_under_a_crash_loop(void **state)
{
        static const char step[] = "db2/bull00 unit.stop";
        struct lab lab;

        lab_start(&lab, PLAN_RESTART);
        finish_preparations(&lab);
        say_load(&lab, BULL00, 1, 0);
        lab_done(&lab, "app1/apps pm2.stop");
        for (unsigned anew = 0; anew < 3; anew++) {
                assert_step(&lab, step, STEP_WAITING);
                lab_new_process(&lab, BULL00);
                say_load(&lab, BULL00, 1, 0);
                lab_wait(&lab, 100 * USEC_PER_SEC);
        }
        assert_step(&lab, step, STEP_FAILED);
        assert_non_null(strstr(lab_step(&lab, step).text, "bull00 has been started anew 3 times, and"));
        lab_end(&lab);
}

/* Bytes that stand still are no nearer to the end: what is left of them does not melt away. */
static void test_what_is_left_of_a_load(void **state)
{
        struct lab lab;
        uint64_t low, high, still_low, still_high;

        begin_load(&lab);
        for (uint64_t done = 1; done <= 20; done++) {
                lab_wait(&lab, 1 * USEC_PER_SEC);
                say_load(&lab, BULL00, done * BYTES / 1000, 0);
        }
        run_left(lab.run, lab.now_us, &low, &high);
        lab_wait(&lab, 100 * USEC_PER_SEC);
        say_load(&lab, BULL00, 20 * BYTES / 1000, 100 * USEC_PER_SEC);
        assert_waits_for(&lab, "db2/bull00 ready, no progress for 1 min 40 s");
        run_left(lab.run, lab.now_us, &still_low, &still_high);
        assert_true(still_low >= low);
        assert_true(still_high >= high + 90 * USEC_PER_SEC);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_operation_goes_on),
                cmocka_unit_test(test_the_grace_of_a_life),
                cmocka_unit_test(test_an_operation_whose_host_is_gone),
                cmocka_unit_test(test_an_operation_whose_host_comes_back),
                cmocka_unit_test(test_an_operation_with_progress),
                cmocka_unit_test(test_a_load_after_a_restart),
                cmocka_unit_test(test_a_long_hold),
                cmocka_unit_test(test_a_load_that_never_ends),
                cmocka_unit_test(test_a_load_that_begins_anew),
                cmocka_unit_test(test_a_load_that_falls_back),
                cmocka_unit_test(test_a_stop_under_a_crash_loop),
                cmocka_unit_test(test_what_is_left_of_a_load),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
