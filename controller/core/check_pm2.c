/* Checks of PM2: can its state be saved, is it worth saving, and does nothing else start its apps. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/check.h"

#define RESTARTED_LATELY (60 * USEC_PER_SEC)

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

/* The first few apps of a finding, by name. */
struct listing {
        char names[TEXT_SIZE];
        size_t used, shown, count;
        unsigned first; /* its pm_id */
};

#define LISTED_MOST 5

static void list_app(struct listing *listing, const struct pm2_app_state *app, const char *more)
{
        size_t room = sizeof(listing->names) - listing->used;
        int wanted;

        if (listing->count++ == 0)
                listing->first = app->pm_id;
        if (listing->shown == LISTED_MOST || listing->shown + 1 < listing->count)
                return;
        wanted = snprintf(listing->names + listing->used, room, "%s%s%s", listing->shown ? ", " : "",
                          app->name, more);
        if (wanted < 0 || (size_t)wanted >= room) {
                listing->names[listing->used] = '\0';
                return;
        }
        listing->used += (size_t)wanted;
        listing->shown++;
}

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
                        list_app(&errored, &pm2->apps[i], "");
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%u app%s of %s %s errored: %s%s", pm2->errored,
                         pm2->errored == 1 ? "" : "s", spec->name, pm2->errored == 1 ? "is" : "are",
                         errored.names, errored.shown < pm2->errored ? ", ..." : "");
        finding_advice(finding,
                       "on %s: sudo -u %s PM2_HOME=%s pm2 logs %u; mend it, or stop it, so that its "
                       "state after the restart means something",
                       checking->host->name, spec->user, spec->home, errored.first);
}

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
                        list_app(&restarting, &pm2->apps[i], more);
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

void check_pm2_boot_unit(struct checking *checking)
{
        const struct pm2_state *pm2 = &checking->state->pm2;
        struct finding *finding;

        if (!pm2->boot_unit[0])
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding,
                         "%s starts the apps of %s at boot, before what they need is ready; a run holds it "
                         "back by itself, a boot that no run makes does not",
                         pm2->boot_unit, checking->service->spec.name);
        finding_advice(
                finding,
                "on %s: systemctl edit %s, with After= what they need of this host; leave it enabled, or "
                "nothing starts them after such a boot",
                checking->host->name, check_plain(pm2->boot_unit, "UNIT"));
}

/* The controller releases it by itself when no run holds the host any more; what is found here is what that
 * could not. */
void check_pm2_boot_unit_held(struct checking *checking)
{
        const struct pm2_state *pm2 = &checking->state->pm2;
        const char *service = checking->service->spec.name;
        struct finding *finding;

        if (!pm2->held_unit[0] || checking->fact->run[0])
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding,
                         "%s is disabled since %s, by run %s, which is over: at the next boot nothing starts "
                         "the apps of %s",
                         pm2->held_unit, CHECK_MOMENT(pm2->held_since_us), pm2->held_run, service);
        finding_advice(finding, "muster check %s --fix, or on %s: systemctl enable %s", service,
                       checking->host->name, check_plain(pm2->held_unit, "UNIT"));
        finding_fix(finding, checking, OPERATION_PM2_RELEASE);
}
