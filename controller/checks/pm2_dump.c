/* pm2-dump: what PM2 runs now, against PM2's own dump, which is what anything but muster would bring back:
 * `pm2 resurrect` by hand, or a unit at boot. */
#include "controller/checks/check.h"
#include "controller/checks/pm2.h"

void check_pm2_dump(struct checking *checking)
{
        const struct plan_pm2_look *look = pm2_look_of(checking);
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
                        saved->differing, pm2_differ(saved->differing), CHECK_MOMENT(saved->saved_us),
                        unit[0] ? unit : "pm2 resurrect", saved->first);
        } else {
                return;
        }
        finding_advice(
                finding,
                "muster pm2 diff %s --from dump; if live is right, on %s: sudo -u %s PM2_HOME=%s pm2 save",
                spec->name, checking->host->name, spec->user, spec->home);
}
