/* What a run waits for, in words, and the commands that move it. */
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

/* Aborted already, it can only be left as it is. */
static const char *abort_option(const run *run)
{
        return run->aborting ? " --leave" : "";
}

#define OTHERS_SHOWN 6u

/* " (also steps 14, 22 and 3 more)"; "" where it is the only one. */
static void say_others(const run *run, size_t first, char *out, size_t size)
{
        size_t used = 0, shown = 0, others = run->blocked - 1;

        out[0] = '\0';
        for (size_t i = first + 1; i < run->plan->step_count && shown < OTHERS_SHOWN; i++) {
                if (!step_blocks(run, i))
                        continue;
                used += (size_t)snprintf(out + used, size - used, "%s%zu",
                                         shown++      ? ", "
                                         : others > 1 ? " (also steps "
                                                      : " (also step ",
                                         i);
        }
        if (others > shown)
                snprintf(out + used, size - used, " and %zu more)", others - shown);
        else if (shown)
                snprintf(out + used, size - used, ")");
}

static void say_blocked(const run *run, size_t index, char *out, size_t size)
{
        const struct run_step *step = &run->steps[index];
        const char *id = run->id;
        char more[128], held[NAME_SIZE + 48] = "", line[4 * TEXT_SIZE];

        say_others(run, index, more, sizeof(more));
        if (run->held)
                snprintf(held, sizeof(held), "; and it is paused: muster run resume %s", id);
        snprintf(line, sizeof(line),
                 "step %zu%s: %s%s; to move it: muster run retry %s %zu, muster run skip %s %zu --why "
                 "TEXT, "
                 "or muster run abort %s%s%s",
                 index, step->state == STEP_DOUBT ? " is in doubt" : "", step->text, more, id, index, id,
                 index, id, abort_option(run), held);
        text_copy_cut(out, size, line);
}

static void say_held(const run *run, char *out, size_t size)
{
        char line[3 * TEXT_SIZE];

        snprintf(line, sizeof(line), "%.230s; to move it: muster run resume %s, or muster run abort %s%s",
                 run->held_text[0] ? run->held_text : "paused by hand", run->id, run->id, abort_option(run));
        text_copy_cut(out, size, line);
}

#define STILL_SIZE 64

/* ", no progress for 42.0 s"; "" while it moves. */
static const char *say_still(const run *run, const struct run_service *service, char out[STILL_SIZE])
{
        char span[40];

        out[0] = '\0';
        if (!service->known || service->phase != PHASE_LOADING ||
            (!service->progress_total && !service->receives) ||
            run->now_us < service->moved_us + 3 * STANDS_STILL_US)
                return out;
        time_duration_text(span, sizeof(span), run->now_us - service->moved_us);
        snprintf(out, STILL_SIZE, ", no progress for %s", span);
        return out;
}

/* Why a step that could begin is held back by loads. */
static bool awaits_load(const run *run, size_t index, char *why, size_t size)
{
        char still[STILL_SIZE];
        int loading = step_cuts_load(run, index);

        if (loading < 0)
                return step_awaits_disk(run, index, why, size);
        snprintf(why, size, "%s is loading%s", run->services[loading].name,
                 say_still(run, &run->services[loading], still));
        return true;
}

/* " (db1 is not connected, last seen 42.0 s ago)"; why an operation has not begun where its agent has said so
 * (a full disk under its ledger); "" where there is nothing to remark. */
static const char *remark(const run *run, size_t index, char out[WHY_SIZE])
{
        const struct run_step *step = &run->steps[index];
        const struct run_host *host = &run->hosts[step->host];
        const struct step *plan = &run->plan->steps[index];
        char seen[TEXT_SIZE];

        if (plan->kind == STEP_GATE)
                return say_still(run, &run->services[step->service], out);
        out[0] = '\0';
        if (!host->connected && plan->operation != OPERATION_HOST_REBOOT) {
                host_last_seen(run, step->host, seen, sizeof(seen));
                snprintf(out, WHY_SIZE, " (%s is not connected, %s)", host->name, seen);
        } else if (step->link != LINK_SENT && step->said[0]) {
                snprintf(out, WHY_SIZE, " (%s)", step->said);
        }
        return out;
}

/* " (tried again in 9.0 s: the disk is full)" */
static const char *say_retry(const run *run, size_t index, char out[WHY_SIZE])
{
        const struct run_step *step = &run->steps[index];
        uint64_t at_us = step_retry_us(run, index);
        const char *colon = strstr(step->text, ": ");
        char span[40];

        time_duration_text(span, sizeof(span), at_us > run->now_us ? at_us - run->now_us : 0);
        snprintf(out, WHY_SIZE, " (tried again in %s: %.200s)", span, colon ? colon + 2 : step->text);
        return out;
}

/* What is under way, also between two attempts; where nothing is, what the first step that could begin waits
 * for. */
static void say_running(const run *run, char *out, size_t size)
{
        char line[2 * TEXT_SIZE] = "", why[WHY_SIZE];
        size_t used = 0;

        for (size_t i = 0; i < run->plan->step_count && used < sizeof(line) - 1; i++) {
                const struct run_step *step = &run->steps[i];

                if (step->state == STEP_RUNNING)
                        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s%s", used ? ", " : "",
                                                 run->plan->steps[i].name, remark(run, i, why));
                else if (step->state == STEP_RETRYING)
                        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s%s", used ? ", " : "",
                                                 run->plan->steps[i].name, say_retry(run, i, why));
                else if (step->state == STEP_WAITING && step_may_begin(run, i) && step_is_reached(run, i) &&
                         awaits_load(run, i, why, sizeof(why)))
                        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s (%s)",
                                                 used ? ", " : "", run->plan->steps[i].name, why);
        }
        for (size_t h = 0; h < run->host_count && used < sizeof(line) - 1; h++)
                if (host_is_compared_later(run, h) && !run->hosts[h].open)
                        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s to settle",
                                                 used ? ", " : "", run->hosts[h].name);
        for (size_t i = 0; i < run->plan->step_count && !used; i++)
                if (run->steps[i].since_us && run->steps[i].state != STEP_RUNNING &&
                    !host_is_there(run, run->steps[i].host, why, sizeof(why)))
                        used = (size_t)snprintf(line, sizeof(line), "step %zu %s: %s", i,
                                                run->plan->steps[i].name, why);
        text_copy_cut(out, size, line);
}

void run_waiting_for(const run *run, char *out, size_t size)
{
        out[0] = '\0';
        if (run->final)
                return;
        for (size_t i = 0; i < run->plan->step_count && run->blocked; i++)
                if (step_blocks(run, i)) {
                        say_blocked(run, i, out, size);
                        return;
                }
        if (run->held)
                say_held(run, out, size);
        else
                say_running(run, out, size);
}
