/* reported: does the agent say anything of the service. */
#include "controller/checks/check.h"

void check_reported(struct checking *checking)
{
        struct finding *finding;

        if (checking->state)
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding, "the agent of %s says nothing of %s: it could not be checked",
                         checking->host->name, checking->service->spec.name);
        finding_advice(finding,
                       "try again in a few seconds; if that does not help, on %s: systemctl restart "
                       "muster-agent",
                       checking->host->name);
}
