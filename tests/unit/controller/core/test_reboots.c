/* Reboots: a boot is what proves one. What else a boot does: test_boots.c. */
#include "tests/unit/controller/core/lab.h"

#define SAVE    "app1/apps pm2.save"
#define REWRITE "db1/bds redis.rewrite"

static void down(struct lab *lab)
{
        lab_start(lab, PLAN_REBOOT);
        lab_take_down(lab);
        assert_step(lab, "db1 host.reboot", STEP_RUNNING);
}

/* As if the fleet file had said so. */
static void lab_try_reboots_again(struct lab *lab, uint32_t retries)
{
        for (size_t i = 0; i < run_plan(lab->run)->step_count; i++)
                if (run_plan(lab->run)->steps[i].operation == OPERATION_HOST_REBOOT)
                        ((struct plan *)run_plan(lab->run))->steps[i].retries = retries;
        free(lab->plan_json);
        assert_int_equal(plan_to_json(run_plan(lab->run), &lab->plan_json), 0);
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
        lab_wait(&lab, 33 * USEC_PER_SEC);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        assert_null(lab_effect(&lab, EFFECT_LEDGER, NULL));
        assert_int_equal(lab_effect(&lab, EFFECT_REBOOT, "db1 host.reboot")->took_us, 93 * USEC_PER_SEC);
        assert_string_equal(lab_effect(&lab, EFFECT_REBOOT, NULL)->host, "db1");
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

/* The same while the reboot is called failed, or is to be tried again: the other machine is not taken for the
 * host, booted anew, and nothing is done on it. */
static void test_failed_reboot_answered_by_another_machine(void **state)
{
        struct lab lab;

        for (int retries = 0; retries < 2; retries++) {
                lab_start(&lab, PLAN_REBOOT);
                lab_try_reboots_again(&lab, (uint32_t)retries);
                lab_take_down(&lab);
                lab_report(&lab, "db1 host.reboot", OPERATION_FAILED, "still up after 15 min");
                assert_step(&lab, "db1 host.reboot", retries ? STEP_RETRYING : STEP_FAILED);
                lab_another_answers(&lab, DB1);
                assert_null(strstr(lab.journal[lab.events - 1], "booted anew"));
                lab_wait(&lab, 60 * USEC_PER_SEC);
                assert_step(&lab, "db1 host.reboot", STEP_DOUBT);
                assert_int_equal(run_state(lab.run), RUN_PAUSED);
                lab_down(&lab, DB1);
                lab_new_boot(&lab, DB1); /* the right one */
                lab_up(&lab, DB1);
                assert_step(&lab, "db1 host.reboot", STEP_DONE);
                lab_end(&lab);
        }
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
        assert_null(lab_effect(&lab, EFFECT_REBOOT, NULL)); /* nothing to learn from */
        lab_end(&lab);
}

/* The same where the plan has the reboot tried again: the new boot is seen before another one is asked for.
 */
static void test_reboot_called_failed_and_tried_again(void **state)
{
        struct lab lab;
        char id[ID_SIZE];

        lab_start(&lab, PLAN_REBOOT);
        lab_try_reboots_again(&lab, 1);
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

static char stopping[1][UNIT_SIZE];

static void shuts_down(struct lab *lab, size_t host, const char *unit)
{
        struct host_facts *facts = &lab->in.states[host].host.facts;

        TEXT_COPY(stopping[0], unit);
        facts->stopping = stopping;
        facts->stopping_count = 1;
        lab->in.states[host].host.stopping = true;
        lab_changed(lab, host);
}

/* A host that somebody else shuts down takes nothing more: that is no failure of what it was asked for, which
 * is done when it is back, however long it takes. */
static void test_refused_by_a_shutdown(void **state)
{
        struct lab lab;
        char id[ID_SIZE];

        lab_start(&lab, PLAN_REBOOT);
        lab_done(&lab, SAVE); /* or it would fail before long */
        TEXT_COPY(id, lab_step(&lab, "db2/bull00 redis.rewrite").operation);
        shuts_down(&lab, DB2, "slow.service");
        lab_apply(&lab, (struct run_input){.kind = INPUT_ENDED,
                                           .operation = id,
                                           .text = "the host is shutting down; nothing new is begun"});
        for (int i = 0; i < 20; i++) {
                if (lab_effect(&lab, EFFECT_LEDGER, NULL))
                        lab_ledger(&lab, DB2, "db2/bull00 redis.rewrite", OPERATION_UNKNOWN);
                assert_null(lab_effect(&lab, EFFECT_OPERATE, NULL));
                lab_wait(&lab, 10 * USEC_PER_SEC);
        }
        assert_step(&lab, "db2/bull00 redis.rewrite", STEP_RUNNING);
        assert_string_equal(lab_step(&lab, "db2/bull00 redis.rewrite").operation, id);
        lab_down(&lab, DB2);
        lab.in.states[DB2].host.stopping = false;
        lab_new_boot(&lab, DB2);
        lab_up(&lab, DB2);
        lab_ledger(&lab, DB2, "db2/bull00 redis.rewrite", OPERATION_UNKNOWN);
        lab_wait(&lab, USEC_PER_SEC);
        assert_step(&lab, "db2/bull00 redis.rewrite", STEP_RUNNING);
        assert_string_not_equal(lab_step(&lab, "db2/bull00 redis.rewrite").operation, id);
        assert_run(&lab, RUN_RUNNING);
        lab_end(&lab);
}

/* The same for what has not been asked for yet: it waits for the host to come back. */
static void test_step_waits_for_a_shutdown(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_done(&lab, SAVE);
        shuts_down(&lab, DB2, "slow.service");
        lab_done(&lab, "db2/bull00 redis.rewrite");
        lab_wait(&lab, 600 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull01 redis.rewrite", STEP_WAITING);
        lab_down(&lab, DB2);
        lab_wait(&lab, 100 * USEC_PER_SEC);
        assert_step(&lab, "db2/bull01 redis.rewrite", STEP_WAITING);
        lab.in.states[DB2].host.stopping = false;
        lab_new_boot(&lab, DB2);
        lab_up(&lab, DB2);
        assert_step(&lab, "db2/bull01 redis.rewrite", STEP_RUNNING);
        lab_end(&lab);
}

/* An agent whose own deadline passes while its host shuts down has not failed to reboot it: it is said as
 * what is not known, with what the shutdown waits for; asked for again, the boot that comes is still awaited,
 * and no second one is asked for. */
static void test_reboot_outlasts_its_agents_deadline(void **state)
{
        char id[ID_SIZE];
        struct lab lab;

        for (int retries = 0; retries < 2; retries++) {
                lab_start(&lab, PLAN_REBOOT);
                lab_try_reboots_again(&lab, (uint32_t)retries);
                lab_take_down(&lab);
                TEXT_COPY(id, lab_step(&lab, "db1 host.reboot").operation);
                shuts_down(&lab, DB1, "slow.service");
                lab_wait(&lab, 900 * USEC_PER_SEC);
                lab_report(&lab, "db1 host.reboot", OPERATION_FAILED, "not done within 15 min");
                assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
                lab_wait(&lab, 31 * USEC_PER_SEC);
                assert_step(&lab, "db1 host.reboot", STEP_FAILED);
                assert_non_null(strstr(lab_step(&lab, "db1 host.reboot").text,
                                       "shutting down, which waits for slow.service"));
                assert_int_equal(lab_steer(&lab, STEER_RETRY, "db1 host.reboot", ""), 0);
                assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
                lab_ledger(&lab, DB1, "db1 host.reboot", OPERATION_FAILED);
                assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
                lab_down(&lab, DB1);
                lab.in.states[DB1].host.stopping = false;
                lab_new_boot(&lab, DB1);
                lab_up(&lab, DB1);
                assert_step(&lab, "db1 host.reboot", STEP_DONE);
                assert_string_equal(lab_step(&lab, "db1 host.reboot").operation, id);
                lab_end(&lab);
        }
}

/* Failed, and then it does go down; asked for again before it is back, the boot that comes is the reboot's.
 */
static void test_reboot_comes_before_it_is_tried_again(void **state)
{
        char id[ID_SIZE];
        struct lab lab;

        down(&lab);
        TEXT_COPY(id, lab_step(&lab, "db1 host.reboot").operation);
        lab_report(&lab, "db1 host.reboot", OPERATION_FAILED, "not done within 15 min");
        lab_down(&lab, DB1);
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db1 host.reboot", ""), 0);
        assert_step(&lab, "db1 host.reboot", STEP_WAITING);
        lab_wait(&lab, 60 * USEC_PER_SEC);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_DONE);
        assert_string_equal(lab_step(&lab, "db1 host.reboot").operation, id);
        lab_end(&lab);
}

/* What was stopped for it is stopped anew, for another machine had answered: a boot in that time is not it.
 */
static void test_boot_while_its_stops_are_done_again(void **state)
{
        struct lab lab;

        down(&lab);
        lab_report(&lab, "db1 host.reboot", OPERATION_FAILED, "held back by an inhibitor");
        lab_another_answers(&lab, DB1);
        assert_int_equal(lab_steer(&lab, STEER_RETRY, "db1 host.reboot", ""), 0);
        lab_changed(&lab, DB1);
        assert_step(&lab, "db1/geo unit.stop", STEP_RUNNING);
        lab_down(&lab, DB1);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        assert_step(&lab, "db1 host.reboot", STEP_WAITING);
        lab_end(&lab);
}

/* A shutdown that is called off is a failure after all, and for its agent's reason. */
static void test_reboot_that_is_called_off(void **state)
{
        struct lab lab;

        down(&lab);
        shuts_down(&lab, DB1, "slow.service");
        lab_report(&lab, "db1 host.reboot", OPERATION_FAILED, "not done within 15 min");
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        lab.in.states[DB1].host.stopping = false;
        lab_changed(&lab, DB1);
        lab_wait(&lab, 11 * USEC_PER_SEC);
        lab_ledger(&lab, DB1, "db1 host.reboot", OPERATION_FAILED);
        assert_step(&lab, "db1 host.reboot", STEP_FAILED);
        assert_non_null(strstr(lab_step(&lab, "db1 host.reboot").text, "by the ledger"));
        lab_end(&lab);
}

static void test_reboot_never_returns(void **state)
{
        char waiting[512];
        struct lab lab;

        down(&lab);
        lab_reboot(&lab, APP1);
        lab_reboot(&lab, DB2);
        lab_start_units(&lab, DB2);
        shuts_down(&lab, DB1, "slow.service");
        assert_string_equal(lab_effect(&lab, EFFECT_PROGRESS, "db1 host.reboot")->text,
                            "shutting down, which waits for slow.service");
        lab_wait(&lab, 60 * USEC_PER_SEC);
        lab_changed(&lab, DB1);
        assert_null(lab_effect(&lab, EFFECT_PROGRESS, NULL)); /* said once */
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        lab_down(&lab, DB1);
        lab_wait(&lab, 840 * USEC_PER_SEC);
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        lab_wait(&lab, 60 * USEC_PER_SEC);
        assert_step(&lab, "db1 host.reboot", STEP_FAILED);
        run_waiting_for(lab.run, waiting, sizeof(waiting));
        assert_non_null(strstr(waiting,
                               "last seen 14 min 30 s ago shutting down, which waits for slow.service; "
                               "look at its console"));
        assert_non_null(strstr(waiting, "muster run retry r1 "));
        assert_non_null(strstr(waiting, "muster run abort r1"));
        lab.in.states[DB1].host.stopping = false;
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

/* A reboot that failed before it was ever asked for is not proven by whatever boot the host is on. */
static void test_reboot_never_asked_for(void **state)
{
        char kept[ID_SIZE];
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        TEXT_COPY(kept, lab.in.states[APP1].host.boot_id);
        for (const char *const *step =
                     (const char *const[]){REWRITE, "db1/geo tile38.shrink", SAVE, "db2/bull00 redis.rewrite",
                                           "db2/bull01 redis.rewrite", "db2/bull02 redis.rewrite",
                                           "app1/apps pm2.stop", NULL};
             *step; step++)
                lab_done(&lab, *step);
        lab.in.states[APP1].host.boot_id[0] = '\0';
        lab_changed(&lab, APP1);
        lab_done(&lab, "app1/router unit.stop"); /* on which boot, nobody can say */
        lab_wait(&lab, USEC_PER_SEC);
        assert_step(&lab, "app1/router unit.stop", STEP_FAILED);
        assert_int_equal(lab_step(&lab, "app1/router unit.stop").attempt, 1); /* and so not done again */
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "app1/router unit.stop", "it is down"), 0);
        assert_step(&lab, "app1 host.reboot", STEP_FAILED);
        assert_int_equal(lab_step(&lab, "app1 host.reboot").attempt, 0);
        TEXT_COPY(lab.in.states[APP1].host.boot_id, kept);
        lab_changed(&lab, APP1);
        assert_step(&lab, "app1 host.reboot", STEP_FAILED);
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

/* What came up first may have fallen while the last was loading. */
static void test_ends_when_all_is_up(void **state)
{
        struct lab lab;

        down(&lab);
        for (size_t h = 0; h < HOSTS; h++)
                lab_reboot(&lab, h);
        lab_bring_up_units(&lab);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reboot_is_proven_by_its_boot),
                cmocka_unit_test(test_reboot_answered_by_another_machine),
                cmocka_unit_test(test_failed_reboot_answered_by_another_machine),
                cmocka_unit_test(test_reboot_called_failed_too_early),
                cmocka_unit_test(test_reboot_called_failed_and_tried_again),
                cmocka_unit_test(test_reboot_unreadable_boot),
                cmocka_unit_test(test_reboot_in_doubt),
                cmocka_unit_test(test_refused_by_a_shutdown),
                cmocka_unit_test(test_step_waits_for_a_shutdown),
                cmocka_unit_test(test_reboot_outlasts_its_agents_deadline),
                cmocka_unit_test(test_reboot_comes_before_it_is_tried_again),
                cmocka_unit_test(test_boot_while_its_stops_are_done_again),
                cmocka_unit_test(test_reboot_that_is_called_off),
                cmocka_unit_test(test_reboot_never_returns),
                cmocka_unit_test(test_reboot_that_did_not_happen),
                cmocka_unit_test(test_reboot_never_asked_for),
                cmocka_unit_test(test_result_of_before_a_boot),
                cmocka_unit_test(test_ends_when_all_is_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
