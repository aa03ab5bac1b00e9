/* Inputs: what happened outside, taken in; then the run advances. One table of what takes which in. */
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

static int take_start(struct turn *turn, const struct run_input *input)
{
        struct run_event event = turn_event(EVENT_STARTED, -1);

        text_copy_cut(event.user, sizeof(event.user), input->user);
        text_copy_cut(event.seed, sizeof(event.seed), input->seed);
        event_say(&event, "%s of %s, started by %s: %zu steps", plan_kind_name(turn->run->plan->kind),
                  turn->run->plan->scope[0] ? turn->run->plan->scope : "all", event.user,
                  turn->run->plan->step_count);
        return turn_record(turn, &event);
}

/* --- hosts -----------------------------------------------------------------------------------------------
 */

static void lose_links(run *run, size_t host)
{
        for (size_t i = 0; i < run->plan->step_count; i++)
                if (run->steps[i].host == host) {
                        run->steps[i].link = LINK_LOST;
                        run->steps[i].ask_at_us = 0;
                        run->steps[i].asks = 0;
                }
}

/* What failed and is not known to have happened waited for its host: it is asked, as by a person's retry. */
static int ask_again(struct turn *turn, size_t host)
{
        run *run = turn->run;
        int r = 0;

        if (!run->hosts[host].boot_now[0])
                return 0; /* what was done on which boot could not be told */
        for (size_t i = 0; i < run->plan->step_count && r >= 0; i++) {
                const struct step *plan = &run->plan->steps[i];
                struct run_event event = turn_event(EVENT_RETRIED, (int)i);

                if (run->steps[i].host != host || !run->steps[i].unknown || !step_blocks(run, i) ||
                    plan->operation == OPERATION_HOST_REBOOT)
                        continue;
                event_say(&event, "%s: %s is back, and is asked what became of it", plan->name,
                          run->hosts[host].name);
                r = turn_record(turn, &event);
        }
        return r;
}

static int take_host(struct turn *turn, const struct run_input *input)
{
        int host = run_host_find(turn->run, input->host), r;

        if (host < 0)
                return 0;
        if (input->kind != INPUT_HOST_CHANGED) {
                host_forget(turn->run, (size_t)host, turn->now_us);
                lose_links(turn->run, (size_t)host);
        }
        if (input->kind == INPUT_HOST_UP)
                turn->run->hosts[host].connected = true;
        if (input->kind != INPUT_HOST_DOWN && input->state && turn->run->hosts[host].connected)
                host_observe(turn, (size_t)host, input->state);
        if (!turn->run->started || turn->run->final)
                return 0;
        r = run_look_at_boot(turn, (size_t)host);
        return r < 0 || input->kind != INPUT_HOST_UP ? r : ask_again(turn, (size_t)host);
}

/* --- operations ------------------------------------------------------------------------------------------
 */

/* The running step whose present attempt this is; -1 for what is late or unknown. */
static int running_step(const run *run, const char *operation)
{
        int step = operation ? run_step_of_operation(run, operation) : -1;

        return step >= 0 && run->steps[step].state == STEP_RUNNING ? step : -1;
}

static uint64_t next_ask(struct turn *turn, struct run_step *step)
{
        unsigned times = step->asks++;
        uint64_t pause_us = times >= 8 ? ASK_MAX_US : ASK_FIRST_US << times;

        if (times == 0)
                return turn->now_us;
        return turn->now_us + (pause_us > ASK_MAX_US ? ASK_MAX_US : pause_us);
}

/* The agent's ledger has never heard of it. */
static int take_missing(struct turn *turn, size_t index)
{
        struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        bool is_reboot = turn->run->plan->steps[index].operation == OPERATION_HOST_REBOOT;
        char text[sizeof(step->text)];
        char why[WHY_SIZE];
        bool open;
        int r;

        text_copy_cut(text, sizeof(text), step->text);
        if (step->refused)
                return decide_failed_attempt(turn, index, text, NULL);
        if (!text_equal(step->boot_id, host->boot_now))
                return is_reboot ? 0
                                 : decide_interrupted(
                                           turn, index,
                                           host->boot_now[0]
                                                   ? "it never began, and its host has been booted anew"
                                                   : "it never began, and the boot id of its host cannot "
                                                     "be read");
        if (host->stopping) { /* it takes nothing: the boot that follows, or its staying up, settles it */
                step_ask_later(turn, index);
                return 0;
        }
        if (!step_may_begin(turn->run, index))
                return decide_interrupted(turn, index, "it never began, and the run has been stopped since");
        r = check_above(turn, index, &open, why);
        if (r < 0)
                return r;
        if (step_awaits_disk(turn->run, index, NULL, 0))
                return decide_interrupted(turn, index, "it never began, and others load from its disk now");
        if (step_cuts_load(turn->run, index) >= 0)
                return decide_interrupted(turn, index, "it never began, and what it would cut off loads now");
        return open && !step->unsettled
                       ? decide_send(turn, index)
                       : decide_interrupted(turn, index,
                                            "it never began, and what it needs is no longer ready");
}

