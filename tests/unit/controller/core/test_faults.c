/* Runs when hosts, links, agents and answers fail: a step happens once, and what cannot be settled by looking
 * waits for a person. */
#include "tests/unit/controller/core/lab.h"

#define SAVE    "app1/apps pm2.save"
#define REWRITE "db1/bds redis.rewrite"

static void test_reconcile(void **state)
{
        static const struct {
                enum operation_state ledger;
                enum step_state then;
                bool sent, same_id;
        } cases[] = {
                {OPERATION_UNKNOWN, STEP_RUNNING, true, true},  /* never accepted: the same again */
                {OPERATION_ACCEPTED, STEP_RUNNING, true, true}, /* at work: attached again */
                {OPERATION_DONE, STEP_DONE, false, true},
                {OPERATION_FAILED, STEP_RETRYING, false, true},
                {OPERATION_INTERRUPTED, STEP_RETRYING, false, true},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char before[ID_SIZE];
                struct lab lab;

                lab_start(&lab, PLAN_REBOOT);
                TEXT_COPY(before, lab_step(&lab, SAVE).operation);
                lab_down(&lab, APP1);
                assert_null(lab_effect(&lab, EFFECT_OPERATE, NULL));
                lab_up(&lab, APP1);
                assert_null(lab_effect(&lab, EFFECT_OPERATE, NULL)); /* asks before anything is sent */
                assert_non_null(lab_effect(&lab, EFFECT_LEDGER, NULL));
                lab_ledger(&lab, APP1, SAVE, cases[i].ledger);
                assert_step(&lab, SAVE, cases[i].then);
                assert_int_equal(lab_effect(&lab, EFFECT_OPERATE, SAVE) != NULL, cases[i].sent);
                assert_string_equal(lab_step(&lab, SAVE).operation, before);
                if (cases[i].then == STEP_RETRYING) {
                        lab_wait(&lab, 5 * USEC_PER_SEC);
                        assert_step(&lab, SAVE, STEP_RUNNING);
                        assert_string_not_equal(lab_step(&lab, SAVE).operation, before);
                }
                lab_end(&lab);
        }
}

/* The controller's own end: what it knew is gone, the journal is there. */
static void test_controller_starts_again(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_done(&lab, REWRITE);
        for (size_t i = 0; i < 3; i++) {
                run *folded = lab_refold(&lab);

                run_free(lab.run);
                lab.run = folded;
                lab_wait(&lab, USEC_PER_SEC);
                assert_null(lab_effect(&lab, EFFECT_OPERATE, NULL));
                lab_up(&lab, APP1);
                assert_non_null(lab_effect(&lab, EFFECT_LEDGER, NULL));
                assert_null(lab_effect(&lab, EFFECT_OPERATE, NULL));
        }
        lab_ledger(&lab, APP1, SAVE, OPERATION_DONE);
        assert_step(&lab, SAVE, STEP_DONE);
        lab_end(&lab);
}

static void test_stream_ends_without_report(void **state)
{
        char id[ID_SIZE];
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        TEXT_COPY(id, lab_step(&lab, SAVE).operation);
        for (int i = 0; i < 20; i++) {
                lab_apply(&lab, (struct run_input){.kind = INPUT_ENDED, .operation = id, .text = "internal"});
                lab_wait(&lab, 11 * USEC_PER_SEC); /* it asks less and less often, never in a spin */
                lab_ledger(&lab, APP1, SAVE, OPERATION_ACCEPTED);
                assert_step(&lab, SAVE, i < 8 ? STEP_RUNNING : lab_step(&lab, SAVE).state);
        }
        assert_step(&lab, SAVE, STEP_FAILED); /* past its deadline */
        assert_int_equal(run_state(lab.run), RUN_PAUSED);
        lab_end(&lab);
}

