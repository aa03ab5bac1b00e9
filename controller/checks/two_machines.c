/* two-machines: does another machine have the key of this host. Which of them is the host, a person knows. */
#include "controller/checks/check.h"

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