static int take_ledger(struct turn *turn, const struct run_input *input)
{
        int host = run_host_find(turn->run, input->host), r = 0;

        if (host < 0 || !turn->run->hosts[host].connected)
                return 0;
        turn->run->hosts[host].asked = false;
        for (size_t i = 0; i < input->asked_count && r >= 0; i++) {
                int step = running_step(turn->run, input->asked[i]);
                const struct operation_report *report = NULL;

                if (step < 0 || turn->run->steps[step].link != LINK_ASKED ||
                    turn->run->steps[step].host != (size_t)host)
                        continue;
                for (size_t j = 0; j < input->report_count && !report; j++)
                        if (text_equal(input->reports[j].id, input->asked[i]) &&
                            input->reports[j].state != OPERATION_UNKNOWN)
                                report = &input->reports[j];
                r = report ? decide_report(turn, (size_t)step, report) : take_missing(turn, (size_t)step);
        }
        return r;
}

static int take_ledger_ended(struct turn *turn, const struct run_input *input)
{
        int host = run_host_find(turn->run, input->host);

        if (host < 0)
                return 0;
        turn->run->hosts[host].asked = false;
        for (size_t i = 0; i < turn->run->plan->step_count; i++) {
                struct run_step *step = &turn->run->steps[i];

                if (step->host == (size_t)host && step->link == LINK_ASKED) {
                        step->link = LINK_LOST;
                        step->asks += step->asks == 0;
                        step->ask_at_us = next_ask(turn, step);
                }
        }
        return 0;
}

static int take_progress(struct turn *turn, const struct run_input *input)
{
        int index = running_step(turn->run, input->operation);
        struct run_step *step = index >= 0 ? &turn->run->steps[index] : NULL;
        struct run_effect *effect;
        int r;

        if (!step)
                return 0;
        /* Its deadline begins anew, as at its agent (agent/operations.c). */
        if (input->total && (input->done != step->done || input->total != step->total)) {
                step->since_us = turn->now_us;
                step->spent_us = 0;
        }
        step->done = input->done;
        step->total = input->total;
        r = turn_effect(turn, EFFECT_PROGRESS, &effect);
        if (r < 0)
                return r;
        effect->step = index;
        effect->done = input->done;
        effect->total = input->total;
        text_copy_cut(effect->text, sizeof(effect->text), input->text);
        return 0;
}

static int take_report(struct turn *turn, const struct run_input *input)
{
        int step = running_step(turn->run, input->operation);

        if (step < 0 || input->report_count != 1 || !text_equal(input->reports[0].id, input->operation))
                return 0;
        return decide_report(turn, (size_t)step, &input->reports[0]);
}

/* Why there is no result yet: for those who watch, and for what is said if none ever comes. */
static int keep_said(struct turn *turn, size_t index, const char *text)
{
        struct run_step *step = &turn->run->steps[index];
        struct run_effect *effect;
        char said[sizeof(step->said)];
        int r;

        text_copy_clean(said, sizeof(said), text);
        if (!said[0] || text_equal(said, step->said))
                return 0;
        text_copy_cut(step->said, sizeof(step->said), said);
        r = turn_effect(turn, EFFECT_PROGRESS, &effect);
        if (r < 0)
                return r;
        effect->step = (int)index;
        effect->done = step->done;
        effect->total = step->total;
        text_copy_cut(effect->text, sizeof(effect->text), said);
        return 0;
}

static int take_ended(struct turn *turn, const struct run_input *input)
{
        int index = running_step(turn->run, input->operation);
        struct run_step *step = index >= 0 ? &turn->run->steps[index] : NULL;

        if (!step || step->link != LINK_SENT)
                return 0;
        step->link = LINK_LOST;
        step->ask_at_us = next_ask(turn, step);
        if (input->refused) {
                step->refused = true;
                text_copy_cut(step->text, sizeof(step->text), input->text);
        }
        return keep_said(turn, (size_t)index, input->text);
}

/* --- steering --------------------------------------------------------------------------------------------
 */

