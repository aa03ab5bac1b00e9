/* unit: is the service's systemd unit there. */
#include "common/base/text.h"
#include "controller/checks/check.h"

void check_unit(struct checking *checking)
{
        const struct unit_state *unit = &checking->state->unit;
        const char *name = checking->service->spec.unit;
        struct finding *finding;

        if (!name[0] || (unit->present &&
                         (text_equal(unit->load_state, "loaded") || text_equal(unit->load_state, "masked"))))
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        if (unit->present)
                finding_evidence(finding, "systemd on %s cannot load %s: %s", checking->host->name, name,
                                 unit->load_state[0] ? unit->load_state : "no state");
        else
                finding_evidence(finding, "systemd on %s does not know %s", checking->host->name, name);
        finding_advice(finding,
                       "on %s: systemctl cat %s; correct the unit, or its name in the fleet file (line "
                       "%u)",
                       checking->host->name, name, checking->service->line);
}
