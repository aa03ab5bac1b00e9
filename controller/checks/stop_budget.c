/* stop-budget: Redis with save points writes all of its data when it is stopped; systemd kills it when its
 * patience ends. */
#include "controller/checks/check.h"
#include "controller/checks/timeout.h"
#include "controller/core/plan_estimate.h"

void check_stop_budget(struct checking *checking)
{
        uint64_t limit = checking->state->unit.timeout_stop_us;
        struct step step = {.operation = OPERATION_UNIT_STOP, .service = checking->service->spec};
        struct finding *finding;

        if (!checking->service->spec.unit[0] || !checking->state->redis.answering ||
            (!checking->state->redis.save_points && !checking->state->redis.config_refused[0]) ||
            !timeout_is_limit(limit))
                return;
        plan_estimate_operation(&step, checking->state);
        if (step.high_us <= limit)
                return;
        finding = finding_add(checking, step.low_us > limit ? SEVERITY_BLOCKS : SEVERITY_WARNS);
        finding_evidence(finding, "stopping %s takes %s (%s), but systemd kills it after %s",
                         checking->service->spec.name, CHECK_RANGE(step.low_us, step.high_us), step.basis,
                         CHECK_SPAN(limit));
        timeout_advise(finding, checking, "TimeoutStopSec", step.high_us);
}
