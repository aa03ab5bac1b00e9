/* The journal folded into a run: one table of which event may move a step from which states, checked at every
 * move, live and in replay alike. */
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/core/run_internal.h"

#define IN(state) (1u << (state))
#define OPEN      (IN(STEP_WAITING) | IN(STEP_RUNNING) | IN(STEP_RETRYING) | IN(STEP_DOUBT) | IN(STEP_FAILED))

enum {
        FOR_OPERATION = 1,
        FOR_GATE = 2,
        NEEDS_SETTLED = 4,
};

/* What an event does to its step. to: the next state; -1: fold_step decides. */
static const struct move {
        unsigned from;
        unsigned flags;
        int to;
} moves[EVENT_KIND_END] = {
        [EVENT_INTENT] = {IN(STEP_WAITING) | IN(STEP_RETRYING), FOR_OPERATION | NEEDS_SETTLED, STEP_RUNNING},
        [EVENT_OPENED] = {IN(STEP_WAITING), FOR_GATE | NEEDS_SETTLED, STEP_RUNNING},
        [EVENT_DONE] = {OPEN, FOR_OPERATION | FOR_GATE, STEP_DONE},
        [EVENT_ATTEMPT] = {IN(STEP_RUNNING), FOR_OPERATION, STEP_RETRYING},
        [EVENT_FAILED] = {IN(STEP_WAITING) | IN(STEP_RUNNING) | IN(STEP_RETRYING), FOR_OPERATION | FOR_GATE,
                          STEP_FAILED},
        [EVENT_DOUBT] = {IN(STEP_RUNNING) | IN(STEP_RETRYING) | IN(STEP_FAILED), FOR_OPERATION, STEP_DOUBT},
        [EVENT_LOST] = {IN(STEP_DONE), FOR_OPERATION | FOR_GATE, -1},
        [EVENT_RETRIED] = {IN(STEP_WAITING) | IN(STEP_FAILED) | IN(STEP_DOUBT) | IN(STEP_RETRYING),
                           FOR_OPERATION | FOR_GATE, -1},
        [EVENT_SKIPPED] = {OPEN, FOR_OPERATION | FOR_GATE, STEP_SKIPPED},
};

static int refuse(const run *run, const struct run_event *event, struct error *error, const char *why)
{
        return error_set(error, -EPROTO, "run %s, event %llu (%s%s%s): %s", run->id,
                         (unsigned long long)run->events + 1, run_event_kind_name(event->kind),
                         event->step >= 0 ? ", " : "",
                         event->step >= 0 && (size_t)event->step < run->plan->step_count
                                 ? run->plan->steps[event->step].name
                                 : "",
                         why);
}

/* What only some moves ask for. */
static const char *objection(const run *run, const struct run_event *event)
{
        const struct run_step *step = &run->steps[event->step];
        const struct step *plan = &run->plan->steps[event->step];
        bool is_reboot = plan->operation == OPERATION_HOST_REBOOT;

        /* A journal of before a boot put gates back too goes on from where it had left them; and a reboot
         * that is to be tried again may come after all. */
        if (step->state == STEP_WAITING && (event->kind == EVENT_DONE || event->kind == EVENT_RETRIED) &&
            (plan->kind != STEP_GATE || !run->hosts[step->host].surprises) &&
            !(is_reboot && event->kind == EVENT_DONE))
                return step_state_name(step->state);
        switch (event->kind) {
        case EVENT_INTENT:
                if (event->attempt != step->attempt + 1)
                        return "is not the step's next attempt";
                if (strlen(event->operation) != ID_SIZE - 1 || text_equal(event->operation, step->operation))
                        return "has no operation id of its own";
                return event->boot_id[0] ? NULL : "names no boot";
        case EVENT_DONE:
                if (is_reboot && !step_is_proven(run, (size_t)event->step, event->boot_id))
                        return "proves no new boot";
                if (plan->kind == STEP_OPERATION && !step->attempt)
                        return "was never begun";
                /* A new boot proves a reboot, whatever its agent said of it. */
                if (step->state == STEP_RETRYING && !is_reboot)
                        return "comes between two attempts";
                if (step->state == STEP_FAILED && plan->kind == STEP_OPERATION && !step->unknown &&
                    !is_reboot)
                        return "comes after a failure that was known";
                return NULL;
        case EVENT_DOUBT:
                return step->state == STEP_RUNNING || (is_reboot && step->attempt) ? NULL
                                                                                   : "is doubted too late";
        case EVENT_ATTEMPT:
                return event->attempt == step->attempt ? NULL : "is not about the present attempt";
        case EVENT_LOST:
                return plan->kind == STEP_GATE || plan->phase == PHASE_VERIFY ||
                                       plan->operation == OPERATION_PM2_RESTORE
                               ? NULL
                               : "cannot be undone";
        case EVENT_RETRIED:
                return run->leaving || (run->aborting && phase_takes_down(plan->phase) &&
                                        plan->kind == STEP_OPERATION)
                               ? "is over since the abort"
                               : NULL;
        default:
                return NULL;
        }
}