static void test_refused_by_the_agent(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_apply(&lab, (struct run_input){.kind = INPUT_ENDED,
                                           .operation = lab_step(&lab, SAVE).operation,
                                           .refused = true,
                                           .text = "no such home"});
        lab_ledger(&lab, APP1, SAVE, OPERATION_UNKNOWN);
        assert_step(&lab, SAVE, STEP_RETRYING);
        assert_non_null(strstr(lab_step(&lab, SAVE).text, "no such home"));
        lab_end(&lab);
}

static void test_late_and_doubled_answers(void **state)
{
        struct operation_report first;
        struct lab lab;
        uint64_t events;

        lab_start(&lab, PLAN_REBOOT);
        first = lab_report_of(&lab, SAVE, OPERATION_DONE, "late");
        lab_report(&lab, SAVE, OPERATION_FAILED, "no");
        lab_wait(&lab, 5 * USEC_PER_SEC);
        events = run_events(lab.run);
        for (int i = 0; i < 2; i++)
                lab_apply(&lab, (struct run_input){.kind = INPUT_REPORT,
                                                   .operation = first.id,
                                                   .reports = &first,
                                                   .report_count = 1});
        assert_step(&lab, SAVE, STEP_RUNNING);
        lab_apply(&lab, (struct run_input){.kind = INPUT_ENDED, .operation = first.id});
        lab_apply(&lab,
                  (struct run_input){.kind = INPUT_ENDED, .operation = "00000000000000000000000000000000"});
        lab_apply(&lab,
                  (struct run_input){.kind = INPUT_HOST_UP, .host = "stranger", .state = &lab.in.states[0]});
        assert_int_equal(run_events(lab.run), events);
        lab_done(&lab, SAVE);
        events = run_events(lab.run);
        lab_report(&lab, SAVE, OPERATION_FAILED, "after all");
        lab_report(&lab, SAVE, OPERATION_DONE, "again");
        assert_int_equal(run_events(lab.run), events);
        assert_step(&lab, SAVE, STEP_DONE);
        lab_end(&lab);
}

static void down(struct lab *lab)
{
        lab_start(lab, PLAN_REBOOT);
        lab_take_down(lab);
        assert_step(lab, "db1 host.reboot", STEP_RUNNING);
}

static void test_reboot_is_proven_by_its_boot(void **state)
{
        struct lab lab;

        down(&lab);
        lab_done(&lab, "db1 host.reboot"); /* the word of an agent is no proof */
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        lab_wait(&lab, 60 * USEC_PER_SEC); /* shuts down slowly */
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        lab_down(&lab, DB1);
        lab_up(&lab, DB1); /* the link was cut, no more */
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        lab_ledger(&lab, DB1, "db1 host.reboot", OPERATION_DONE);
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        assert_null(lab_effect(&lab, EFFECT_OPERATE, NULL));
        lab_down(&lab, DB1);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        assert_null(lab_effect(&lab, EFFECT_LEDGER, NULL));
        lab_end(&lab);
}

/* A machine that was made from a copy of another one has its key: it may be the one that answers. */
static void test_reboot_answered_by_another_machine(void **state)
{
        struct lab lab;

        down(&lab);
        lab_done(&lab, "db1 host.reboot");
        lab_down(&lab, DB1);
        lab_wait(&lab, 60 * USEC_PER_SEC);
        lab_new_boot(&lab, DB1);
        lab.in.states[DB1].host.uptime_ms = 66 * 1000; /* since before the reboot was asked for */
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DOUBT);
        assert_non_null(strstr(lab_step(&lab, "db1 host.reboot").text, "another machine"));
        assert_int_equal(run_state(lab.run), RUN_PAUSED);
        lab_down(&lab, DB1);
        lab_new_boot(&lab, DB1); /* and then the right one */
        lab.in.states[DB1].host.uptime_ms = 64 * 1000;
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        assert_int_equal(run_state(lab.run), RUN_RUNNING);
        lab_end(&lab);
}

/* An agent gave a slow shutdown up before its end came: the boot that follows is the reboot's all the same,
 * and nobody has to ask for a second one. */
