/* What a run does when something has happened: everything that can go on, goes on. One pass over the steps
 * that are awake, in their order, so that what a step makes possible happens in the same turn; again until
 * nothing moves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

#define LOOK_AT_CONSOLE "; look at its console: is it on, and what does it show?"

static void wake_at(struct turn *turn, uint64_t time_us)
{
        if (time_us > turn->now_us && time_us < turn->run->wake_us)
                turn->run->wake_us = time_us;
}

/* Whether the time has come; if not, the run is woken then. */
static bool is_due(struct turn *turn, uint64_t time_us)
{
        wake_at(turn, time_us);
        return time_us <= turn->now_us;
}

bool turn_is_due(struct turn *turn, uint64_t time_us)
{
        return is_due(turn, time_us);
}

static uint64_t doubled(uint64_t first_us, unsigned times, uint64_t max_us)
{
        return times >= 16 || first_us << times > max_us ? max_us : first_us << times;
}

bool step_may_begin(const run *run, size_t index)
{
        if (run->held || run->leaving)
                return false;
        return !phase_takes_down(run->plan->steps[index].phase) ||
               (!run->aborting && (!run->blocked || run->steps[index].wanted));
}

/* --- reboots and boots -----------------------------------------------------------------------------------
 */

/* Than the one that an intent meant to end: without an intent no boot proves anything. */
static bool is_other_boot(const run *run, size_t index)
{
        const struct run_host *host = &run->hosts[run->steps[index].host];

        return host->connected && step_is_proven(run, index, host->boot_now);
}

/* Whether its userspace can have begun after the reboot was asked for. The monotonic clock knows that best,
 * the other one knows it also of what an earlier life of the controller asked for. */
static bool began_since(const struct turn *turn, size_t index)
{
        const struct run_step *step = &turn->run->steps[index];
        uint64_t since_us = turn->clock_us > step->begun_us ? turn->clock_us - step->begun_us : 0;

        if (step->intent_us && turn->now_us - step->intent_us > since_us)
                since_us = turn->now_us - step->intent_us;
        return turn->run->hosts[step->host].uptime_us <= since_us + UPTIME_SLACK_US;
}

/* Another boot that has lasted for longer than the reboot is ago is not what the reboot led to: most likely a
 * second machine that was made from a copy of the first, key and all. */
static int doubt_machine(struct turn *turn, size_t index)
{
        const struct run_host *host = &turn->run->hosts[turn->run->steps[index].host];
        struct run_event event = turn_event(EVENT_DOUBT, (int)index);
        char span[64];

        if (turn->run->steps[index].state == STEP_DOUBT || turn->run->steps[index].state == STEP_WAITING)
                return 0; /* a person is asked, or has answered */
        time_duration_text(span, sizeof(span), host->uptime_us);
        event_say(&event,
                  "another machine with this host's key answered (up for %s, which is longer than the reboot "
                  "of %s is ago)",
                  span, host->name);
        return turn_record(turn, &event);
}

/* What this life of the controller saw whole is learnt from. */
static int decide_rebooted(struct turn *turn, size_t index, const char *text)
{
        bool is_usual = turn->run->steps[index].state == STEP_RUNNING && /* nobody had to help it */
                        !turn->run->plan->steps[index].soft;
        uint64_t intent_us = is_usual ? turn->run->steps[index].intent_us : 0;
        struct run_effect *effect;
        int r = decide_done(turn, index, NULL, text);

        if (r < 0 || !intent_us)
                return r;
        r = turn_effect(turn, EFFECT_REBOOT, &effect);
        if (r < 0)
                return r;
        effect->step = (int)index;
        text_copy_cut(effect->host, sizeof(effect->host),
                      turn->run->hosts[turn->run->steps[index].host].name);
        effect->took_us = turn->now_us - intent_us;
        return 0;
}

/* Another boot than the one that the reboot was to end. It may come late: after an abort, or a failure that
 * was passed over, the run goes on without it, and brings up what the boot then undoes. */