static int check_move(const run *run, const struct run_event *event, struct error *error)
{
        const struct move *move = &moves[event->kind];
        const struct step *plan;
        const char *why;

        if (event->step < 0 || (size_t)event->step >= run->plan->step_count)
                return refuse(run, event, error, "the plan has no such step");
        plan = &run->plan->steps[event->step];
        if (!(move->flags & (plan->kind == STEP_GATE ? FOR_GATE : FOR_OPERATION)))
                return refuse(run, event, error, "does not go with this kind of step");
        if (!(move->from & IN(run->steps[event->step].state)))
                return refuse(run, event, error, step_state_name(run->steps[event->step].state));
        if ((move->flags & NEEDS_SETTLED) && !step_is_reached(run, (size_t)event->step))
                return refuse(run, event, error, "comes before what it has to come after");
        why = objection(run, event);
        return why ? refuse(run, event, error, why) : 0;
}

/* Whether the run goes on over its failing: so is its policy, and there is something left of the budget. */
bool step_is_forgiven(const run *run, size_t step)
{
        return run->plan->steps[step].on_failure == ON_FAILURE_CONTINUE &&
               run->forgiven < run->plan->error_budget;
}

/* What a verification says of the apps that run. */
static bool runs_nothing(const struct run_event *event)
{
        for (size_t i = 0; i < event->figure_count; i++)
                if (text_equal(event->figures[i].name, "online"))
                        return text_equal(event->figures[i].value, "0");
        return false;
}

/* Apps that are restored anew are verified anew. */
static void forget_verified(run *run, size_t restore)
{
        for (size_t i = run->first_later[restore]; i < run->first_later[restore + 1]; i++) {
                size_t later = run->later[i];

                if (run->plan->steps[later].phase == PHASE_VERIFY && run->steps[later].state == STEP_DONE &&
                    run->steps[later].service == run->steps[restore].service)
                        step_set_state(run, later, STEP_WAITING);
        }
}

static void fold_step(run *run, const struct run_event *event)
{
        size_t index = (size_t)event->step;
        struct run_step *step = &run->steps[index];
        struct run_host *host = &run->hosts[step->host];
        const struct step *plan = &run->plan->steps[index];
        int to = moves[event->kind].to;

        if (event->text[0])
                text_copy_cut(step->text, sizeof(step->text), event->text);
        switch (event->kind) {
        case EVENT_INTENT:
                step->attempt = event->attempt;
                step->begun_us = event->clock_us;
                step->ended_us = 0;
                text_copy_cut(step->operation, sizeof(step->operation), event->operation);
                text_copy_cut(step->boot_id, sizeof(step->boot_id), event->boot_id);
                text_copy_cut(host->boot_id, sizeof(host->boot_id), event->boot_id);
                if (event->identity[0])
                        text_copy_cut(step->identity, sizeof(step->identity), event->identity);
                break;
        case EVENT_OPENED:
                step->begun_us = event->clock_us;
                break;
        case EVENT_DONE:
                if (plan->operation == OPERATION_HOST_REBOOT) {
                        text_copy_cut(host->boot_id, sizeof(host->boot_id), event->boot_id);
                        host->compared = false;
                }
                step->failures = 0;
                step->idle = plan->operation == OPERATION_PM2_VERIFY && runs_nothing(event);
                break;
        case EVENT_ATTEMPT:
                if (event->interrupted)
                        step->interruptions++;
                else
                        step->failures++;
                break;
        case EVENT_FAILED:
                step->forgiven = step_is_forgiven(run, index);
                run->forgiven += step->forgiven;
                break;
        case EVENT_LOST:
                to = plan->kind == STEP_GATE ? STEP_RUNNING : STEP_WAITING;
                step->losses++;
                if (plan->operation == OPERATION_PM2_RESTORE)
                        forget_verified(run, index);
                break;
        case EVENT_RETRIED:
                to = step->state == STEP_FAILED && step->unknown && plan->kind == STEP_OPERATION
                             ? STEP_RUNNING
                             : STEP_WAITING;
                if (event->user[0]) /* a person gives it all its tries anew */
                        step->failures = step->interruptions = step->losses = 0;
                break;
        default:
                break;
        }
        if (event->kind != EVENT_INTENT && event->kind != EVENT_OPENED)
                step->ended_us = event->clock_us;
        step->entered_us = event->clock_us;
        step->wanted = (event->kind == EVENT_RETRIED && event->user[0]) ||
                       (step->wanted && event->kind == EVENT_ATTEMPT);
        step->unknown = event->kind == EVENT_FAILED && event->unknown;
        step_set_state(run, index, (enum step_state)to);
}