static void test_reboot_called_failed_too_early(void **state)
{
        struct lab lab;

        down(&lab);
        lab_report(&lab, "db1 host.reboot", OPERATION_FAILED, "still up after 15 min");
        assert_step(&lab, "db1 host.reboot", STEP_FAILED);
        lab_wait(&lab, 40 * USEC_PER_SEC);
        lab_down(&lab, DB1);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        lab_end(&lab);
}

/* The same where the plan has the reboot tried again: the new boot is seen before another one is asked for.
 */
static void test_reboot_called_failed_and_tried_again(void **state)
{
        struct lab lab;
        char id[ID_SIZE];

        lab_start(&lab, PLAN_REBOOT);
        for (size_t i = 0; i < run_plan(lab.run)->step_count; i++)
                if (run_plan(lab.run)->steps[i].operation == OPERATION_HOST_REBOOT)
                        ((struct plan *)run_plan(lab.run))->steps[i].retries = 1;
        free(lab.plan_json);
        assert_int_equal(plan_to_json(run_plan(lab.run), &lab.plan_json), 0);
        lab_take_down(&lab);
        TEXT_COPY(id, lab_step(&lab, "db1 host.reboot").operation);
        lab_report(&lab, "db1 host.reboot", OPERATION_FAILED, "still up after 15 min");
        assert_step(&lab, "db1 host.reboot", STEP_RETRYING);
        lab_down(&lab, DB1);
        lab_wait(&lab, 10 * USEC_PER_SEC);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        assert_string_equal(lab_step(&lab, "db1 host.reboot").operation, id);
        lab_end(&lab);
}

/* An agent that has a reason for not taking an operation now, and never takes it: the reason is heard. */
static void test_what_the_agent_said_is_kept(void **state)
{
        static const char step[] = "app1/apps pm2.save", why[] = "its ledger is full";
        const struct run_effect *told;
        struct step_view view;
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        view = lab_step(&lab, step);
        lab_apply(&lab, (struct run_input){.kind = INPUT_ENDED, .operation = view.operation, .text = why});
        told = lab_effect(&lab, EFFECT_PROGRESS, NULL);
        assert_non_null(told);
        assert_string_equal(told->text, why);
        assert_step(&lab, step, STEP_RUNNING);
        for (int i = 0; i < 100 && lab_step(&lab, step).state == STEP_RUNNING; i++)
                lab_wait(&lab, 60 * USEC_PER_SEC);
        assert_non_null(strstr(lab_step(&lab, step).text, why));
        lab_end(&lab);
}

static void test_reboot_unreadable_boot(void **state)
{
        char kept[ID_SIZE];
        struct lab lab;

        down(&lab);
        lab_down(&lab, DB1);
        TEXT_COPY(kept, lab.in.states[DB1].host.boot_id);
        lab.in.states[DB1].host.boot_id[0] = '\0';
        TEXT_COPY(lab.in.states[DB1].host.boot_error, "no such file");
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DOUBT);
        assert_int_equal(run_state(lab.run), RUN_PAUSED);
        assert_non_null(strstr(lab_step(&lab, "db1 host.reboot").text, "no such file"));
        assert_step(&lab, "db1/bds unit.start", STEP_WAITING);
        lab_new_boot(&lab, DB1); /* readable after all, and another one: that settles it */
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        assert_int_equal(run_state(lab.run), RUN_RUNNING);
        lab_end(&lab);
}

