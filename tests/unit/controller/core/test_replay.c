/* Long journals: a run that was steered for weeks folds into what it was. */
#include "tests/unit/controller/core/fleet.h"

#include "controller/core/run.h"

#define EVENTS 50000u

static run *make_run(void)
{
        struct error error = {0};
        struct incident in;
        struct plan *plan;
        run *made;

        incident_init(&in);
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), 0);
        assert_int_equal(run_new(&made, "r1", plan, 1, &error), 0);
        return made;
}

static void fold(run *made, struct run_event event, char **journal, size_t *count)
{
        struct error error = {0};

        if (run_fold(made, &event, &error) < 0)
                fail_msg("%s", error.text);
        assert_int_equal(run_event_to_json(&event, &journal[(*count)++]), 0);
}

static void test_many_events(void **state)
{
        char **journal = calloc(EVENTS + 8, sizeof(*journal));
        run *first = make_run(), *second = make_run();
        int step = step_named(run_plan(first), "app1/apps pm2.save");
        struct step_view view;
        size_t count = 0;

        assert_non_null(journal);
        fold(first,
             (struct run_event){.kind = EVENT_STARTED, .step = -1, .seed = "0123456789abcdef", .user = "v"},
             journal, &count);
        for (uint32_t attempt = 1; count < EVENTS; attempt++) {
                struct run_event intent = {
                        .kind = EVENT_INTENT, .step = step, .attempt = attempt, .boot_id = "1"};

                snprintf(intent.operation, ID_SIZE, "0123456789abcdef%08x%08x", (unsigned)step, attempt);
                fold(first, intent, journal, &count);
                fold(first, (struct run_event){.kind = EVENT_FAILED, .step = step, .text = "disk full"},
                     journal, &count);
                fold(first, (struct run_event){.kind = EVENT_RETRIED, .step = step, .user = "v"}, journal,
                     &count);
        }
        for (size_t i = 0; i < count; i++) {
                struct run_event event;
                struct error error = {0};

                if (run_event_from_json(&event, journal[i], &error) < 0 ||
                    run_fold(second, &event, &error) < 0)
                        fail_msg("event %zu: %s", i + 1, error.text);
                free(journal[i]);
        }
        assert_int_equal(run_events(second), count);
        run_step(second, (size_t)step, &view);
        assert_int_equal(view.state, STEP_WAITING);
        assert_true(view.attempt > EVENTS / 4);
        assert_int_equal(run_check(second, NULL), 0);
        run_free(first);
        run_free(second);
        free(journal);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_many_events),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
