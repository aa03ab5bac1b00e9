/* Checks of PM2: can its state be saved, is it worth saving, and does nothing else start its apps. */
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "controller/core/check.h"

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

void check_pm2_errored(struct checking *checking)
{
        const struct pm2_state *pm2 = &checking->state->pm2;
        const struct service_spec *spec = &checking->service->spec;
        struct finding *finding;
        char names[TEXT_SIZE] = "";
        size_t n = 0, shown = 0;
        unsigned first = 0;

        if (!pm2->reachable || pm2->errored == 0)
                return;
        for (size_t i = 0; i < pm2->app_count && shown < 5; i++) {
                int wanted;

                if (!text_equal(pm2->apps[i].status, "errored"))
                        continue;
                if (shown == 0)
                        first = pm2->apps[i].pm_id;
                wanted = snprintf(names + n, sizeof(names) - n, "%s%s", shown ? ", " : "", pm2->apps[i].name);
                if (wanted < 0 || (size_t)wanted >= sizeof(names) - n)
                        break;
                n += (size_t)wanted;
                shown++;
        }
        names[n] = '\0';
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%u app%s of %s %s errored: %s%s", pm2->errored,
                         pm2->errored == 1 ? "" : "s", spec->name, pm2->errored == 1 ? "is" : "are", names,
                         shown < pm2->errored ? ", ..." : "");
        finding_advice(finding,
                       "on %s: sudo -u %s PM2_HOME=%s pm2 logs %u; mend it, or stop it, so that its "
                       "state after the restart means something",
                       checking->host->name, spec->user, spec->home, first);
}

void check_pm2_boot_unit(struct checking *checking)
{
        const struct pm2_state *pm2 = &checking->state->pm2;
        struct finding *finding;

        if (!pm2->boot_unit[0])
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%s starts the apps of %s at boot, before what they need is ready",
                         pm2->boot_unit, checking->service->spec.name);
        finding_advice(finding, "on %s: systemctl disable %s (muster restores the apps in order)",
                       checking->host->name, check_plain(pm2->boot_unit, "UNIT"));
}