/* An agent that died between accepting a reboot and its end: never rebooted twice without a person. */
static void test_reboot_in_doubt(void **state)
{
        char id[ID_SIZE];
        struct lab lab;

        for (int slow = 0; slow < 2; slow++) {
                down(&lab);
                TEXT_COPY(id, lab_step(&lab, "db1 host.reboot").operation);
                lab_down(&lab, DB1);
                lab_up(&lab, DB1);
                lab_ledger(&lab, DB1, "db1 host.reboot", OPERATION_INTERRUPTED);
                assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
                if (slow) {
                        lab.in.states[DB1].host.stopping = true; /* on its way */
                        lab_changed(&lab, DB1);
                }
                lab_wait(&lab, 31 * USEC_PER_SEC);
                assert_null(lab_effect(&lab, EFFECT_OPERATE, NULL));
                assert_string_equal(lab_step(&lab, "db1 host.reboot").operation, id);
                assert_step(&lab, "db1 host.reboot", slow ? STEP_RUNNING : STEP_DOUBT);
                if (slow) {
                        lab_down(&lab, DB1);
                        lab_new_boot(&lab, DB1);
                        lab.in.states[DB1].host.stopping = false;
                        lab_up(&lab, DB1);
                        assert_step(&lab, "db1 host.reboot", STEP_DONE);
                } else {
                        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db1 host.reboot", "it sits there"), 0);
                        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
                        assert_string_not_equal(lab_step(&lab, "db1 host.reboot").operation, id);
                }
                lab_end(&lab);
        }
}

static void test_reboot_never_returns(void **state)
{
        char waiting[512];
        struct lab lab;

        down(&lab);
        lab_reboot(&lab, APP1);
        lab_reboot(&lab, DB2);
        lab_start_units(&lab, DB2);
        lab_down(&lab, DB1);
        lab_wait(&lab, 900 * USEC_PER_SEC);
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        lab_wait(&lab, 60 * USEC_PER_SEC);
        assert_step(&lab, "db1 host.reboot", STEP_FAILED);
        run_waiting_for(lab.run, waiting, sizeof(waiting));
        assert_non_null(strstr(waiting, "console"));
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        assert_int_equal(run_state(lab.run), RUN_RUNNING);
        lab_end(&lab);
}

static void test_reboot_that_did_not_happen(void **state)
{
        char id[ID_SIZE];
        struct lab lab;

        down(&lab);
        TEXT_COPY(id, lab_step(&lab, "db1 host.reboot").operation);
        lab_done(&lab, "db1 host.reboot");
        lab_wait(&lab, 1000 * USEC_PER_SEC);
        assert_step(&lab, "db1 host.reboot", STEP_FAILED);
        assert_step(&lab, "db2 host.reboot",
                    STEP_FAILED); /* blocks the run, but not what a person asks for */
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db1 host.reboot", ""), 0);
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        assert_string_not_equal(lab_step(&lab, "db1 host.reboot").operation, id);
        lab_end(&lab);
}

static void test_result_of_before_a_boot(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        for (const char *const *step =
                     (const char *const[]){REWRITE, "db1/geo tile38.shrink", SAVE, "db2/bull00 redis.rewrite",
                                           "db2/bull01 redis.rewrite", "db2/bull02 redis.rewrite", NULL};
             *step; step++)
                lab_done(&lab, *step);
        assert_step(&lab, "app1/apps pm2.stop", STEP_RUNNING);
        lab_down(&lab, APP1); /* stopped, answered; the answer was lost and the host lost power */
        lab_new_boot(&lab, APP1);
        lab_up(&lab, APP1);
        lab_ledger(&lab, APP1, "app1/apps pm2.stop", OPERATION_DONE);
        lab_wait(&lab, USEC_PER_SEC);
        assert_step(&lab, "app1/apps pm2.stop", STEP_RUNNING); /* once more, on the new boot */
        assert_int_equal(lab_step(&lab, "app1/apps pm2.stop").attempt, 2);
        lab_end(&lab);
}

