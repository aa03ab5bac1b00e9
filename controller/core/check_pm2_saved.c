/* Checks of PM2: what it runs now, against what would come back. A restart takes what is live when it begins
 * for what is to come back; so what has stopped since the last snapshot is worth a look before that. PM2's
 * own dump is what anything but muster would bring back: `pm2 resurrect` by hand, or a unit at boot. */
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "controller/core/check.h"

/* Nothing to say of a home that nobody looked at, or whose daemon is not there: that is another check's. */
static const struct plan_pm2_look *look_of(const struct checking *checking)
{
        return checking->state->pm2.reachable && checking->pm2 && checking->pm2->asked ? checking->pm2 : NULL;
}

static const char *differ(uint32_t apps)
{
        return apps == 1 ? "app differs" : "apps differ";
}

void check_pm2_snapshot(struct checking *checking)
{
        const struct plan_pm2_look *look = look_of(checking);
        const char *service = checking->service->spec.name;
        const struct pm2_saved *saved;
        struct finding *finding;

        if (!look)
                return;
        saved = &look->snapshot;
        if (saved->failure[0]) {
                finding = finding_add(checking, saved->unsound ? SEVERITY_WARNS : SEVERITY_INFORMS);
                finding_evidence(finding, "%s could not be compared with its last snapshot: %s", service,
                                 saved->failure);
                finding_advice(finding, "muster pm2 ls %s; muster pm2 save %s takes a new one", service,
                               service);
                return;
        }
        if (saved->differing == 0)
                return;
        finding = finding_add(checking, saved->fallen ? SEVERITY_WARNS : SEVERITY_INFORMS);
        if (saved->fallen)
                finding_evidence(finding, "%u app%s of %s ran at snapshot %s of %s and %s not now; first: %s",
                                 saved->fallen, saved->fallen == 1 ? "" : "s", service, saved->name,
                                 CHECK_MOMENT(saved->saved_us), saved->fallen == 1 ? "does" : "do",
                                 saved->first);
        else
                finding_evidence(finding, "%u %s from snapshot %s of %s; first: %s", saved->differing,
                                 differ(saved->differing), saved->name, CHECK_MOMENT(saved->saved_us),
                                 saved->first);
        if (saved->fallen)
                finding_advice(finding,
                               "muster pm2 diff %s; then muster pm2 restore %s %s, or leave it so: what is "
                               "live when a "
                               "restart begins is what comes back",
                               service, service, check_plain(saved->name, "SNAPSHOT"));
        else
                finding_advice(finding, "muster pm2 diff %s; if it is as it should be: muster pm2 save %s",
                               service, service);
}

void check_pm2_dump(struct checking *checking)
{
        const struct plan_pm2_look *look = look_of(checking);
        const struct service_spec *spec = &checking->service->spec;
        const char *unit = checking->state->pm2.boot_unit;
        const struct pm2_saved *saved;
        struct finding *finding;

        if (!look)
                return;
        saved = &look->dump;
        if (saved->failure[0]) {
                finding = finding_add(checking, saved->unsound ? SEVERITY_WARNS : SEVERITY_INFORMS);
                finding_evidence(finding, "%s could not be compared with PM2's own dump: %s", spec->name,
                                 saved->failure);
        } else if (saved->absent) {
                if (!unit[0])
                        return;
                finding = finding_add(checking, SEVERITY_WARNS);
                finding_evidence(finding, "PM2 has no dump of %s: %s would start none of its apps at boot",
                                 spec->name, unit);
        } else if (saved->differing) {
                finding = finding_add(checking, unit[0] ? SEVERITY_WARNS : SEVERITY_INFORMS);
                finding_evidence(
                        finding,
                        "%u %s from PM2's own dump of %s: %s would bring back what that says; first: %s",
                        saved->differing, differ(saved->differing), CHECK_MOMENT(saved->saved_us),
                        unit[0] ? unit : "pm2 resurrect", saved->first);
        } else {
                return;
        }
        finding_advice(
                finding,
                "muster pm2 diff %s --from dump; if live is right, on %s: sudo -u %s PM2_HOME=%s pm2 save",
                spec->name, checking->host->name, spec->user, spec->home);
}
