/* pm2-reachable: can PM2's state be saved. */
#include "controller/checks/check.h"

void check_pm2_reachable(struct checking *checking)
{
        const struct service_spec *spec = &checking->service->spec;
        struct finding *finding;

        if (checking->state->pm2.reachable)
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding, "PM2 in %s does not answer (%s): its apps could not be saved", spec->home,
                         checking->state->pm2.error[0] ? checking->state->pm2.error : "no reason given");
        finding_advice(finding, "on %s: sudo -u %s PM2_HOME=%s pm2 ping", checking->host->name, spec->user,
                       spec->home);
}
