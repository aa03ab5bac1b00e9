/* What one batch did and a later one does again to the same service: once that batch has begun, only its step
 * counts. A gate that only looks before a batch begins does less than one that a service is brought up to: it
 * takes the place of its like, and is replaced by either. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "controller/core/run_internal.h"

/* A service's row: the earliest later step of each operation; of gates to come up to, and of any gate. */
enum { UP_GATE = OPERATION_NONE, ANY_GATE = OPERATION_KIND_END, ROW };

static int later_of(const run *run, size_t index, int candidate)
{
        const struct step *steps = run->plan->steps;

        return candidate >= 0 && steps[candidate].batch > steps[index].batch ? candidate : -1;
}

int run_index_again(run *run)
{
        cleanup_free int *next = reallocarray(NULL, run->service_count + 1, ROW * sizeof(*next));

        if (!next)
                return -ENOMEM;
        for (size_t k = 0; k < (run->service_count + 1) * ROW; k++)
                next[k] = -1;
        for (size_t i = run->plan->step_count; i-- > 0;) {
                const struct step *plan = &run->plan->steps[i];
                struct run_step *step = &run->steps[i];
                bool is_gate = plan->kind == STEP_GATE, looks = is_gate && plan->phase == PHASE_CHECK;
                int *row = next + (step->service < 0 ? run->service_count : (size_t)step->service) * ROW;

                step->again = -1;
                if (step->service < 0)
                        continue;
                step->again = later_of(run, i, looks ? row[ANY_GATE] : row[plan->operation]);
                if (is_gate)
                        row[ANY_GATE] = (int)i;
                if (!looks)
                        row[plan->operation] = (int)i;
        }
        return 0;
}
