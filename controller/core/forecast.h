/* How long a plan, or what is left of one, takes: the longest way through its steps, batch after batch, with
 * the loads of one disk no more at a time than its limit lets. Pure. */
#pragma once

#include "controller/core/plan.h"

struct step_span {
        uint64_t low_us, high_us; /* both 0: it is over */
        bool begun;               /* it is under way or over, and waits for nothing any more */
};

/* spans: one a step. low: as if nothing ever waited for a disk without need; high: loads take their turns in
 * the plan's order. 0 or -ENOMEM. */
int forecast_span(const struct plan *plan, const struct step_span *spans, uint64_t *ret_low_us,
                  uint64_t *ret_high_us);
