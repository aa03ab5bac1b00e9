/* clock: can the times in its logs be compared. */
#include "common/base/time.h"
#include "controller/checks/check.h"

/* An agent puts its clock into a state as it sends it; on a busy link that may be read a moment later. */
#define CLOCK_LIMIT_US (3 * USEC_PER_SEC)

void check_clock(struct checking *checking)
{
        uint64_t theirs = checking->agent->host.clock_us, ours = checking->fact->state_us;
        uint64_t apart = theirs > ours ? theirs - ours : ours - theirs;
        struct finding *finding;

        if (ours == 0 || apart <= CLOCK_LIMIT_US)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "the clock of %s is %s %s the controller's", checking->host->name,
                         CHECK_SPAN(apart), theirs > ours ? "ahead of" : "behind");
        finding_advice(finding,
                       "on %s: timedatectl set-ntp true; times in logs cannot be compared until then",
                       checking->host->name);
}
