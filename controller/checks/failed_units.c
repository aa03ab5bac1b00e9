/* failed-units: what systemd lists as failed already. */
#include <stdio.h>

#include "controller/checks/check.h"

void check_failed_units(struct checking *checking)
{
        const struct host_state *host = &checking->agent->host;
        struct finding *finding;
        char names[TEXT_SIZE] = "";
        size_t shown = 0, n = 0;

        if (host->failed_unit_count == 0)
                return;
        for (; shown < host->failed_unit_count && shown < 5; shown++) {
                int wanted = snprintf(names + n, sizeof(names) - n, "%s%s", shown ? ", " : "",
                                      host->failed_units[shown]);

                if (wanted < 0 || (size_t)wanted >= sizeof(names) - n)
                        break;
                n += (size_t)wanted;
        }
        names[n] = '\0';
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%zu failed unit%s: %s%s", host->failed_unit_count,
                         host->failed_unit_count == 1 ? "" : "s", names,
                         shown < host->failed_unit_count ? ", ..." : "");
        finding_advice(finding, "on %s: systemctl status %s; mend it, or systemctl reset-failed",
                       checking->host->name, check_plain(host->failed_units[0], "UNIT"));
}