static int refuse(struct turn *turn, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct turn *turn, const char *format, ...)
{
        char text[ERROR_TEXT_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        return error_set(turn->error, -EINVAL, "%s", text);
}

static int steer_run(struct turn *turn, const struct run_input *input, struct run_event *event)
{
        run *run = turn->run;
        char waiting[RUN_WAITING_SIZE];

        switch (input->action) {
        case STEER_PAUSE:
                if (run->held)
                        return refuse(turn, "run %s is paused already; 'muster run resume %s' lets it go on",
                                      run->id, run->id);
                event->kind = EVENT_PAUSED;
                event_say(event, "paused by %s%s%s", event->user, input->text[0] ? ": " : "", input->text);
                return 0;
        case STEER_RESUME:
                run_waiting_for(run, waiting, sizeof(waiting));
                if (!run->held)
                        return refuse(turn, "run %s is not paused by hand; it waits for: %s", run->id,
                                      waiting);
                event->kind = EVENT_RESUMED;
                event_say(event, "resumed by %s%s%s", event->user, input->text[0] ? ": " : "", input->text);
                return 0;
        default:
                if (run->leaving)
                        return refuse(turn, "run %s has been aborted; it ends when its running steps have",
                                      run->id);
                if (run->aborting && input->action == STEER_ABORT)
                        return refuse(
                                turn,
                                "run %s has been aborted and brings up what it took down; 'muster run abort "
                                "%s --leave' leaves all as it is",
                                run->id, run->id);
                event->kind = EVENT_ABORTED;
                event->leave = input->action == STEER_LEAVE;
                event_say(event, "aborted by %s%s%s: %s", event->user, input->text[0] ? ": " : "",
                          input->text,
                          event->leave ? "all is left as it is"
                                       : "nothing more is taken down, what was is brought up");
                return 0;
        }
}

static int steer_step(struct turn *turn, const struct run_input *input, struct run_event *event)
{
        const run *run = turn->run;
        const struct run_step *step;
        const char *name;

        if (input->step < 0 || (size_t)input->step >= run->plan->step_count)
                return refuse(turn, "run %s has no step %d; its steps are 0 to %zu", run->id, input->step,
                              run->plan->step_count - 1);
        step = &run->steps[input->step];
        name = run->plan->steps[input->step].name;
        if (input->action == STEER_RETRY) {
                if (step->state != STEP_FAILED && step->state != STEP_DOUBT && step->state != STEP_RETRYING)
                        return refuse(turn, "step %d '%s' is %s; only a step that failed can be tried again",
                                      input->step, name, step_state_name(step->state));
                if (run->leaving || (run->aborting && phase_takes_down(run->plan->steps[input->step].phase) &&
                                     run->plan->steps[input->step].kind == STEP_OPERATION))
                        return refuse(turn, "run %s has been aborted: step %d '%s' is not done any more",
                                      run->id, input->step, name);
                event->kind = EVENT_RETRIED;
                event_say(event, "%s: tried again by %s%s%s", name, event->user, input->text[0] ? ": " : "",
                          input->text);
                return 0;
        }
        if (!input->text[0])
                return refuse(turn, "to skip a step, say why: --why TEXT");
        if (step->state >= STEP_DONE)
                return refuse(turn, "step %d '%s' is %s; there is nothing to skip", input->step, name,
                              step_state_name(step->state));
        if (step->state == STEP_RUNNING && run->plan->steps[input->step].kind == STEP_OPERATION &&
            run->hosts[step->host].connected)
                return refuse(turn, "step %d '%s' is at work on %s; wait for its end, or abort the run",
                              input->step, name, run->hosts[step->host].name);
        event->kind = EVENT_SKIPPED;
        event_say(event, "%s: skipped by %s: %s", name, event->user, input->text);
        return 0;
}

static int take_steer(struct turn *turn, const struct run_input *input)
{
        struct run_event event = turn_event(EVENT_PAUSED, -1);
        bool on_step = input->action == STEER_RETRY || input->action == STEER_SKIP;
        int r;

        if (turn->run->final || !turn->run->started)
                return refuse(turn, "run %s has ended (%s)", turn->run->id,
                              run_state_name(run_state(turn->run)));
        if (input->action < STEER_PAUSE || input->action > STEER_LEAVE)
                return refuse(turn, "there is no such action on a run");
        text_copy_cut(event.user, sizeof(event.user), input->user[0] ? input->user : "somebody");
        if (on_step)
                event.step = input->step;
        r = on_step ? steer_step(turn, input, &event) : steer_run(turn, input, &event);
        return r < 0 ? r : turn_record(turn, &event);
}

static int take_tick(struct turn *turn, const struct run_input *input)
{
        return 0;
}

static int (*const takers[])(struct turn *turn, const struct run_input *input) = {
        [INPUT_START] = take_start,       [INPUT_HOST_UP] = take_host,
        [INPUT_HOST_CHANGED] = take_host, [INPUT_HOST_DOWN] = take_host,
        [INPUT_LEDGER] = take_ledger,     [INPUT_LEDGER_ENDED] = take_ledger_ended,
        [INPUT_PROGRESS] = take_progress, [INPUT_REPORT] = take_report,
        [INPUT_ENDED] = take_ended,       [INPUT_TICK] = take_tick,
        [INPUT_STEER] = take_steer,
};

int run_apply(run *run, const struct run_input *input, struct run_effects *effects, struct error *error)
{
        struct turn turn = {
                .run = run,
                .now_us = input->now_us,
                .clock_us = input->clock_us,
                .age_us = input->age_us,
                .effects = effects,
                .error = error,
        };
        struct run_input complete = *input;
        int r;

        if (input->kind < INPUT_START || (size_t)input->kind >= ELEMENTS(takers))
                return 0;
        if (run->final && input->kind != INPUT_STEER)
                return 0;
        run->now_us = input->now_us;
        complete.text = input->text ? input->text : "";
        complete.user = input->user ? input->user : "";
        complete.seed = input->seed ? input->seed : "";
        r = takers[input->kind](&turn, &complete);
        return r < 0 ? r : run_advance(&turn);
}
