/* reload-time: does a reload stay within what the fleet file allows. */
#include "controller/checks/check.h"

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
