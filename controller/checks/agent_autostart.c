/* agent-autostart: would the agent itself come back. */
#include "common/base/text.h"
#include "controller/checks/check.h"

#define AGENT_UNIT "muster-agent.service"

void check_agent_autostart(struct checking *checking)
{
        const char *enabled = checking->agent->host.agent_enabled, *host = checking->host->name;
        struct finding *finding;

        if (text_equal(enabled, "enabled"))
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding,
                         "muster-agent itself is %s: after a reboot of %s nothing would report from there",
                         enabled[0] ? enabled : "not known to systemd as a unit", host);
        finding_advice(finding, "on %s: systemctl enable muster-agent", host);
        if (!enabled[0] || text_starts(enabled, "masked"))
                return;
        finding->fix = OPERATION_UNIT_ENABLE;
        finding->fix_service = (struct service_spec){.kind = SERVICE_UNIT};
        TEXT_COPY(finding->fix_service.name, "muster-agent");
        TEXT_COPY(finding->fix_service.unit, AGENT_UNIT);
}
