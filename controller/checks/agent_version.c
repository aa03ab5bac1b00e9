/* agent-version: are agent and controller of one version. */
#include "common/base/text.h"
#include "controller/checks/check.h"

void check_agent_version(struct checking *checking)
{
        const char *version = checking->agent->host.agent_version;
        struct finding *finding;

        if (text_equal(version, MUSTER_VERSION))
                return;
        finding = finding_add(checking, SEVERITY_INFORMS);
        finding_evidence(finding, "the agent of %s is version %s, the controller %s", checking->host->name,
                         version[0] ? version : "unknown", MUSTER_VERSION);
        finding_advice(finding, "install muster %s on %s, then there: systemctl restart muster-agent",
                       MUSTER_VERSION, checking->host->name);
}
