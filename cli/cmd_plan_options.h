/* What plan, reboot and restart let people ask for besides a scope: the same options for all three. */
#pragma once

#include "cli/options.h"
#include "proto/fleet.pb-c.h"

struct plan_asked {
        const char *batch, *canary; /* NULL: as the fleet file says */
        const char *finish_by;      /* NULL: whenever it is done */
        uint64_t finish_by_us;      /* that, read once: plan and start are to say the same */
        bool soft;                  /* only the userspace */
};

/* "06:00": when it is that time next where the command is typed; "2026-11-24T06:00", the same with its day;
 * with "Z" or "+01:00" behind it, there. -EINVAL. */
int finish_by_parse(const char *text, uint64_t now_us, uint64_t *ret_us);
/* Reads what was given as text; false: return *ret_exit. */
bool plan_options_read(struct plan_asked *asked, const char *command, int *ret_exit);

/* For the command's list of options. */
#define PLAN_OPTIONS(asked)                                                                                  \
        {"finish-by", NULL, &(asked)->finish_by, "TIME",                                                     \
         "refuse what may last longer: 06:00, 2026-11-24T06:00Z"},                                           \
                {"soft", &(asked)->soft, NULL, NULL,                                                         \
                 "userspace alone, the kernel goes on (systemd 254 and later)"},                             \
                {"batch", NULL, &(asked)->batch, "N",                                                        \
                 "hosts at a time: a number, a share like 25%, or all"},                                     \
        {                                                                                                    \
                "canary", NULL, &(asked)->canary, "HOST", "first of all: a host, a number of hosts, or none" \
        }

/* Borrows what was asked for. */
void plan_options_fill(Muster__V1__PlanOptions *ret, const struct plan_asked *asked);
