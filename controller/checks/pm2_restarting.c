/* pm2-restarting: which apps keep ending. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/checks/check.h"
#include "controller/checks/pm2.h"

#define RESTARTED_LATELY (60 * USEC_PER_SEC)

/* PM2 starts again what ends, up to max_restarts times, which may take hours; between two ends such an app is
 * online. Why it was started anew PM2 does not say: that may have been a person. */
static bool is_restarting(const struct pm2_app_state *app, char more[TEXT_SIZE])
{
        if (text_equal(app->status, "waiting restart") || text_equal(app->status, "launching")) {
                snprintf(more, TEXT_SIZE, " (%s, %" PRIu32 " restarts)", app->status, app->restarts);
                return true;
        }
        snprintf(more, TEXT_SIZE, " (%" PRIu32 " restarts, up for %s)", app->restarts,
                 CHECK_SPAN(app->uptime_ms * USEC_PER_MSEC));
        return text_equal(app->status, "online") && app->restarts > 0 &&
               app->uptime_ms * USEC_PER_MSEC < RESTARTED_LATELY;
}

void check_pm2_restarting(struct checking *checking)
{
        const struct pm2_state *pm2 = &checking->state->pm2;
        const struct service_spec *spec = &checking->service->spec;
        struct listing restarting = {0};
        struct finding *finding;
        char more[TEXT_SIZE];

        for (size_t i = 0; pm2->reachable && i < pm2->app_count; i++)
                if (is_restarting(&pm2->apps[i], more))
                        listing_add(&restarting, &pm2->apps[i], more);
        if (restarting.count == 0)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%zu app%s of %s %s restarting, or did so within the last minute: %s%s",
                         restarting.count, restarting.count == 1 ? "" : "s", spec->name,
                         restarting.count == 1 ? "is" : "are", restarting.names,
                         restarting.shown < restarting.count ? ", ..." : "");
        finding_advice(
                finding,
                "check again in a minute; what is named then keeps ending: on %s: sudo -u %s PM2_HOME=%s "
                "pm2 logs %u",
                checking->host->name, spec->user, spec->home, restarting.first);
}
