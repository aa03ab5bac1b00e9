/* See timeout.h. */
#include "controller/checks/timeout.h"

#include "common/base/time.h"

bool timeout_is_limit(uint64_t timeout_us)
{
        return timeout_us != 0 && timeout_us != UINT64_MAX;
}

void timeout_advise(struct finding *finding, const struct checking *checking, const char *setting,
                    uint64_t needed_us)
{
        finding_advice(finding, "on %s: systemctl edit %s, and write [Service] %s=%llus",
                       checking->host->name, checking->service->spec.unit, setting,
                       (unsigned long long)(needed_us / USEC_PER_SEC * 3 / 2 / 30 * 30 + 30));
}