/* Whether it waits, or has waited in vain, for what has to be started again: nobody has begun that yet. */
static bool waits_for_nothing(const struct run_step *step, const struct step *plan)
{
        return plan->kind == STEP_GATE && plan->phase > PHASE_REBOOT && step->unsettled &&
               (step->state == STEP_RUNNING || (step->state == STEP_FAILED && !step->forgiven));
}

bool boot_undoes(const run *run, size_t host)
{
        for (size_t i = 0; i < run->plan->step_count; i++)
                if (run->steps[i].host == host && run->steps[i].state == STEP_DONE &&
                    run->plan->steps[i].phase > PHASE_REBOOT && !step_is_superseded(run, i))
                        return true;
        return false;
}

/* A boot that the run did not ask for undoes what does not survive one: services that were to be stopped may
 * be up, services that were started may be down. */
static void fold_booted(run *run, const struct run_event *event, size_t host)
{
        struct run_host *h = &run->hosts[host];
        const struct run_step *reboot = h->reboot >= 0 ? &run->steps[h->reboot] : NULL;
        bool reboot_to_come = reboot && !run->aborting &&
                              (reboot->state == STEP_WAITING || reboot->state == STEP_RETRYING ||
                               (reboot->state == STEP_FAILED && !reboot->unknown));

        text_copy_cut(h->boot_id, sizeof(h->boot_id), event->boot_id);
        h->surprises++;
        h->compared = false;
        for (size_t i = 0; i < run->plan->step_count && !run->leaving; i++) {
                struct run_step *step = &run->steps[i];
                const struct step *plan = &run->plan->steps[i];

                if (step->host == host && waits_for_nothing(step, plan))
                        step_set_state(run, i, STEP_WAITING);
                if (step->host != host || step->state != STEP_DONE)
                        continue;
                step->undone = plan->phase > PHASE_REBOOT && step_is_superseded(run, i);
                if (step_is_superseded(run, i))
                        continue;
                if (plan->phase > PHASE_REBOOT || (plan->phase == PHASE_STOP && reboot_to_come &&
                                                   plan->batch == run->plan->steps[h->reboot].batch)) {
                        step->identity[0] = '\0';
                        step_set_state(run, i, STEP_WAITING);
                }
        }
}

/* Whether the run has begun to take down what the step would bring up. */
bool step_was_taken_down(const run *run, size_t step)
{
        const struct run_step *s = &run->steps[step];
        int reboot = run->hosts[s->host].reboot;

        if (phase_takes_down(run->plan->steps[step].phase))
                return false;
        if (reboot >= 0 && run->steps[reboot].attempt > 0 &&
            run->plan->steps[reboot].batch == run->plan->steps[step].batch)
                return true;
        return s->stop >= 0 && run->steps[s->stop].attempt > 0;
}

/* What an abort leaves to be done: bringing up what was taken down, and the gates that this waits for. */
static int fold_aborted(run *run, const struct run_event *event)
{
        size_t count = run->plan->step_count;
        cleanup_free bool *kept = calloc(count, sizeof(*kept));

        if (!kept)
                return -ENOMEM;
        for (size_t i = count; i-- > 0 && !event->leave;) {
                kept[i] = kept[i] || step_was_taken_down(run, i);
                for (size_t j = 0; j < run->plan->steps[i].after_count && kept[i]; j++)
                        if (run->plan->steps[run->plan->steps[i].after[j]].kind == STEP_GATE)
                                kept[run->plan->steps[i].after[j]] = true;
        }
        if (!run->aborting)
                run->aborted_by_policy = !event->user[0];
        run->aborting = true;
        run->leaving = event->leave;
        run->held = false;
        for (size_t i = 0; i < count; i++) {
                enum step_state state = run->steps[i].state;
                bool is_gate = run->plan->steps[i].kind == STEP_GATE;

                if (!kept[i] && (state == STEP_WAITING || state == STEP_RETRYING ||
                                 (is_gate && (state == STEP_RUNNING || state == STEP_FAILED))))
                        step_set_state(run, i, STEP_CANCELLED);
        }
        /* What the cancelled ones would have done again was done once and may have been undone since. */
        for (size_t i = 0; i < count && !event->leave; i++)
                if (run->steps[i].undone && run->steps[i].state == STEP_DONE && !step_is_superseded(run, i))
                        step_set_state(run, i, STEP_WAITING);
        run_recount(run); /* what settles a step, and what ends it, is another matter now */
        return 0;
}

