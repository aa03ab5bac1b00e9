/* pm2-errored: is PM2's state worth saving. */
#include "common/base/text.h"
#include "controller/checks/check.h"
#include "controller/checks/pm2.h"

void check_pm2_errored(struct checking *checking)
{
        const struct pm2_state *pm2 = &checking->state->pm2;
        const struct service_spec *spec = &checking->service->spec;
        struct listing errored = {0};
        struct finding *finding;

        if (!pm2->reachable || pm2->errored == 0)
                return;
        for (size_t i = 0; i < pm2->app_count; i++)
                if (text_equal(pm2->apps[i].status, "errored"))
                        listing_add(&errored, &pm2->apps[i], "");
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%u app%s of %s %s errored: %s%s", pm2->errored,
                         pm2->errored == 1 ? "" : "s", spec->name, pm2->errored == 1 ? "is" : "are",
                         errored.names, errored.shown < pm2->errored ? ", ..." : "");
        finding_advice(finding,
                       "on %s: sudo -u %s PM2_HOME=%s pm2 logs %u; mend it, or stop it, so that its "
                       "state after the restart means something",
                       checking->host->name, spec->user, spec->home, errored.first);
}
