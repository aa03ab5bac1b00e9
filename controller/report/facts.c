/* See facts.h. */
#include "controller/report/facts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

#define EVENTS_MAX 200000u /* of a run; a plan of thousands of steps has some ten thousand */

struct reading {
        struct report_facts *facts;
        size_t room;
        struct error *error;
};

static int keep_event(struct reading *reading, const struct run_event *event)
{
        struct report_facts *facts = reading->facts;
        struct report_event *kept;

        if (facts->event_count == reading->room) {
                size_t room = reading->room ? 2 * reading->room : 256;
                struct report_event *larger = reallocarray(facts->events, room, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                facts->events = larger;
                reading->room = room;
        }
        kept = &facts->events[facts->event_count];
        *kept = (struct report_event){
                .kind = event->kind,
                .clock_us = event->clock_us,
                .step = event->step,
                .figure_count = event->figure_count,
                .text = strdup(event->text),
                .figures = calloc(event->figure_count + 1, sizeof(struct figure)),
        };
        facts->event_count++; /* from here on it is freed with the others */
        if (!kept->text || !kept->figures)
                return -ENOMEM;
        memcpy(kept->figures, event->figures, event->figure_count * sizeof(struct figure));
        TEXT_COPY(kept->host, event->host);
        TEXT_COPY(kept->boot_id, event->boot_id);
        return 0;
}

static int take_event(uint64_t number, uint64_t time_us, const char *json, void *userdata)
{
        struct reading *reading = userdata;
        cleanup_free struct run_event *event = calloc(1, sizeof(*event));
        int r;

        if (!event)
                return -ENOMEM;
        if (number > EVENTS_MAX)
                return error_set(reading->error, -E2BIG, "the run has more than %u events", EVENTS_MAX);
        r = run_event_from_json(event, json, reading->error);
        if (r == 0)
                r = run_fold(reading->facts->run, event, reading->error);
        if (r < 0)
                return r == -EINVAL ? -EPROTO : r;
        return keep_event(reading, event);
}

/* What one event says of its step. */
static void note_step(struct report_step *step, const struct step *plan, const struct report_event *event)
{
        switch (event->kind) {
        case EVENT_INTENT:
        case EVENT_OPENED:
                if (!step->begun_us)
                        step->begun_us = event->clock_us;
                if (!step->boot_from[0])
                        step->boot_from = event->boot_id;
                step->boot_meant = event->boot_id;
                step->tries++;
                break;
        case EVENT_DONE:
                step->done_us = event->clock_us;
                if (plan->operation == OPERATION_HOST_REBOOT)
                        step->boot_to = event->boot_id;
                break;
        case EVENT_LOST:
                step->done_us = 0;
                step->losses++;
                break;
        default:
                break;
        }
        if (event->figure_count)
                step->result = event;
}

static void sum_up(struct report_facts *facts)
{
        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct step *plan = &facts->plan->steps[i];
                struct report_step *step = &facts->steps[i];
                const char *expected, *as_saved;
                uint64_t a, b;

                run_step(facts->run, i, &step->view);
                if (step->view.state != STEP_DONE)
                        step->done_us = 0;
                /* A service that several batches bring back counts once, as it was in the end. */
                if (step->view.again && run_batch(facts->run) >= facts->plan->batch_count)
                        continue;
                if (plan->kind == STEP_GATE && plan->phase != PHASE_CHECK) {
                        facts->gates++;
                        facts->gates_done += step->view.state == STEP_DONE;
                }
                if (plan->operation != OPERATION_PM2_VERIFY || !step->result)
                        continue;
                expected = report_figure(step->result, "expected");
                as_saved = report_figure(step->result, "as-saved");
                if (expected && as_saved && text_to_u64(expected, &a) == 0 &&
                    text_to_u64(as_saved, &b) == 0 && b <= a && a < UINT32_MAX) {
                        facts->apps_expected += a;
                        facts->apps_as_saved += b;
                }
        }
}