static int advance_rebooted(struct turn *turn, size_t index)
{
        const struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        bool is_soft = turn->run->plan->steps[index].soft;
        char text[TEXT_SIZE];
        int r;

        if (!began_since(turn, index))
                return doubt_machine(turn, index);
        if (is_soft && boot_id_same_kernel(host->boot_now, step->boot_id))
                snprintf(text, sizeof(text), "userspace begun anew, on the kernel boot of before (%.8s…)",
                         host->boot_now);
        else
                snprintf(text, sizeof(text), "up on a new boot (%.8s…, before %.8s…)%s", host->boot_now,
                         step->boot_id, is_soft ? ": a full reboot, not the soft one asked for" : "");
        r = decide_rebooted(turn, index, text);
        return r < 0 || !boot_undoes(turn->run, step->host)
                       ? r
                       : decide_booted(turn, step->host, "after the run had gone on without it");
}

static int advance_reboot(struct turn *turn, size_t index)
{
        struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        struct run_event event = turn_event(EVENT_DOUBT, (int)index);

        if (is_other_boot(turn->run, index))
                return advance_rebooted(turn, index);
        if (step->state != STEP_RUNNING || !host->connected)
                return 0;
        if (!host->boot_now[0]) {
                event_say(&event,
                          "%s is connected, but its boot id cannot be read (%s): whether it was rebooted "
                          "is not known",
                          host->name, host->boot_error);
                return turn_record(turn, &event);
        }
        if (!text_equal(host->boot_now, step->boot_id) && began_since(turn, index))
                return decide_failed(
                        turn, index, false,
                        "it came back on the kernel boot of before: userspace alone was begun anew, "
                        "which is no full reboot",
                        NULL);
        if (!step->doubt_us)
                return 0;
        if (host->stopping) {
                step->doubt_us = turn->now_us;
                return 0;
        }
        if (!is_due(turn, step->doubt_us + DOUBT_GRACE_US))
                return 0;
        event_say(&event,
                  "the agent of %s was interrupted while it rebooted its host, which is still up on the "
                  "boot of before: whether the reboot is still to come is not known",
                  host->name);
        return turn_record(turn, &event);
}

/* Whether it is a person's to say which machine this is. */
static bool is_doubted(const struct turn *turn, int reboot)
{
        return reboot >= 0 && turn->run->steps[reboot].state == STEP_DOUBT &&
               is_other_boot(turn->run, (size_t)reboot) && !began_since(turn, (size_t)reboot);
}

int run_look_at_boot(struct turn *turn, size_t index)
{
        struct run_host *host = &turn->run->hosts[index];
        const struct run_step *reboot = host->reboot >= 0 ? &turn->run->steps[host->reboot] : NULL;
        struct run_event event = turn_event(EVENT_PAUSED, -1);
        int r = 0;

        /* One that waits to be tried again may come after all; while its stops are done again, it is none. */
        if (reboot && ((reboot->state == STEP_WAITING && step_is_reached(turn->run, (size_t)host->reboot)) ||
                       reboot->state == STEP_RUNNING || reboot->state == STEP_RETRYING ||
                       reboot->state == STEP_DOUBT || reboot->state == STEP_FAILED))
                r = advance_reboot(turn, (size_t)host->reboot);
        if (r < 0 || !host->connected || !host->boot_now[0] || !host->boot_id[0] ||
            text_equal(host->boot_now, host->boot_id) || is_doubted(turn, host->reboot))
                return r;
        r = decide_booted(turn, index, "and not by this run");
        if (r < 0 || host->surprises < SURPRISES_MAX || turn->run->held)
                return r;
        event_say(&event, "paused: %s was booted anew %u times, and not by this run", host->name,
                  host->surprises);
        return turn_record(turn, &event);
}

/* --- operations ------------------------------------------------------------------------------------------
 */

