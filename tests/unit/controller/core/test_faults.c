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

/* What is said of an interruption is what follows: another attempt, or after an abort none. */
static void test_interrupted_is_told_as_it_goes_on(void **state)
{
        for (int aborted = 0; aborted < 2; aborted++) {
                struct lab lab;

                lab_start(&lab, PLAN_REBOOT);
                if (aborted)
                        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
                lab_down(&lab, APP1);
                lab_up(&lab, APP1);
                lab_ledger(&lab, APP1, SAVE, OPERATION_INTERRUPTED);
                assert_step(&lab, SAVE, aborted ? STEP_FAILED : STEP_RETRYING);
                assert_string_equal(lab_step(&lab, SAVE).text,
                                    aborted ? SAVE " failed: it was interrupted"
                                            : SAVE " will be tried again: it was interrupted");
                lab_end(&lab);
        }
}

/* A rewrite whose agent died is settled by its agent's looking, under its own id, before another is begun. */
static void test_settled_by_looking(void **state)
{
        static const enum operation_state ends[] = {OPERATION_DONE, OPERATION_INTERRUPTED};

        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
                char before[ID_SIZE];
                struct lab lab;

                lab_start(&lab, PLAN_REBOOT);
                TEXT_COPY(before, lab_step(&lab, REWRITE).operation);
                for (int cut = 0; cut < 2; cut++) { /* the second time while it looks */
                        lab_down(&lab, DB1);
                        lab_up(&lab, DB1);
                        lab_ledger(&lab, DB1, REWRITE, OPERATION_INTERRUPTED);
                        assert_step(&lab, REWRITE, STEP_RUNNING);
                        assert_non_null(lab_effect(&lab, EFFECT_OPERATE, REWRITE));
                        assert_string_equal(lab_step(&lab, REWRITE).operation, before);
                }
                lab_report(&lab, REWRITE, ends[i], "looked");
                if (ends[i] == OPERATION_DONE) {
                        assert_step(&lab, REWRITE, STEP_DONE);
                } else {
                        assert_step(&lab, REWRITE, STEP_RETRYING);
                        lab_wait(&lab, 5 * USEC_PER_SEC);
                        assert_step(&lab, REWRITE, STEP_RUNNING);
                        assert_string_not_equal(lab_step(&lab, REWRITE).operation, before);
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

/* A result that comes when its host is not there says nothing of the boot that it was done on. */
static void test_a_result_out_of_nowhere(void **state)
{
        static const char stop[] = "app1/apps pm2.stop";
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        for (const char *const *step =
                     (const char *const[]){REWRITE, "db1/geo tile38.shrink", SAVE, "db2/bull00 redis.rewrite",
                                           "db2/bull01 redis.rewrite", "db2/bull02 redis.rewrite", NULL};
             *step; step++)
                lab_done(&lab, *step);
        lab_down(&lab, APP1);
        lab_report(&lab, stop, OPERATION_DONE, "late");
        assert_step(&lab, stop, STEP_RUNNING);
        lab_up(&lab, APP1);
        lab_wait(&lab, 15 * USEC_PER_SEC);
        lab_ledger(&lab, APP1, stop, OPERATION_DONE);
        assert_step(&lab, stop, STEP_DONE);
        assert_int_equal(lab_step(&lab, stop).attempt, 1);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reconcile),
                cmocka_unit_test(test_interrupted_is_told_as_it_goes_on),
                cmocka_unit_test(test_settled_by_looking),
                cmocka_unit_test(test_controller_starts_again),
                cmocka_unit_test(test_stream_ends_without_report),
                cmocka_unit_test(test_refused_by_the_agent),
                cmocka_unit_test(test_late_and_doubled_answers),
                cmocka_unit_test(test_a_result_out_of_nowhere),
                cmocka_unit_test(test_what_the_agent_said_is_kept),
                cmocka_unit_test(test_unreachable_is_a_failure),
                cmocka_unit_test(test_never_accepted_while_held),
                cmocka_unit_test(test_ledger_does_not_answer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
