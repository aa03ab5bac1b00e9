/* What differs between two lists of apps: a snapshot, the live list, PM2's own dump. Pure.
 *
 * Apps are compared by pm_id; where an id holds another app on the two sides, the one is missing and the
 * other extra. Where a side is PM2's dump, which has neither ids nor modules: by name, namespace and
 * instance, and modules are left out. Values that may hold secrets (environment, arguments, other settings)
 * stand as the first 12 digits of their hash. */
#pragma once

#include "agent/pm2/state.h"

struct pm2_difference {
        int64_t pm_id; /* -1: only PM2's dump has it */
        char name[TEXT_SIZE];
        char what[32]; /* "missing", "extra", "status", "instances", "cwd", "script", … */
        char before[TEXT_SIZE];
        char after[TEXT_SIZE];
};

struct pm2_diff {
        struct pm2_difference *items; /* owned */
        size_t count;
        size_t apps;   /* that differ in anything */
        size_t fallen; /* that run before, and not after */
};

enum pm2_diff_flags {
        PM2_DIFF_NO_STATUS = 1, /* definitions only */
        PM2_DIFF_RUNS = 2,      /* launching and waiting for a restart count as online */
};

int pm2_diff_compute(struct pm2_diff *ret, const struct pm2_list *before, const struct pm2_list *after,
                     unsigned flags);
void pm2_diff_clear(struct pm2_diff *diff);
#define cleanup_pm2_diff cleanup_with(pm2_diff_clear)

/* Whether two apps are the same app with the same definition, whatever their states. */
bool pm2_app_same(const struct pm2_app *before, const struct pm2_app *after);

/* One line for people: "web (0): status online, now stopped". */
void pm2_difference_text(const struct pm2_difference *difference, char *ret, size_t size);
