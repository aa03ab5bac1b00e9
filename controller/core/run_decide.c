/* Single decisions of a run: each makes an event, folds it in and hands it out to be journaled. Operation ids
 * are made of the run's seed, the step and the attempt: no two are the same, and none needs a die here. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

int turn_effect(struct turn *turn, enum run_effect_kind kind, struct run_effect **ret)
{
        struct run_effects *effects = turn->effects;

        if (effects->count == effects->room) {
                size_t room = effects->room ? effects->room * 2 : 16;
                struct run_effect *grown = reallocarray(effects->items, room, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                effects->items = grown;
                effects->room = room;
        }
        *ret = &effects->items[effects->count++];
        **ret = (struct run_effect){.kind = kind, .step = -1};
        return 0;
}

struct run_event turn_event(enum run_event_kind kind, int step)
{
        return (struct run_event){.kind = kind, .step = step};
}

void event_say(struct run_event *event, const char *format, ...)
{
        char line[4 * TEXT_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        text_copy_cut(event->text, sizeof(event->text), line);
}

int turn_record(struct turn *turn, struct run_event *event)
{
        cleanup_free struct run_event *copy = malloc(sizeof(*copy));
        struct run_effect *effect;
        int r;

        if (!copy)
                return -ENOMEM;
        event->clock_us = turn->clock_us;
        r = run_fold(turn->run, event, turn->error);
        if (r < 0)
                return r;
        r = turn_effect(turn, EFFECT_JOURNAL, &effect);
        if (r < 0)
                return r;
        *copy = *event;
        effect->step = event->step;
        effect->number = turn->run->events;
        effect->event = TAKE(copy);
        turn->moves++;
        return 0;
}

int decide_send(struct turn *turn, size_t index)
{
        struct run_step *step = &turn->run->steps[index];
        struct run_effect *effect;
        int r = turn_effect(turn, EFFECT_OPERATE, &effect);

        if (r < 0)
                return r;
        effect->step = (int)index;
        text_copy_cut(effect->operation, sizeof(effect->operation), step->operation);
        text_copy_cut(effect->host, sizeof(effect->host), turn->run->hosts[step->host].name);
        step->link = LINK_SENT;
        return 0;
}

int decide_intent(struct turn *turn, size_t index)
{
        struct run_event event = turn_event(EVENT_INTENT, (int)index);
        const struct run_step *step = &turn->run->steps[index];
        const struct step *plan = &turn->run->plan->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        bool is_held = plan->operation == OPERATION_HOST_REBOOT && host->held_by[0];
        char more[32] = "";
        int r;

        event.attempt = step->attempt + 1;
        snprintf(event.operation, sizeof(event.operation), "%.16s%08x%08x", turn->run->seed, (unsigned)index,
                 (unsigned)event.attempt);
        text_copy_cut(event.boot_id, sizeof(event.boot_id), turn->run->hosts[step->host].boot_now);
        if (plan->operation == OPERATION_UNIT_STOP && turn->run->services[step->service].known)
                text_copy_cut(event.identity, sizeof(event.identity),
                              turn->run->services[step->service].identity);
        if (event.attempt > 1)
                snprintf(more, sizeof(more), " (attempt %" PRIu32 ")", event.attempt);
        event_say(&event, "%s%s%s%s", plan->name, more, is_held ? ", held back by " : "",
                  is_held ? host->held_by : "");
        r = turn_record(turn, &event);
        turn->run->steps[index].intent_us = turn->now_us;
        return r < 0 ? r : decide_send(turn, index);
}

static void copy_figures(struct run_event *event, const struct operation_report *report)
{
        event->figure_count = report->figure_count < FIGURE_MAX ? report->figure_count : FIGURE_MAX;
        memcpy(event->figures, report->figures, event->figure_count * sizeof(event->figures[0]));
}

int decide_done(struct turn *turn, size_t index, const struct operation_report *report, const char *text)
{
        struct run_event event = turn_event(EVENT_DONE, (int)index);
        const struct step *plan = &turn->run->plan->steps[index];

        if (plan->operation == OPERATION_HOST_REBOOT)
                text_copy_cut(event.boot_id, sizeof(event.boot_id),
                              turn->run->hosts[turn->run->steps[index].host].boot_now);
        if (plan->operation == OPERATION_UNIT_START)
                turn->run->services[turn->run->steps[index].service].started_us = turn->now_us;
        if (report)
                copy_figures(&event, report);
        event_say(&event, "%s: %s", plan->name, text[0] ? text : "done");
        return turn_record(turn, &event);
}

int decide_failed(struct turn *turn, size_t index, bool unknown, const char *text,
                  const struct operation_report *report)
{
        struct run_event event = turn_event(EVENT_FAILED, (int)index);
        const struct step *plan = &turn->run->plan->steps[index];
        int r;

        event.unknown = unknown;
        event.attempt = turn->run->steps[index].attempt;
        if (report)
                copy_figures(&event, report);
        if (plan->on_failure == ON_FAILURE_CONTINUE && !step_is_forgiven(turn->run, index))
                event_say(&event, "%s failed, more than the error budget of %" PRIu32 " forgives: %s",
                          plan->name, turn->run->plan->error_budget, text);
        else
                event_say(&event, "%s failed: %s", plan->name, text);
        r = turn_record(turn, &event);
        if (r < 0 || plan->on_failure != ON_FAILURE_ABORT || turn->run->aborting)
                return r;
        event = turn_event(EVENT_ABORTED, -1);
        event_say(&event, "aborted, as %s is to do when it fails: nothing more is taken down", plan->name);
        return turn_record(turn, &event);
}

int decide_booted(struct turn *turn, size_t index, const char *how)
{
        struct run_event event = turn_event(EVENT_BOOTED, -1);
        const struct run_host *host = &turn->run->hosts[index];

        text_copy_cut(event.host, sizeof(event.host), host->name);
        text_copy_cut(event.boot_id, sizeof(event.boot_id), host->boot_now);
        event_say(&event, "%s was booted anew, %s: what that undid is done again", host->name, how);
        return turn_record(turn, &event);
}

/* Whether another attempt could ever begin: after an abort nothing more is taken down. */
static bool is_over(const struct turn *turn, size_t index)
{
        return turn->run->leaving ||
               (turn->run->aborting && phase_takes_down(turn->run->plan->steps[index].phase));
}

