/* Checks of time: does a reload stay within what the fleet file allows, and do systemd's own timeouts leave
 * enough for stopping and starting. */
#include <string.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/check.h"
#include "controller/core/plan_internal.h"

void check_reload_time(struct checking *checking)
{
        uint64_t limit = checking->service->reload_limit_us, low, high;
        const char *name = checking->service->spec.name;
        struct finding *finding;

        check_load_estimate(checking, false, &low, &high);
        if (high <= limit)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "loading %s %s take longer than its reload_limit of %s: %s estimated%s",
                         name, low > limit ? "will" : "may", CHECK_SPAN(limit), CHECK_RANGE(low, high),
                         checking->rate && checking->rate->loads ? ""
                                                                 : ", no load of it has been watched yet");
        finding_advice(finding,
                       "%s before the restart (muster check %s), or raise reload_limit in line %u of the "
                       "fleet file",
                       checking->service->spec.kind == SERVICE_REDIS ? "rewrite its AOF" : "shrink its AOF",
                       name, checking->service->line);
}

/* 0 and UINT64_MAX are "not known" and "infinity". */
static bool is_limit(uint64_t timeout_us)
{
        return timeout_us != 0 && timeout_us != UINT64_MAX;
}

static void advise_timeout(struct finding *finding, const struct checking *checking, const char *setting,
                           uint64_t needed_us)
{
        finding_advice(finding, "on %s: systemctl edit %s, and write [Service] %s=%llus",
                       checking->host->name, checking->service->spec.unit, setting,
                       (unsigned long long)(needed_us / USEC_PER_SEC * 3 / 2 / 30 * 30 + 30));
}

/* Redis with save points writes all of its data when it is stopped; systemd kills it when its patience ends.
 */
void check_stop_budget(struct checking *checking)
{
        uint64_t limit = checking->state->unit.timeout_stop_us;
        struct step step = {.operation = OPERATION_UNIT_STOP, .service = checking->service->spec};
        struct finding *finding;

        if (!checking->service->spec.unit[0] || !checking->state->redis.answering ||
            (!checking->state->redis.save_points && !checking->state->redis.config_refused[0]) ||
            !is_limit(limit))
                return;
        plan_estimate_operation(&step, checking->state);
        if (step.high_us <= limit)
                return;
        finding = finding_add(checking, step.low_us > limit ? SEVERITY_BLOCKS : SEVERITY_WARNS);
        finding_evidence(finding, "stopping %s takes %s (%s), but systemd kills it after %s",
                         checking->service->spec.name, CHECK_RANGE(step.low_us, step.high_us), step.basis,
                         CHECK_SPAN(limit));
        advise_timeout(finding, checking, "TimeoutStopSec", step.high_us);
}

/* A unit of Type=notify is "starting" until its data is loaded; systemd gives up when the time is over. */
void check_start_budget(struct checking *checking)
{
        uint64_t limit = checking->state->unit.timeout_start_us, low, high;
        struct finding *finding;

        if (!checking->service->spec.unit[0] || !is_limit(limit) ||
            !text_starts(checking->state->unit.type, "notify"))
                return;
        check_load_estimate(checking, false, &low, &high);
        if (high <= limit)
                return;
        finding = finding_add(checking, low > limit ? SEVERITY_BLOCKS : SEVERITY_WARNS);
        finding_evidence(finding, "loading %s takes %s, but systemd gives up its start after %s",
                         checking->service->spec.name, CHECK_RANGE(low, high), CHECK_SPAN(limit));
        advise_timeout(finding, checking, "TimeoutStartSec", high);
}
