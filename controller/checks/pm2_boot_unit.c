/* pm2-boot-unit: does something else start the apps of PM2. */
#include "controller/checks/check.h"

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