int decide_failed_attempt(struct turn *turn, size_t index, const char *text,
                          const struct operation_report *report)
{
        const struct run_step *step = &turn->run->steps[index];
        const struct step *plan = &turn->run->plan->steps[index];
        struct run_event event = turn_event(EVENT_ATTEMPT, (int)index);

        if (step->failures >= plan->retries || is_over(turn, index))
                return decide_failed(turn, index, false, text, report);
        event.attempt = step->attempt;
        if (report)
                copy_figures(&event, report);
        event_say(&event, "%s failed, will be tried again: %s", plan->name, text);
        return turn_record(turn, &event);
}

int decide_interrupted(struct turn *turn, size_t index, const char *text)
{
        const struct run_step *step = &turn->run->steps[index];
        struct run_event event = turn_event(EVENT_ATTEMPT, (int)index);

        if (step->interruptions >= INTERRUPTIONS_MAX || is_over(turn, index))
                return decide_failed(turn, index, false, text, NULL);
        event.attempt = step->attempt;
        event.interrupted = true;
        event_say(&event, "%s will be tried again: %s", turn->run->plan->steps[index].name, text);
        return turn_record(turn, &event);
}

/* What is done stays done when its host is booted anew. */
static bool survives_boot(enum operation_kind kind)
{
        return kind == OPERATION_REDIS_REWRITE || kind == OPERATION_TILE38_SHRINK ||
               kind == OPERATION_PM2_SAVE || kind == OPERATION_UNIT_ENABLE;
}

