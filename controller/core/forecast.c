/* See forecast.h. Steps come in an order in which each stands behind what it waits for: one pass finds the
 * longest way. */
#include "controller/core/forecast.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

/* The loads of one disk, of the batch that is looked at. */
struct disk {
        size_t first, count;   /* its slots */
        uint32_t most;         /* 0: no load of it is held back */
        uint64_t sum_us;       /* of the loads that are held back, at their shortest */
        uint64_t low_begin_us; /* when the first of them could begin */
};

struct forecast {
        const struct plan *plan;
        const struct step_span *spans;
        uint64_t *low, *high; /* ends, a step */
        struct disk *disks;   /* from 1 */
        size_t disk_count;
        uint64_t *slots; /* owned: when each is free */
        size_t *taken;   /* starts: their slot, SIZE_MAX none */
        uint64_t longest_low, longest_high, batch_low, batch_high;
};

static void forecast_clear(struct forecast *f)
{
        free(f->low);
        free(f->high);
        free(f->disks);
        free(f->slots);
        free(f->taken);
}

static bool is_start(const struct step *step)
{
        return step->disk && step->kind == STEP_OPERATION;
}

/* A disk has as many slots as it has loads, if its limit is not below that. */
static int make_slots(struct forecast *f)
{
        const struct plan *plan = f->plan;
        size_t slots = 0;

        for (size_t i = 0; i < plan->step_count; i++)
                if (plan->steps[i].disk > f->disk_count)
                        f->disk_count = plan->steps[i].disk;
        f->disks = calloc(f->disk_count + 1, sizeof(*f->disks));
        if (!f->disks)
                return -ENOMEM;
        for (size_t i = 0; i < plan->step_count; i++) {
                struct disk *disk = &f->disks[plan->steps[i].disk];

                disk->count += is_start(&plan->steps[i]);
                if (plan->steps[i].loads_most)
                        disk->most = plan->steps[i].loads_most;
        }
        for (size_t d = 1; d <= f->disk_count; d++) {
                if (f->disks[d].most && f->disks[d].most < f->disks[d].count)
                        f->disks[d].count = f->disks[d].most;
                f->disks[d].first = slots;
                f->disks[d].low_begin_us = UINT64_MAX;
                slots += f->disks[d].count;
        }
        f->slots = calloc(slots + 1, sizeof(*f->slots));
        return f->slots ? 0 : -ENOMEM;
}

static int forecast_init(struct forecast *f)
{
        size_t count = f->plan->step_count;

        f->low = calloc(count + 1, sizeof(*f->low));
        f->high = calloc(count + 1, sizeof(*f->high));
        f->taken = calloc(count + 1, sizeof(*f->taken));
        return f->low && f->high && f->taken ? make_slots(f) : -ENOMEM;
}

/* Loads that take their turns need at least their sum, shared out among the slots. */
static void end_disks(struct forecast *f)
{
        for (size_t d = 1; d <= f->disk_count; d++) {
                struct disk *disk = &f->disks[d];
                uint64_t end = disk->sum_us ? disk->low_begin_us + disk->sum_us / disk->most : 0;

                if (end > f->longest_low)
                        f->longest_low = end;
                disk->sum_us = 0;
                disk->low_begin_us = UINT64_MAX;
        }
}

/* The one that is free first. */
static size_t best_slot(const struct forecast *f, unsigned number)
{
        const struct disk *disk = &f->disks[number];
        size_t best = disk->first;

        for (size_t s = disk->first; s < disk->first + disk->count; s++)
                if (f->slots[s] < f->slots[best])
                        best = s;
        return best;
}

static void take_slot(struct forecast *f, size_t index, uint64_t *high_begin)
{
        const struct step *step = &f->plan->steps[index];
        size_t best = best_slot(f, step->disk);

        if (step->loads_most && f->slots[best] > *high_begin)
                *high_begin = f->slots[best];
        f->taken[index] = best;
}

