/* inhibitors: what would be in the way of a reboot itself. logind would wait for a delay, some seconds; a
 * block is respected by the agent until it has ended. */
#include "common/base/text.h"
#include "controller/checks/check.h"

void check_inhibitors(struct checking *checking)
{
        const struct host_facts *facts = &checking->agent->host.facts;

        for (size_t i = 0; i < facts->inhibitor_count; i++) {
                const struct inhibitor_state *inhibitor = &facts->inhibitors[i];
                bool is_delay = text_equal(inhibitor->mode, "delay");
                struct finding *finding =
                        finding_add(checking, is_delay ? SEVERITY_INFORMS : SEVERITY_BLOCKS);

                finding_evidence(finding, "%.100s %s a shutdown of %s: %.120s", inhibitor->who,
                                 is_delay ? "delays" : "blocks", checking->host->name, inhibitor->why);
                if (is_delay)
                        finding_advice(
                                finding,
                                "nothing: logind waits for it, at most as long as InhibitDelayMaxSec says "
                                "(5 s unless logind.conf says otherwise)");
                else
                        finding_advice(finding,
                                       "on %s: systemd-inhibit --list; let what it protects end, or end it",
                                       checking->host->name);
        }
}