static void test_power_cut_after_stops(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        for (const char *const *step =
                     (const char *const[]){REWRITE, "db1/geo tile38.shrink", SAVE, "db2/bull00 redis.rewrite",
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
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(&lab, h);
                lab_changed(&lab, h);
        }
        lab_start_units(&lab, DB1);
        lab_start_units(&lab, APP1);
        lab_changed(&lab, DB1);
        lab_changed(&lab, APP1);
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

static void test_host_that_keeps_booting(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        for (int i = 0; i < 4; i++) {
                assert_int_equal(run_state(lab.run), RUN_RUNNING);
                lab_down(&lab, DB1);
                lab_new_boot(&lab, DB1);
                lab_up(&lab, DB1);
                lab_ledger(&lab, DB1, REWRITE, OPERATION_INTERRUPTED);
                lab_wait(&lab, USEC_PER_SEC);
        }
        assert_int_equal(run_state(lab.run), RUN_PAUSED);
        lab_end(&lab);
}

static void test_unreachable_is_a_failure(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_done(&lab, SAVE);
        for (const char *const *step =
                     (const char *const[]){"db2/bull00 redis.rewrite", "db2/bull01 redis.rewrite",
                                           "db2/bull02 redis.rewrite", NULL};
             *step; step++)
                lab_done(&lab, *step);
        lab_down(&lab, DB1);
        lab_wait(&lab, 4000 * USEC_PER_SEC);
        assert_step(&lab, REWRITE, STEP_FAILED);
        assert_int_equal(run_state(lab.run), RUN_PAUSED);
        /* Whether it happened is not known: a retry asks first. */
        assert_int_equal(lab_steer(&lab, STEER_RETRY, REWRITE, ""), 0);
        assert_step(&lab, REWRITE, STEP_RUNNING);
        assert_null(lab_effect(&lab, EFFECT_OPERATE, REWRITE));
        lab_up(&lab, DB1);
        lab_ledger(&lab, DB1, REWRITE, OPERATION_DONE);
        assert_step(&lab, REWRITE, STEP_DONE);

        /* A step that could begin, and whose host is not there. */
        assert_int_equal(run_state(lab.run), RUN_RUNNING);
        lab_down(&lab, DB1);
        lab_report(&lab, "db1/geo tile38.shrink", OPERATION_FAILED, "link cut");
        lab_wait(&lab, 130 * USEC_PER_SEC);
        assert_step(&lab, "db1/geo tile38.shrink", STEP_FAILED);
        lab_end(&lab);
}

static void test_never_accepted_while_held(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_down(&lab, APP1);
        assert_int_equal(lab_steer(&lab, STEER_PAUSE, NULL, ""), 0);
        lab_up(&lab, APP1);
        lab_ledger(&lab, APP1, SAVE, OPERATION_UNKNOWN);
        assert_null(lab_effect(&lab, EFFECT_OPERATE, NULL)); /* a paused run begins nothing */
        assert_step(&lab, SAVE, STEP_RETRYING);
        lab_wait(&lab, 5 * USEC_PER_SEC);
        assert_int_equal(lab_steer(&lab, STEER_RESUME, NULL, ""), 0);
        lab_wait(&lab, 5 * USEC_PER_SEC);
        assert_step(&lab, SAVE, STEP_RUNNING);
        lab_end(&lab);
}

static void test_ledger_does_not_answer(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_down(&lab, APP1);
        lab_up(&lab, APP1);
        for (int i = 0; i < 5; i++) {
                lab_apply(&lab, (struct run_input){.kind = INPUT_LEDGER_ENDED, .host = "app1"});
                assert_null(lab_effect(&lab, EFFECT_LEDGER, NULL)); /* not at once */
                assert_true(run_wake_us(lab.run) <= lab.now_us + 10 * USEC_PER_SEC);
                lab.now_us = run_wake_us(lab.run);
                lab_apply(&lab, (struct run_input){.kind = INPUT_TICK});
                assert_non_null(lab_effect(&lab, EFFECT_LEDGER, NULL));
        }
        lab_end(&lab);
}

/* What came up first may have fallen while the last was loading. */
static void test_ends_when_all_is_up(void **state)
{
        struct lab lab;

        down(&lab);
        for (size_t h = 0; h < HOSTS; h++)
                lab_reboot(&lab, h);
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(&lab, h);
                lab_changed(&lab, h);
        }
        lab_start_units(&lab, DB1);
        lab_start_units(&lab, APP1);
        lab_changed(&lab, DB1);
        lab_changed(&lab, APP1);
        lab_done(&lab, "app1/apps pm2.restore");
        lab_phase(&lab, GEO, PHASE_FAILED, 0);
        lab_changed(&lab, DB1);
        lab_done(&lab, "app1/apps pm2.verify");
        assert_run(&lab, RUN_RUNNING);
        assert_step(&lab, "db1/geo ready", STEP_RUNNING);
        lab_down(&lab, APP1);
        lab_phase(&lab, GEO, PHASE_READY, 5000);
        lab_changed(&lab, DB1);
        lab_wait(&lab, 10 * USEC_PER_SEC);
        assert_run(&lab, RUN_RUNNING); /* the host of the apps is out of sight */
        lab_wait(&lab, 15 * USEC_PER_SEC);
        assert_step(&lab, "app1/apps pm2.verify", STEP_WAITING);
        lab_wait(&lab, 130 * USEC_PER_SEC);
        assert_run(&lab, RUN_PAUSED);
        lab_up(&lab, APP1);
        lab_changed(&lab, APP1);
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "app1/apps pm2.verify", ""), 0);
        lab_done(&lab, "app1/apps pm2.verify");
        assert_run(&lab, RUN_DONE);
        lab_end(&lab);
}

