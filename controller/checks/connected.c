/* connected: is the agent there, and did it look anew. */
#include "controller/checks/check.h"

void check_connected(struct checking *checking)
{
        const char *name = checking->host->name;
        struct finding *finding;

        if (checking->agent && !checking->fact->late)
                return;
        finding = finding_add(checking, checking->agent ? SEVERITY_WARNS : SEVERITY_BLOCKS);
        if (checking->agent) {
                uint64_t then = checking->fact->state_us, now = checking->now_us;

                finding_evidence(finding, "%s did not look anew in time; what is said of it was so %s ago",
                                 name, CHECK_SPAN(then < now ? now - then : 0));
                finding_advice(
                        finding,
                        "muster status %s shows what does not answer; journalctl -u muster-agent there "
                        "says more",
                        name);
        } else if (checking->fact->state) {
                finding_evidence(finding, "the agent of %s is not connected; nothing of it could be checked",
                                 name);
                finding_advice(finding,
                               "on %s: systemctl start muster-agent; journalctl -u muster-agent says why "
                               "it does not connect",
                               name);
        } else {
                finding_evidence(finding, "%s has never been seen", name);
                finding_advice(finding, "muster host invite %s, then on %s: muster-agent join LINE", name,
                               name);
        }
}
