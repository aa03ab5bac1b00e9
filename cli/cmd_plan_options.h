/* What plan, reboot and restart let people ask for besides a scope: the same options for all three. */
#pragma once

#include "cli/options.h"
#include "proto/fleet.pb-c.h"

struct plan_asked {
        const char *batch, *canary; /* NULL: as the fleet file says */
};

/* For the command's list of options. */
#define PLAN_OPTIONS(asked)                                                                                  \
        {"batch", NULL, &(asked)->batch, "N", "hosts at a time: a number, a share like 25%, or all"},        \
        {                                                                                                    \
                "canary", NULL, &(asked)->canary, "HOST", "first of all: a host, a number of hosts, or none" \
        }

/* Borrows what was asked for. */
void plan_options_fill(Muster__V1__PlanOptions *ret, const struct plan_asked *asked);