/* --- the fold refuses what does not fit ------------------------------------------------------------------
 */

static void refused(struct lab *lab, struct run_event event, const char *word)
{
        struct error error = {0};
        uint64_t events = run_events(lab->run);

        assert_int_equal(run_fold(lab->run, &event, &error), -EPROTO);
        if (!strstr(error.text, word))
                fail_msg("'%s' does not say '%s'", error.text, word);
        assert_int_equal(run_events(lab->run), events);
        lab_check(lab);
}

static void test_fold_refusals(void **state)
{
        struct lab lab;
        int save, stop, gate, reboot;

        lab_start(&lab, PLAN_REBOOT);
        save = step_named(run_plan(lab.run), SAVE);
        stop = step_named(run_plan(lab.run), "app1/apps pm2.stop");
        gate = step_named(run_plan(lab.run), "db1/bds ready");
        reboot = step_named(run_plan(lab.run), "db1 host.reboot");
        refused(&lab, (struct run_event){.kind = EVENT_STARTED, .step = -1, .seed = "0123456789abcdef"},
                "began");
        refused(&lab, (struct run_event){.kind = EVENT_DONE, .step = stop}, "waiting");
        refused(&lab, (struct run_event){.kind = EVENT_DONE, .step = 9999}, "no such step");
        refused(&lab, (struct run_event){.kind = EVENT_DONE, .step = -1}, "no such step");
        refused(&lab,
                (struct run_event){.kind = EVENT_INTENT,
                                   .step = stop,
                                   .attempt = 1,
                                   .operation = "0123456789abcdef0123456789abcdef",
                                   .boot_id = "1"},
                "comes before");
        refused(&lab, (struct run_event){.kind = EVENT_INTENT, .step = save, .attempt = 2}, "running");
        refused(&lab, (struct run_event){.kind = EVENT_OPENED, .step = gate}, "comes before");
        refused(&lab, (struct run_event){.kind = EVENT_OPENED, .step = save}, "kind of step");
        refused(&lab, (struct run_event){.kind = EVENT_ATTEMPT, .step = save, .attempt = 7},
                "present attempt");
        refused(&lab, (struct run_event){.kind = EVENT_RESUMED, .step = -1}, "not paused");
        refused(&lab, (struct run_event){.kind = EVENT_BOOTED, .step = -1, .host = "x", .boot_id = "1"},
                "host");
        refused(&lab, (struct run_event){.kind = EVENT_FINISHED, .step = -1, .state = RUN_DONE},
                "steps left");
        refused(&lab, (struct run_event){.kind = 99, .step = -1}, "kind");
        lab_take_down(&lab);
        refused(&lab, (struct run_event){.kind = EVENT_DONE, .step = reboot}, "no new boot");
        {
                struct run_event same = {.kind = EVENT_DONE, .step = reboot};

                TEXT_COPY(same.boot_id, lab.in.states[DB1].host.boot_id);
                refused(&lab, same, "no new boot");
        }
        lab_end(&lab);
}

