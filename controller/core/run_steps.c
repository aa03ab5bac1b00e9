/* The states of steps, and what is counted of them so that an event costs what it moves and not what there
 * is: for each step how many of the steps before it are unsettled, for the run how many are not final and how
 * many wait for a person, and a bit for each step that may have something to do. */
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/core/run_internal.h"

bool phase_takes_down(enum plan_phase phase)
{
        return phase <= PHASE_REBOOT;
}

bool step_is_settled(const run *run, size_t step)
{
        const struct step *plan = &run->plan->steps[step];

        switch (run->steps[step].state) {
        case STEP_DONE:
        case STEP_SKIPPED:
        case STEP_CANCELLED:
                return true;
        case STEP_FAILED:
                return run->steps[step].forgiven ||
                       (run->aborting && phase_takes_down(plan->phase) && plan->kind == STEP_OPERATION);
        case STEP_DOUBT:
                return run->aborting && phase_takes_down(plan->phase);
        default:
                return false;
        }
}

bool step_blocks(const run *run, size_t step)
{
        enum step_state state = run->steps[step].state;

        /* One that failed and was to abort the run has done so: on the way back up a person has to decide. */
        return !run->leaving && (state == STEP_DOUBT || state == STEP_FAILED) && !step_is_settled(run, step);
}

bool step_is_final(const run *run, size_t step)
{
        enum step_state state = run->steps[step].state;

        if (state == STEP_FAILED || state == STEP_DOUBT)
                return !step_blocks(run, step);
        return state == STEP_DONE || state == STEP_SKIPPED || state == STEP_CANCELLED;
}

bool step_is_proven(const run *run, size_t index, const char *boot_id)
{
        const struct run_step *step = &run->steps[index];

        return step->boot_id[0] && boot_id[0] &&
               (run->plan->steps[index].soft ? !text_equal(boot_id, step->boot_id)
                                             : !boot_id_same_kernel(boot_id, step->boot_id));
}

bool step_is_reached(const run *run, size_t step)
{
        return run->steps[step].unsettled == 0 && run->plan->steps[step].batch <= run->batch;
}

bool step_is_superseded(const run *run, size_t step)
{
        int again = run->steps[step].again;

        /* What an abort took out of the plan before it began brings nothing up, and watches over nothing. */
        return again >= 0 && run->plan->steps[again].batch <= run->batch &&
               run->steps[again].state != STEP_CANCELLED;
}

size_t step_now(const run *run, size_t index)
{
        while (step_is_superseded(run, index))
                index = (size_t)run->steps[index].again;
        return index;
}

/* Whether the step may have something to do when something happens. */
static bool is_awake(const run *run, size_t index)
{
        const struct run_step *step = &run->steps[index];
        const struct step *plan = &run->plan->steps[index];

        switch (step->state) {
        case STEP_WAITING:
                return step_is_reached(run, index);
        case STEP_RUNNING:
        case STEP_RETRYING:
        case STEP_DOUBT:
                return true;
        case STEP_FAILED: /* a gate may open late, a host may come back late */
                return plan->kind == STEP_GATE || step->unknown;
        default:
                return false;
        }
}

static void note_awake(run *run, size_t index)
{
        uint64_t bit = 1ull << (index % 64);

        if (is_awake(run, index))
                run->awake[index / 64] |= bit;
        else
                run->awake[index / 64] &= ~bit;
}

size_t run_next_awake(const run *run, size_t from)
{
        size_t words = (run->plan->step_count + 63) / 64;

        for (size_t word = from / 64; word < words; word++) {
                uint64_t bits = run->awake[word];

                if (word == from / 64)
                        bits &= ~0ull << (from % 64);
                if (bits)
                        return word * 64 + (size_t)__builtin_ctzll(bits);
        }
        return SIZE_MAX;
}

void step_set_state(run *run, size_t index, enum step_state state)
{
        struct run_step *step = &run->steps[index];
        bool blocked = step_blocks(run, index), final = step_is_final(run, index);
        bool settled = step_is_settled(run, index);

        step->state = state;
        step->since_us = step->opened_us = step->spent_us = step->held_us = 0;
        step->doubt_us = 0;
        step->ask_at_us = 0;
        step->asks = 0;
        step->refused = false;
        step->said[0] = '\0';
        step->link = LINK_LOST;
        if (state != STEP_DONE)
                step->done = step->total = 0;
        if (state != STEP_FAILED && step->forgiven) {
                step->forgiven = false;
                run->forgiven--;
        }
        run->blocked += (size_t)step_blocks(run, index) - (size_t)blocked;
        run->open += (size_t) final - (size_t)step_is_final(run, index);
        run->hosts[step->host].open += (size_t) final - (size_t)step_is_final(run, index);
        note_awake(run, index);
        if (step_is_settled(run, index) == settled)
                return;
        if (run->plan->steps[index].batch <= run->batch)
                run->behind += settled ? 1u : -(size_t)1;
        for (size_t i = run->first_later[index]; i < run->first_later[index + 1]; i++) {
                run->steps[run->later[i]].unsettled += settled ? 1u : -1u;
                note_awake(run, run->later[i]);
        }
}

void run_recount(run *run)
{
        run->blocked = run->open = run->behind = 0;
        for (size_t h = 0; h < run->host_count; h++)
                run->hosts[h].open = 0;
        for (size_t i = 0; i < run->plan->step_count; i++) {
                const struct step *plan = &run->plan->steps[i];

                run->blocked += step_blocks(run, i);
                run->open += !step_is_final(run, i);
                run->hosts[run->steps[i].host].open += !step_is_final(run, i);
                run->behind += plan->batch <= run->batch && !step_is_settled(run, i);
                run->steps[i].unsettled = 0;
                for (size_t j = 0; j < plan->after_count; j++)
                        run->steps[i].unsettled += !step_is_settled(run, plan->after[j]);
                note_awake(run, i);
        }
}

/* The plan's edges turned round, packed: counted, summed, filled. */
int run_index_later(run *run)
{
        const struct plan *plan = run->plan;
        size_t edges = 0;

        for (size_t i = 0; i < plan->step_count; i++)
                edges += plan->steps[i].after_count;
        run->first_later = calloc(plan->step_count + 2, sizeof(*run->first_later));
        run->later = calloc(edges + 1, sizeof(*run->later));
        run->awake = calloc((plan->step_count + 63) / 64, sizeof(*run->awake));
        if (!run->first_later || !run->later || !run->awake)
                return -ENOMEM;
        for (size_t i = 0; i < plan->step_count; i++)
                for (size_t j = 0; j < plan->steps[i].after_count; j++)
                        run->first_later[plan->steps[i].after[j] + 2]++;
        for (size_t i = 2; i < plan->step_count + 2; i++)
                run->first_later[i] += run->first_later[i - 1];
        for (size_t i = 0; i < plan->step_count; i++)
                for (size_t j = 0; j < plan->steps[i].after_count; j++)
                        run->later[run->first_later[plan->steps[i].after[j] + 1]++] = (unsigned)i;
        run_recount(run);
        return 0;
}
