/* pm2-snapshot: what PM2 runs now, against what would come back. A restart takes what is live when it begins
 * for what is to come back; so what has stopped since the last snapshot is worth a look before that. */
#include "controller/checks/check.h"
#include "controller/checks/pm2.h"

void check_pm2_snapshot(struct checking *checking)
{
        const struct plan_pm2_look *look = pm2_look_of(checking);
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
                                 pm2_differ(saved->differing), saved->name, CHECK_MOMENT(saved->saved_us),
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