/* The start that a load's gate stands behind; SIZE_MAX none. */
static size_t start_of(const struct forecast *f, const struct step *gate)
{
        for (size_t j = 0; j < gate->after_count; j++) {
                const struct step *step = &f->plan->steps[gate->after[j]];

                if (is_start(step) && step->disk == gate->disk &&
                    text_equal(step->service.name, gate->service.name))
                        return gate->after[j];
        }
        return SIZE_MAX;
}

static uint64_t without_hold(const struct step *step, uint64_t us)
{
        return us > step->hold_us ? us - step->hold_us : 0;
}

/* The slot is free when the service has loaded; that it is held then reads nothing. */
static void end_load(struct forecast *f, size_t index)
{
        const struct step *gate = &f->plan->steps[index];
        const struct step_span *span = &f->spans[index];
        size_t start = start_of(f, gate);
        struct disk *disk = &f->disks[gate->disk];

        if (start == SIZE_MAX)
                return;
        if (f->taken[start] != SIZE_MAX && without_hold(gate, f->high[index]) > f->slots[f->taken[start]])
                f->slots[f->taken[start]] = without_hold(gate, f->high[index]);
        if (f->plan->steps[start].loads_most)
                disk->sum_us += f->spans[start].low_us + without_hold(gate, span->low_us);
}

/* Loads that are under way have their slots already. */
static void seat_begun(struct forecast *f)
{
        for (size_t i = 0; i < f->plan->step_count && f->disk_count; i++) {
                const struct step *gate = &f->plan->steps[i];
                size_t start = gate->disk && gate->kind == STEP_GATE ? start_of(f, gate) : SIZE_MAX;
                size_t slot;
                uint64_t end;

                if (start == SIZE_MAX || !f->spans[start].begun || !f->spans[i].high_us)
                        continue;
                slot = best_slot(f, gate->disk);
                end = f->spans[start].high_us + without_hold(gate, f->spans[i].high_us);
                f->slots[slot] = end > f->slots[slot] ? end : f->slots[slot];
        }
}

static void add_step(struct forecast *f, size_t index)
{
        const struct step *step = &f->plan->steps[index];
        const struct step_span *span = &f->spans[index];
        uint64_t low = f->batch_low, high = f->batch_high;

        for (size_t j = 0; j < step->after_count; j++) {
                low = f->low[step->after[j]] > low ? f->low[step->after[j]] : low;
                high = f->high[step->after[j]] > high ? f->high[step->after[j]] : high;
        }
        f->taken[index] = SIZE_MAX;
        if (is_start(step)) {
                if (step->loads_most && low < f->disks[step->disk].low_begin_us)
                        f->disks[step->disk].low_begin_us = low;
                if (!span->begun)
                        take_slot(f, index, &high);
        }
        f->low[index] = low + span->low_us;
        f->high[index] = high + span->high_us;
        if (step->disk && step->kind == STEP_GATE)
                end_load(f, index);
        if (f->low[index] > f->longest_low)
                f->longest_low = f->low[index];
        if (f->high[index] > f->longest_high)
                f->longest_high = f->high[index];
}

int forecast_span(const struct plan *plan, const struct step_span *spans, uint64_t *ret_low_us,
                  uint64_t *ret_high_us)
{
        cleanup_with(forecast_clear) struct forecast f = {.plan = plan, .spans = spans};
        int r = forecast_init(&f);

        if (r < 0)
                return r;
        seat_begun(&f);
        for (size_t i = 0; i < plan->step_count; i++) {
                if (i > 0 && plan->steps[i].batch != plan->steps[i - 1].batch) {
                        end_disks(&f);
                        f.batch_low = f.longest_low;
                        f.batch_high = f.longest_high;
                }
                add_step(&f, i);
        }
        end_disks(&f);
        *ret_low_us = f.longest_low;
        *ret_high_us = f.longest_high > f.longest_low ? f.longest_high : f.longest_low;
        return 0;
}
