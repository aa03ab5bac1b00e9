/* boot-id: could it be proven that the host was rebooted. */
#include "controller/checks/check.h"

void check_boot_id(struct checking *checking)
{
        const struct host_state *host = &checking->agent->host;
        struct finding *finding;

        if (host->stopping) {
                finding = finding_add(checking, SEVERITY_BLOCKS);
                finding_evidence(finding, "a shutdown of %s is under way", checking->host->name);
                finding_advice(finding, "wait until it is back: muster status %s --watch",
                               checking->host->name);
        }
        if (host->boot_id[0])
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding, "the boot id cannot be read (%s): that %s was rebooted could not be proven",
                         host->boot_error[0] ? host->boot_error : "no reason given", checking->host->name);
        finding_advice(finding,
                       "on %s: cat /proc/sys/kernel/random/boot_id, and mend what keeps the agent from "
                       "reading it",
                       checking->host->name);
}
