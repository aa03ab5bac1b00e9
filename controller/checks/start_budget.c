/* start-budget: a unit of Type=notify is "starting" until its data is loaded; systemd gives up when the time
 * is over. */
#include "common/base/text.h"
#include "controller/checks/check.h"
#include "controller/checks/timeout.h"

void check_start_budget(struct checking *checking)
{
        uint64_t limit = checking->state->unit.timeout_start_us, low, high;
        struct finding *finding;

        if (!checking->service->spec.unit[0] || !timeout_is_limit(limit) ||
            !text_starts(checking->state->unit.type, "notify"))
                return;
        check_load_estimate(checking, false, &low, &high);
        if (high <= limit)
                return;
        finding = finding_add(checking, low > limit ? SEVERITY_BLOCKS : SEVERITY_WARNS);
        finding_evidence(finding, "loading %s takes %s, but systemd gives up its start after %s",
                         checking->service->spec.name, CHECK_RANGE(low, high), CHECK_SPAN(limit));
        timeout_advise(finding, checking, "TimeoutStartSec", high);
}