/* A host is noted before its reboot is ever asked for, and compared after it. */
static const char *comparison_objection(const run *run, const struct run_event *event)
{
        int index = run_host_find(run, event->host);
        const struct run_host *host = index >= 0 ? &run->hosts[index] : NULL;

        if (!host || host->reboot < 0)
                return "names no host that is rebooted";
        if (event->kind == EVENT_COMPARED)
                return host->before.count && !host->compared && run->steps[host->reboot].state == STEP_DONE
                               ? NULL
                               : "compares what was not noted or not rebooted";
        if (run->steps[host->reboot].attempt)
                return "comes after the reboot";
        return event->figure_count && host->before.count + event->figure_count <= NOTE_FIGURES_MAX
                       ? NULL
                       : "notes nothing, or too much";
}

static const char *run_objection(const run *run, const struct run_event *event)
{
        if (run->final)
                return "the run has ended";
        if (run->started != (event->kind != EVENT_STARTED))
                return run->started ? "the run began before" : "the run has not begun";
        switch (event->kind) {
        case EVENT_STARTED:
                return strlen(event->seed) == SEED_SIZE - 1 ? NULL : "has no seed";
        case EVENT_BOOTED:
                return run_host_find(run, event->host) >= 0 && event->boot_id[0] ? NULL
                                                                                 : "names no host and boot";
        case EVENT_NOTED:
        case EVENT_COMPARED:
                return comparison_objection(run, event);
        case EVENT_PAUSED:
                return run->held ? "the run is paused" : NULL;
        case EVENT_RESUMED:
                return run->held ? NULL : "the run is not paused by a person";
        case EVENT_LATE:
                return !run->plan->finish_by_us || run->late ? "has nothing new to say" : NULL;
        case EVENT_BATCH:
                if (run->batch >= run->plan->batch_count)
                        return "there is no further batch";
                return run->behind || run->aborting ? "comes before the end of the batch before it" : NULL;
        case EVENT_ABORTED:
                return run->leaving || (run->aborting && !event->leave) ? "the run was aborted before" : NULL;
        case EVENT_FINISHED:
                if (run->open)
                        return "there are steps left";
                return event->state >= RUN_DONE ? NULL : "names no final state";
        default:
                return NULL;
        }
}

static int fold_run(run *run, const struct run_event *event)
{
        switch (event->kind) {
        case EVENT_STARTED:
                run->started = true;
                run->started_us = event->clock_us;
                text_copy_cut(run->seed, sizeof(run->seed), event->seed);
                text_copy_cut(run->user, sizeof(run->user), event->user);
                return 0;
        case EVENT_BOOTED:
                fold_booted(run, event, (size_t)run_host_find(run, event->host));
                return 0;
        case EVENT_NOTED:
                return host_note_append(&run->hosts[run_host_find(run, event->host)].before, event->figures,
                                        event->figure_count);
        case EVENT_COMPARED:
                run->hosts[run_host_find(run, event->host)].compared = true;
                return 0;
        case EVENT_PAUSED:
        case EVENT_RESUMED:
                run->held = event->kind == EVENT_PAUSED;
                text_copy_cut(run->held_text, sizeof(run->held_text), run->held ? event->text : "");
                return 0;
        case EVENT_LATE:
                run->late = true;
                return 0;
        case EVENT_BATCH:
                run->batch++;
                run_recount(run);
                return 0;
        case EVENT_ABORTED:
                return fold_aborted(run, event);
        default:
                run->final = event->state;
                run->finished_us = event->clock_us;
                return 0;
        }
}

int run_fold(run *run, const struct run_event *event, struct error *error)
{
        const char *why;
        int r = 0;

        if (event->kind < EVENT_STARTED || event->kind >= EVENT_KIND_END)
                return error_set(error, -EPROTO, "run %s: an event of no known kind", run->id);
        why = run_objection(run, event);
        if (why)
                return refuse(run, event, error, why);
        if (moves[event->kind].from) {
                r = check_move(run, event, error);
                if (r >= 0)
                        fold_step(run, event);
        } else {
                r = fold_run(run, event);
        }
        if (r < 0)
                return r;
        run->events++;
        return 0;
}
