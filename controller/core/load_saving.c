/* See load_saving.h. */
#include "controller/core/load_saving.h"

#include "common/base/text.h"
#include "controller/core/plan_estimate.h"

static bool find(const struct figure *figures, size_t count, const char *name, uint64_t *ret)
{
        for (size_t i = 0; i < count; i++)
                if (text_equal(figures[i].name, name))
                        return text_to_u64(figures[i].value, ret) == 0;
        return false;
}

/* The part of a size that is not the base is incremental; tile38's file is all base. */
static bool estimate(struct step *ret, uint64_t base, uint64_t size, const struct plan_rate *rate)
{
        struct service_state state = {
                .kind = SERVICE_REDIS,
                .redis = {.aof_enabled = true, .base_bytes = base, .incremental_bytes = size - base}};

        if (size < base)
                return false;
        *ret = (struct step){.phase = PHASE_LOAD, .kind = STEP_GATE, .service = {.kind = SERVICE_REDIS}};
        plan_estimate_gate(ret, &state, rate, false);
        return true;
}

static uint64_t less(uint64_t before_us, uint64_t after_us)
{
        return before_us > after_us ? before_us - after_us : 0;
}

bool load_saving(struct load_saving *ret, const struct figure *figures, size_t count,
                 const struct plan_rate *rate)
{
        uint64_t base, size, new_base, new_size, low, high;
        struct step before, after;

        if (!find(figures, count, "size-before", &size) || !find(figures, count, "size-after", &new_size))
                return false;
        if (!find(figures, count, "base-before", &base) || !find(figures, count, "base-after", &new_base)) {
                base = size;
                new_base = new_size;
        }
        if (!estimate(&before, base, size, rate) || !estimate(&after, new_base, new_size, rate))
                return false;
        low = less(before.low_us, after.low_us);
        high = less(before.high_us, after.high_us);
        *ret = (struct load_saving){low < high ? low : high, high};
        return true;
}