static int note_steps(struct report_facts *facts)
{
        facts->plan = run_plan(facts->run);
        facts->steps = calloc(facts->plan->step_count + 1, sizeof(*facts->steps));
        if (!facts->steps)
                return -ENOMEM;
        for (size_t i = 0; i < facts->plan->step_count; i++)
                facts->steps[i].boot_from = facts->steps[i].boot_meant = facts->steps[i].boot_to = "";
        for (size_t i = 0; i < facts->event_count; i++)
                if (facts->events[i].step >= 0)
                        note_step(&facts->steps[facts->events[i].step],
                                  &facts->plan->steps[facts->events[i].step], &facts->events[i]);
        sum_up(facts);
        facts->began_us = run_started_us(facts->run) ? run_started_us(facts->run) : facts->head.started_us;
        facts->ended_us =
                facts->event_count ? facts->events[facts->event_count - 1].clock_us : facts->began_us;
        return 0;
}

static int take_newest(const struct store_run *run, void *userdata)
{
        *(struct store_run *)userdata = *run;
        return 0;
}

static int read_head(struct report_facts *facts, store *store, const char *run, char **ret_plan,
                     struct error *error)
{
        struct store_run newest = {.id = ""};
        int r;

        if (!run[0]) {
                r = store_run_list(store, 1, take_newest, &newest);
                if (r < 0)
                        return r;
                if (!newest.id[0])
                        return error_set(error, -ENOENT, "there has been no run yet");
                run = newest.id;
        }
        r = store_run_get(store, run, &facts->head, ret_plan);
        if (r == -ENOENT)
                return error_set(error, r, "there is no run '%s'; `muster run ls` shows them", run);
        return r;
}

static int read_facts(struct report_facts *facts, store *store, const char *run, struct error *error)
{
        struct reading reading = {.facts = facts, .error = error};
        cleanup_free char *plan_json = NULL;
        struct plan *plan = NULL;
        int r = read_head(facts, store, run, &plan_json, error);

        if (r == 0) {
                r = plan_from_json(&plan, plan_json, error);
                if (r < 0)
                        return r == -EINVAL ? -EPROTO : r;
                r = run_new(&facts->run, facts->head.id, plan, 0, error);
                if (r < 0)
                        plan_free(plan);
        }
        if (r == 0)
                r = store_journal_read(store, facts->head.id, 1, take_event, &reading);
        return r < 0 ? r : note_steps(facts);
}

int report_facts_read(struct report_facts *ret, store *store, const char *run, struct error *error)
{
        struct report_facts facts = {0};
        int r;

        if (error)
                error->text[0] = '\0';
        r = read_facts(&facts, store, run, error);
        if (r < 0) {
                if (error && !error->text[0])
                        error_set(error, r, "the run cannot be read: %s", strerror(-r));
                report_facts_clear(&facts);
                return r;
        }
        *ret = facts;
        return 0;
}

void report_facts_clear(struct report_facts *facts)
{
        for (size_t i = 0; i < facts->event_count; i++) {
                free(facts->events[i].text);
                free(facts->events[i].figures);
        }
        free(facts->events);
        free(facts->steps);
        run_free(facts->run);
        *facts = (struct report_facts){0};
}

uint64_t report_step_took(const struct report_step *step)
{
        return step->done_us > step->begun_us && step->begun_us ? step->done_us - step->begun_us : 0;
}

const char *report_figure(const struct report_event *event, const char *name)
{
        for (size_t i = 0; event && i < event->figure_count; i++)
                if (text_equal(event->figures[i].name, name))
                        return event->figures[i].value;
        return NULL;
}

/* Whether an attempt before the one that was done has asked for the same. */
static bool was_asked_before(const struct report_facts *facts, const struct report_event *done)
{
        unsigned intents = 0;

        for (const struct report_event *event = done; event-- > facts->events;) {
                if (event->step != done->step)
                        continue;
                if (event->kind == EVENT_DONE)
                        break;
                intents += event->kind == EVENT_INTENT;
        }
        return intents > 1;
}

const char *report_killed(const struct report_facts *facts, const struct report_event *event)
{
        const char *how = event->kind == EVENT_DONE ? report_figure(event, "killed") : NULL;
        uint64_t count;

        /* What was found down was killed by the stop only where an earlier attempt had begun one. */
        if (event->kind == EVENT_DONE && !how && was_asked_before(facts, event))
                how = report_figure(event, "killed-before");
        /* A stop of PM2 counts there what it had to kill. */
        return how && text_to_u64(how, &count) < 0 ? how : NULL;
}
