/* What a rewrite or a shrink that was done saves at the next load: by the sizes that it reports, and the rate
 * that the loads of its service are estimated by. Pure. */
#pragma once

#include "common/model/operation.h"
#include "controller/core/plan.h"

struct load_saving {
        uint64_t low_us, high_us; /* fast load against fast load, and slow against slow */
};

/* rate: what was learned; zero: nothing. false: the figures do not tell. */
bool load_saving(struct load_saving *ret, const struct figure *figures, size_t count,
                 const struct plan_rate *rate);
