/* Checks of what would be in the way of a reboot itself. */
#include "controller/core/check.h"

#include "common/base/text.h"

/* logind would wait for a delay, some seconds; a block is respected by the agent until it has ended. */
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

/* Which of them is the host, a person knows. */
void check_two_machines(struct checking *checking)
{
        const char *another = checking->fact->another, *name = checking->host->name;
        struct finding *finding;

        if (!another || !another[0])
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding, "%.230s", another);
        finding_advice(
                finding,
                "on the copy: systemctl disable --now muster-agent; rm -r /var/lib/muster-agent; it may join "
                "as "
                "a host of its own. If the copy is what %s is to be: muster host revoke %s, and join it anew",
                name, name);
}
