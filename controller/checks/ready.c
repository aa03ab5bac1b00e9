/* ready: does the service run now. */
#include "controller/checks/check.h"

void check_ready(struct checking *checking)
{
        const struct service_state *state = checking->state;
        const char *host = checking->host->name, *unit = checking->service->spec.unit;
        struct finding *finding;

        if (state->phase == PHASE_READY)
                return;
        finding = finding_add(checking, state->phase == PHASE_LOADING ? SEVERITY_INFORMS : SEVERITY_WARNS);
        finding_evidence(finding, "%s on %s is %s now%s%s", checking->service->spec.name, host,
                         service_phase_name(state->phase), state->detail[0] ? ": " : "", state->detail);
        if (state->phase == PHASE_LOADING)
                finding_advice(finding, "wait until it is loaded: muster status %s --watch",
                               checking->service->spec.name);
        else if (unit[0])
                finding_advice(finding, "on %s: systemctl status %s; journalctl -u %s", host, unit, unit);
        else
                finding_advice(finding, "look on %s why it does not answer at %s port %u", host,
                               checking->service->spec.address, checking->service->spec.port);
}
