/* How a batch of a run ends and the next one begins, and how the run ends: when what was brought up is up. */
#include <stdio.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

/* What has to be done again where the apps of a verification are gone: their restore, if the run did one. */
static size_t restore_of(const run *run, size_t verify)
{
        const struct step *plan = &run->plan->steps[verify];

        for (size_t i = 0; i < plan->after_count; i++)
                if (run->plan->steps[plan->after[i]].operation == OPERATION_PM2_RESTORE &&
                    run->steps[plan->after[i]].state == STEP_DONE)
                        return plan->after[i];
        return verify;
}

/* As often as an attempt would be made; a daemon that dies each time is for a person to look at. */
static int lose_apps(struct turn *turn, size_t verify)
{
        const struct run_service *service = &turn->run->services[turn->run->steps[verify].service];
        size_t index = restore_of(turn->run, verify);
        bool is_last = turn->run->steps[index].losses >= turn->run->plan->steps[index].retries;
        struct run_event event = turn_event(EVENT_LOST, (int)index);
        char text[2 * TEXT_SIZE];
        int r;

        event_say(&event, "%s no longer holds: PM2 of %s is gone: %s", turn->run->plan->steps[index].name,
                  service->name, service->detail);
        snprintf(text, sizeof(text),
                 "PM2 of %s is gone again: %s; look why its daemon ends (pm2.log in its home, journalctl -k)",
                 service->name, service->detail);
        r = turn_record(turn, &event);
        if (r < 0 || !is_last)
                return r;
        return decide_failed(turn, index, false, text, NULL);
}

int check_verified(struct turn *turn, size_t index, bool *ret_open)
{
        struct run_step *step = &turn->run->steps[index];
        const struct run_service *service = &turn->run->services[step->service];

        if (step->state != STEP_DONE)
                return 0;
        if (!service->known || !service->gone || step->idle || step_is_superseded(turn->run, index)) {
                step->since_us = 0;
                return 0;
        }
        *ret_open = false;
        /* What its agent said may be of before the verification: in that time it looks again, and says so. */
        if (!step->since_us)
                step->since_us = turn->now_us;
        return turn_is_due(turn, step->since_us + DOWN_GRACE_US) ? lose_apps(turn, index) : 0;
}

static int confirm_verified(struct turn *turn, size_t index, bool *ret_open)
{
        const struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        struct run_event event = turn_event(EVENT_LOST, (int)index);
        char why[WHY_SIZE];

        if (step->state != STEP_DONE || step_is_superseded(turn->run, index))
                return 0;
        if (host_is_there(turn->run, step->host, why, sizeof(why)))
                return check_verified(turn, index, ret_open);
        *ret_open = false;
        if (!host->connected && !turn_is_due(turn, host->down_since_us + DOWN_GRACE_US))
                return 0;
        event_say(&event, "%s has to be done again: %s", turn->run->plan->steps[index].name, why);
        return turn_record(turn, &event);
}

/* A run, and each batch of it, ends when what it brought up is up at its end: the first services may have
 * fallen while the last ones were loading. */
int run_confirm(struct turn *turn, bool *ret_open)
{
        const struct plan *plan = turn->run->plan;
        int r = 0;

        *ret_open = true;
        for (size_t i = 0; i < plan->step_count && plan->steps[i].batch <= turn->run->batch && r >= 0 &&
                           !turn->run->leaving;
             i++) {
                if (plan->steps[i].kind == STEP_GATE)
                        r = check_gate(turn, i, ret_open);
                else if (plan->steps[i].phase == PHASE_VERIFY)
                        r = confirm_verified(turn, i, ret_open);
        }
        return r;
}

int run_finish(struct turn *turn)
{
        struct run_event event = turn_event(EVENT_FINISHED, -1);
        struct run_effect *effect;
        bool part = false;
        char span[64];
        int r;

        for (size_t i = 0; i < turn->run->plan->step_count; i++)
                part |= turn->run->steps[i].state != STEP_DONE;
        event.state = turn->run->aborting ? (turn->run->aborted_by_policy ? RUN_FAILED : RUN_ABORTED)
                      : part              ? RUN_PART
                                          : RUN_DONE;
        time_duration_text(span, sizeof(span),
                           turn->clock_us > turn->run->started_us ? turn->clock_us - turn->run->started_us
                                                                  : 0);
        event_say(&event, "%s %s after %s", plan_kind_name(turn->run->plan->kind),
                  run_state_name(event.state), span);
        r = turn_record(turn, &event);
        return r < 0 ? r : turn_effect(turn, EFFECT_FINISHED, &effect);
}

/* The next batch, when all that the one before it took down is back and nothing waits for a person. */
int run_begin_batch(struct turn *turn)
{
        run *run = turn->run;
        const struct plan *plan = run->plan;
        struct run_event event = turn_event(EVENT_BATCH, -1);
        bool open;
        int r;

        if (run->batch >= plan->batch_count || run->behind || run->blocked || run->held || run->aborting)
                return 0;
        r = run_confirm(turn, &open);
        if (r < 0 || !open)
                return r;
        event_say(&event, "batch %u of %zu begins: %s", run->batch + 1, plan->batch_count,
                  plan->batches[run->batch]);
        return turn_record(turn, &event);
}