static void test_event_json(void **state)
{
        struct run_event event = {
                .kind = EVENT_INTENT,
                .clock_us = 1700000000123456,
                .step = 0,
                .attempt = 3,
                .operation = "0123456789abcdef0123456789abcdef",
                .host = "db1",
                .boot_id = "fedcba9876543210fedcba9876543210",
                .identity = "run abc",
                .seed = "0123456789abcdef",
                .user = "viktor",
                .interrupted = true,
                .unknown = true,
                .leave = true,
                .state = RUN_PART,
                .text = "ein \"Text\" \xc3\xa4\n",
                .figures = {{"size", "1 MB"}, {"size", "\xff\xfe"}},
                .figure_count = 2,
        };
        struct run_event *again = calloc(1, sizeof(*again));
        struct error error = {0};
        char *json, *second;

        assert_int_equal(run_event_to_json(&event, &json), 0);
        assert_int_equal(run_event_from_json(again, json, &error), 0);
        assert_int_equal(again->step, 0);
        assert_int_equal(again->clock_us, event.clock_us);
        assert_string_equal(again->text, event.text);
        assert_int_equal(again->figure_count, 2);
        assert_string_equal(again->figures[1].value, "??"); /* no UTF-8: it must not stop the journal */
        assert_int_equal(run_event_to_json(again, &second), 0);
        assert_string_equal(json, second);
        free(json);
        free(second);
        for (const char *const *bad =
                     (const char *const[]){
                             "", "{", "[]", "{}", "{\"kind\":\"dance\"}", "{\"kind\":\"done\",\"x\":1}",
                             "{\"kind\":\"done\",\"step\":-1}", "{\"kind\":\"done\",\"step\":\"1\"}",
                             "{\"kind\":\"done\",\"step\":4294967296}",
                             "{\"kind\":\"done\",\"figures\":{\"a\":1}}", "{\"kind\":\"done\",\"leave\":1}",
                             "{\"kind\":\"finished\",\"state\":\"x\"}",
                             "{\"kind\":\"done\",\"kind\":\"done\"}", NULL};
             *bad; bad++)
                if (run_event_from_json(again, *bad, &error) != -EINVAL)
                        fail_msg("taken for an event: %s", *bad);
        free(again);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reconcile),
                cmocka_unit_test(test_controller_starts_again),
                cmocka_unit_test(test_stream_ends_without_report),
                cmocka_unit_test(test_refused_by_the_agent),
                cmocka_unit_test(test_late_and_doubled_answers),
                cmocka_unit_test(test_reboot_is_proven_by_its_boot),
                cmocka_unit_test(test_reboot_answered_by_another_machine),
                cmocka_unit_test(test_reboot_called_failed_too_early),
                cmocka_unit_test(test_reboot_called_failed_and_tried_again),
                cmocka_unit_test(test_what_the_agent_said_is_kept),
                cmocka_unit_test(test_reboot_unreadable_boot),
                cmocka_unit_test(test_reboot_in_doubt),
                cmocka_unit_test(test_reboot_never_returns),
                cmocka_unit_test(test_reboot_that_did_not_happen),
                cmocka_unit_test(test_result_of_before_a_boot),
                cmocka_unit_test(test_power_cut_after_stops),
                cmocka_unit_test(test_power_cut_after_restore),
                cmocka_unit_test(test_host_that_keeps_booting),
                cmocka_unit_test(test_unreachable_is_a_failure),
                cmocka_unit_test(test_never_accepted_while_held),
                cmocka_unit_test(test_ledger_does_not_answer),
                cmocka_unit_test(test_ends_when_all_is_up),
                cmocka_unit_test(test_fold_refusals),
                cmocka_unit_test(test_event_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
