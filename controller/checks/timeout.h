/* What the checks of systemd's own timeouts share. */
#pragma once

#include "controller/checks/check.h"

/* 0 and UINT64_MAX are "not known" and "infinity". */
bool timeout_is_limit(uint64_t timeout_us);
/* How to raise it, to half as much again as is needed: setting is its name, as in TimeoutStopSec. */
void timeout_advise(struct finding *finding, const struct checking *checking, const char *setting,
                    uint64_t needed_us);