int check_gate(struct turn *turn, size_t gate, bool *ret_open)
{
        /* A later batch takes the service down and brings it back: then only its gate counts. */
        size_t index = step_now(turn->run, gate);
        const struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        struct run_event event = turn_event(EVENT_LOST, (int)index);
        char why[WHY_SIZE];

        if (!step_is_settled(turn->run, index))
                *ret_open = false;
        if (step->state != STEP_DONE || gate_is_ready(turn->run, index, why, sizeof(why)))
                return 0;
        *ret_open = false;
        if (!host->connected && !is_due(turn, host->down_since_us + DOWN_GRACE_US))
                return 0;
        event_say(&event, "%s no longer: %s", turn->run->plan->steps[index].name, why);
        return turn_record(turn, &event);
}

/* What has been brought up counts while its host is there; and not if it has to be brought up again. */
static bool is_still_up(const struct run *run, size_t index, char why[WHY_SIZE])
{
        const struct run_step *step = &run->steps[index];

        if (phase_takes_down(run->plan->steps[index].phase))
                return true;
        if (step->state == STEP_DONE)
                return host_is_there(run, step->host, why, WHY_SIZE);
        return step->state != STEP_WAITING && step->state != STEP_RUNNING && step->state != STEP_RETRYING;
}

int check_above(struct turn *turn, size_t index, bool *ret_open, char why[WHY_SIZE])
{
        const struct plan *plan = turn->run->plan;
        bool brings_up = !phase_takes_down(plan->steps[index].phase);
        cleanup_free bool *above = calloc(index + 1, sizeof(*above));

        why[0] = '\0';
        *ret_open = true;
        if (!above)
                return -ENOMEM;
        above[index] = true;
        for (size_t i = index + 1; i-- > 0;) {
                int r = 0;

                /* What had to hold for the way down need not hold on the way up. */
                if (!above[i] || (brings_up && phase_takes_down(plan->steps[i].phase) &&
                                  plan->steps[i].kind == STEP_OPERATION))
                        continue;
                for (size_t j = 0; j < plan->steps[i].after_count; j++)
                        above[plan->steps[i].after[j]] = true;
                if (plan->steps[i].kind == STEP_GATE)
                        r = check_gate(turn, i, ret_open);
                else if (i != index && !is_still_up(turn->run, i, why))
                        *ret_open = false;
                else if (i != index && plan->steps[i].phase == PHASE_VERIFY)
                        r = check_verified(turn, i, ret_open);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A host that was seen to shut down has the time for that, and then the time that any host has. */
static uint64_t out_of_patience_us(const struct turn *turn, const struct run_step *step)
{
        const struct run_host *host = &turn->run->hosts[step->host];

        if (host->connected && host->stopping)
                return step->since_us + SHUTDOWN_US;
        if (!host->connected && host->shutdown[0] && host->down_since_us > step->since_us)
                return host->down_since_us + UNREACHABLE_US;
        return step->since_us + UNREACHABLE_US;
}

/* Waiting in the present state, in this life of the controller; how long it had waited before is known by the
 * journal. */
static void begin_wait(struct turn *turn, struct run_step *step)
{
        if (step->since_us)
                return;
        step->since_us = step->opened_us = turn->now_us;
        step->spent_us = turn->clock_us > step->entered_us ? turn->clock_us - step->entered_us : 0;
}

/* When a wait of that length ends that has begun, perhaps, in an earlier life. */
static uint64_t wait_ends_us(const struct run_step *step, uint64_t length_us)
{
        uint64_t left_us = length_us > step->spent_us ? length_us - step->spent_us : 0;
        uint64_t least_us = length_us < LIFE_GRACE_US ? length_us : LIFE_GRACE_US;

        return step->since_us + (left_us > least_us ? left_us : least_us);
}

static int try_begin(struct turn *turn, size_t index)
{
        struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        char why[WHY_SIZE];
        bool open, waits;
        int r;

        if (!step_may_begin(turn->run, index) || !step_is_reached(turn->run, index)) {
                step->since_us = step->held_us = 0;
                return 0;
        }
        r = check_above(turn, index, &open, why);
        if (r < 0 || (!open && !why[0]))
                return r;
        if (open && host_is_there(turn->run, step->host, why, sizeof(why))) {
                r = step_wait_for_load(turn, index, &waits);
                if (r < 0 || waits)
                        return r;
                if (!step_awaits_disk(turn->run, index, NULL, 0))
                        return decide_intent(turn, index);
                wake_at(turn, turn->now_us + DOWN_GRACE_US); /* what was just started is so for no longer */
                return 0;
        }
        if (!step->since_us)
                step->since_us = turn->now_us;
        if (host->connected && !host->boot_now[0])
                return decide_failed(turn, index, false, why, NULL);
        return is_due(turn, out_of_patience_us(turn, step)) ? decide_failed(turn, index, false, why, NULL)
                                                            : 0;
}

uint64_t step_retry_us(const run *run, size_t index)
{
        const struct run_step *step = &run->steps[index];
        uint64_t first_us = run->plan->steps[index].backoff_us;
        uint64_t most_us = first_us > BACKOFF_MAX_US ? first_us : BACKOFF_MAX_US;
        uint64_t pause_us = step->failures ? doubled(first_us, step->failures - 1, most_us) : ASK_FIRST_US;

        return step->opened_us + (pause_us > step->spent_us ? pause_us - step->spent_us : 0);
}

static int advance_retry(struct turn *turn, size_t index)
{
        struct run_step *step = &turn->run->steps[index];

        if (!step->opened_us) {
                step->opened_us = turn->now_us;
                step->spent_us = turn->clock_us > step->entered_us ? turn->clock_us - step->entered_us : 0;
        }
        if (!is_due(turn, step_retry_us(turn->run, index)))
                return 0;
        return try_begin(turn, index);
}

/* Until when an operation is waited for: its deadline, and not for long where its host is out of sight; but
 * that is what a reboot is to do. */
static uint64_t operation_ends_us(struct turn *turn, size_t index)
{
        const struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        const struct step *plan = &turn->run->plan->steps[index];
        uint64_t ends_us = wait_ends_us(step, plan->deadline_us + DEADLINE_SLACK);
        uint64_t since_us = host->down_since_us > step->since_us ? host->down_since_us : step->since_us;

        if (host->connected || plan->operation == OPERATION_HOST_REBOOT)
                return ends_us;
        wake_at(turn, turn->now_us + ASK_MAX_US); /* for how long is said to those who look */
        return since_us + GONE_US < ends_us ? since_us + GONE_US : ends_us;
}

static void say_no_result(const struct turn *turn, size_t index, char *out, size_t size)
{
        const struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        const struct step *plan = &turn->run->plan->steps[index];
        bool is_reboot = plan->operation == OPERATION_HOST_REBOOT;
        const char *before = step->said[0] ? "; last said of it: " : "";
        char limit[64], seen[TEXT_SIZE];

        time_duration_text(limit, sizeof(limit), plan->deadline_us);
        host_last_seen(turn->run, step->host, seen, sizeof(seen));
        if (is_reboot && host->connected)
                snprintf(out, size, "%s is still up on the boot of before after %s%s%s", host->name, limit,
                         host->shutdown[0] ? ", " : "", host->shutdown);
        else if (is_reboot)
                snprintf(out, size, "%s has not come back within %s, %s" LOOK_AT_CONSOLE, host->name, limit,
                         seen);
        else if (host->connected)
                snprintf(out, size,
                         "no result within %s; %s is connected, whether it happened is not known%s%s", limit,
                         host->name, before, step->said);
        else
                snprintf(out, size,
                         "%s is not connected, %s: whether it happened is not known" LOOK_AT_CONSOLE "%s%s",
                         host->name, seen, before, step->said);
}

static int advance_operation(struct turn *turn, size_t index)
{
        struct run_step *step = &turn->run->steps[index];
        const struct run_host *host = &turn->run->hosts[step->host];
        bool is_reboot = turn->run->plan->steps[index].operation == OPERATION_HOST_REBOOT;
        char text[TEXT_SIZE * 2];

        begin_wait(turn, step);
        if (!is_due(turn, operation_ends_us(turn, index)))
                return 0;
        say_no_result(turn, index, text, sizeof(text));
        return decide_failed(turn, index, !is_reboot || !host->connected || host->stopping, text, NULL);
}

/* One question a host at a time for all operations whose stream is gone. */
static int advance_questions(struct turn *turn)
{
        run *run = turn->run;

        for (size_t i = run_next_awake(run, 0); i != SIZE_MAX; i = run_next_awake(run, i + 1)) {
                struct run_step *step = &run->steps[i];
                struct run_host *host = &run->hosts[step->host];
                struct run_effect *effect;
                int r;

                if (run->plan->steps[i].kind != STEP_OPERATION || step->state != STEP_RUNNING ||
                    step->link != LINK_LOST || !host->connected || host->asked ||
                    !is_due(turn, step->ask_at_us))
                        continue;
                r = turn_effect(turn, EFFECT_LEDGER, &effect);
                if (r < 0)
                        return r;
                text_copy_cut(effect->host, sizeof(effect->host), host->name);
                host->asked = true;
                for (size_t j = i; j < run->plan->step_count; j++)
                        if (run->steps[j].host == step->host && run->steps[j].state == STEP_RUNNING &&
                            run->plan->steps[j].kind == STEP_OPERATION && run->steps[j].link == LINK_LOST)
                                run->steps[j].link = LINK_ASKED;
        }
        return 0;
}

/* --- gates -----------------------------------------------------------------------------------------------
 */

static int show_progress(struct turn *turn, size_t index, const struct run_service *service)
{
        struct run_effect *effect;
        int r = turn_effect(turn, EFFECT_PROGRESS, &effect);

        if (r < 0)
                return r;
        effect->step = (int)index;
        effect->done = service->progress_done;
        effect->total = service->progress_total;
        text_copy_cut(effect->text, sizeof(effect->text), service->detail);
        return 0;
}

static int pass_gate(struct turn *turn, size_t index)
{
        char text[TEXT_SIZE], wait[64];
        const struct run_step *step = &turn->run->steps[index];
        struct operation_report roles;
        bool told = gate_roles(turn->run, index, &roles);

        time_duration_text(wait, sizeof(wait),
                           step->opened_us ? turn->now_us - step->opened_us + step->spent_us : 0);
        snprintf(text, sizeof(text), "%s after %s", step->state == STEP_FAILED ? "ready after all" : "ready",
                 wait);
        return decide_done(turn, index, told ? &roles : NULL, step->opened_us ? text : "ready");
}

/* When the gate has waited for long enough: from its beginning, or since its service last moved; nobody gives
 * up on one that only has to be held. */
static uint64_t gate_ends_us(const run *run, size_t index, bool held)
{
        const struct run_step *step = &run->steps[index];
        const struct step *plan = &run->plan->steps[index];
        const struct run_service *service = &run->services[step->service];
        uint64_t ends_us = wait_ends_us(step, plan->deadline_us);

        if (service->known && service->moved_us + plan->deadline_us > ends_us)
                ends_us = service->moved_us + plan->deadline_us;
        if (held && run->now_us + plan->hold_us + USEC_PER_SEC > ends_us)
                ends_us = run->now_us + plan->hold_us + USEC_PER_SEC;
        return ends_us;
}

static int fail_gate(struct turn *turn, size_t index, const char *text)
{
        struct operation_report roles;
        bool told = gate_roles(turn->run, index, &roles);

        return decide_failed(turn, index, false, text, told ? &roles : NULL);
}

static int advance_gate(struct turn *turn, size_t index)
{
        struct run_step *step = &turn->run->steps[index];
        const struct step *plan = &turn->run->plan->steps[index];
        struct run_service *service = &turn->run->services[step->service];
        char why[WHY_SIZE], text[WHY_SIZE + 128], limit[64];
        int r = 0;

        if (!step->since_us)
                load_wait_begins(step, service);
        begin_wait(turn, step);
        if (gate_is_ready(turn->run, index, why, sizeof(why)))
                return pass_gate(turn, index);
        if (load_is_hopeless(step, service, text, sizeof(text)))
                return fail_gate(turn, index, text);
        if (service->known && service->progress_done > step->done)
                r = show_progress(turn, index, service);
        if (service->known) {
                step->done = service->progress_done;
                step->total = service->progress_total;
        }
        if (r < 0 || !is_due(turn, gate_ends_us(turn->run, index, text_equal(why, GATE_IS_HELD))))
                return r;
        time_duration_text(limit, sizeof(limit), plan->deadline_us);
        snprintf(text, sizeof(text), "no progress for %s: %s", limit, why);
        return fail_gate(turn, index, text);
}

/* --- the pass --------------------------------------------------------------------------------------------
 */

static int open_gate(struct turn *turn, size_t index)
{
        struct run_event event;

        if (turn->run->held || !step_is_reached(turn->run, index))
                return 0;
        event = turn_event(EVENT_OPENED, (int)index);
        event_say(&event, "waiting for %s", turn->run->plan->steps[index].name);
        return turn_record(turn, &event);
}

static int advance_step(struct turn *turn, size_t index)
{
        const struct run_step *step = &turn->run->steps[index];
        bool is_reboot = turn->run->plan->steps[index].operation == OPERATION_HOST_REBOOT;
        bool is_gate = turn->run->plan->steps[index].kind == STEP_GATE;
        char why[WHY_SIZE];
        int r;

        switch (step->state) {
        case STEP_WAITING:
                return is_gate ? open_gate(turn, index) : try_begin(turn, index);
        case STEP_RUNNING:
                if (is_gate)
                        return advance_gate(turn, index);
                r = is_reboot ? advance_reboot(turn, index) : 0;
                return r < 0 || step->state != STEP_RUNNING ? r : advance_operation(turn, index);
        case STEP_RETRYING:
                r = is_reboot ? advance_reboot(turn, index) : 0;
                return r < 0 || step->state != STEP_RETRYING ? r : advance_retry(turn, index);
        case STEP_FAILED:
                /* A gate that opens late, while the run waits for a person: the person has helped. */
                if (is_gate && step_blocks(turn->run, index) &&
                    gate_is_ready(turn->run, index, why, sizeof(why)))
                        return pass_gate(turn, index);
                return is_reboot ? advance_reboot(turn, index) : 0;
        case STEP_DOUBT:
                return is_reboot ? advance_reboot(turn, index) : 0;
        default:
                return 0;
        }
}

int run_advance(struct turn *turn)
{
        bool open = false, waiting = false;
        uint64_t before;
        int r;

        if (!turn->run->started || turn->run->final)
                return 0;
        do {
                before = turn->moves;
                turn->run->wake_us = UINT64_MAX;
                r = run_note_hosts(turn);
                for (size_t i = run_next_awake(turn->run, 0); i != SIZE_MAX && r >= 0;
                     i = run_next_awake(turn->run, i + 1))
                        r = advance_step(turn, i);
                if (r >= 0)
                        r = run_compare_hosts(turn, &waiting);
                if (r >= 0 && turn->moves == before)
                        r = run_begin_batch(turn);
                if (r >= 0 && turn->moves == before && !turn->run->open && !waiting)
                        r = run_confirm(turn, &open);
        } while (r >= 0 && turn->moves != before);
        if (r >= 0)
                r = advance_questions(turn);
        if (r >= 0 && !open)
                r = run_look_at_window(turn);
        return r < 0 || !open ? r : run_finish(turn);
}