/* PM2 may be back but for a few apps: its figures "as-saved" of "expected" against what was asked for. */
static bool is_enough(const struct step *plan, const struct operation_report *report)
{
        uint64_t expected = 0, as_saved = 0;

        if ((plan->operation != OPERATION_PM2_RESTORE && plan->operation != OPERATION_PM2_VERIFY) ||
            plan->at_least <= 0 || plan->at_least >= 1)
                return false;
        for (size_t i = 0; i < report->figure_count && i < FIGURE_MAX; i++) {
                if (text_equal(report->figures[i].name, "expected"))
                        (void)text_to_u64(report->figures[i].value, &expected);
                else if (text_equal(report->figures[i].name, "as-saved"))
                        (void)text_to_u64(report->figures[i].value, &as_saved);
        }
        return expected > 0 && as_saved <= expected &&
               (double)as_saved + SHARE_SLACK >= plan->at_least * (double)expected;
}

void step_ask_later(struct turn *turn, size_t index)
{
        turn->run->steps[index].link = LINK_LOST;
        turn->run->steps[index].ask_at_us = turn->now_us + ASK_MAX_US;
}

static int report_of_reboot(struct turn *turn, size_t index, const struct operation_report *report)
{
        struct run_step *step = &turn->run->steps[index];

        /* Only a new boot proves a reboot; run_advance looks for it. */
        switch (report->state) {
        case OPERATION_FAILED:
                if (!turn->run->hosts[step->host].stopping)
                        return decide_failed_attempt(turn, index, report->text, report);
                /* It gave up on a shutdown that goes on: the boot that follows settles it, or its staying up.
                 */
                step_ask_later(turn, index);
                return 0;
        case OPERATION_INTERRUPTED:
                step->doubt_us = turn->now_us;
                step->link = LINK_SENT;
                return 0;
        default:
                step->link = LINK_SENT;
                return 0;
        }
}

/* Done, and not on the boot that is there now; or which one that is cannot be told, which is no boot either.
 */
static int done_on_another_boot(struct turn *turn, size_t index)
{
        const struct run_host *host = &turn->run->hosts[turn->run->steps[index].host];

        if (host->boot_now[0])
                return decide_interrupted(turn, index,
                                          "it was done, but its host has been booted anew since");
        if (host->connected)
                return decide_failed(turn, index, true,
                                     "it was done, but on which boot is not known: the boot id of its host "
                                     "cannot be read",
                                     NULL);
        step_ask_later(turn, index);
        return 0;
}

int decide_report(struct turn *turn, size_t index, const struct operation_report *report)
{
        struct run_step *step = &turn->run->steps[index];
        const struct step *plan = &turn->run->plan->steps[index];
        const struct operation_type *type = operation_type(plan->operation);
        const struct run_host *host = &turn->run->hosts[step->host];

        if (report->state == OPERATION_ACCEPTED)
                return step->link == LINK_ASKED ? decide_send(turn, index) : 0;
        if (type->settle == SETTLE_BOOT_ID)
                return report_of_reboot(turn, index, report);
        switch (report->state) {
        case OPERATION_DONE:
        case OPERATION_FAILED:
                if (report->state == OPERATION_FAILED && !is_enough(plan, report))
                        return decide_failed_attempt(turn, index, report->text, report);
                return survives_boot(plan->operation) || text_equal(step->boot_id, host->boot_now)
                               ? decide_done(turn, index, report, report->text)
                               : done_on_another_boot(turn, index);
        case OPERATION_INTERRUPTED:
                /* So the ledger has it; asked for by its id, its agent looks and says how it ended. */
                if (step->link == LINK_ASKED && type->settle == SETTLE_LOOK)
                        return decide_send(turn, index);
                return decide_interrupted(turn, index, "it was interrupted");
        default:
                return 0;
        }
}
