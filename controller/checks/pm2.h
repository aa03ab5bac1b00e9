/* What the checks of PM2 share. */
#pragma once

#include "controller/checks/check.h"

/* The first few apps of a finding, by name. */
struct listing {
        char names[TEXT_SIZE];
        size_t used, shown, count;
        unsigned first; /* its pm_id */
};

/* Counts the app, and names it while there is room: its name, then more. */
void listing_add(struct listing *listing, const struct pm2_app_state *app, const char *more);

/* What the present PM2 home was compared with; NULL: there is nothing to say of a home that nobody looked at,
 * or whose daemon is not there: that is another check's. */
const struct plan_pm2_look *pm2_look_of(const struct checking *checking);
/* "app differs" or "apps differ" */
const char *pm2_differ(uint32_t apps);
