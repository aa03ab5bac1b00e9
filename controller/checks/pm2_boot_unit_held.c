/* pm2-boot-unit-held: is a unit still held back for a run that is over. The controller releases it by itself
 * when no run holds the host any more; what is found here is what that could not. */
#include "controller/checks/check.h"

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
