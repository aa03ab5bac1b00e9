/* See pm2.h. */
#include "controller/checks/pm2.h"

#include <stdio.h>

#define LISTED_MOST 5

void listing_add(struct listing *listing, const struct pm2_app_state *app, const char *more)
{
        size_t room = sizeof(listing->names) - listing->used;
        int wanted;

        if (listing->count++ == 0)
                listing->first = app->pm_id;
        if (listing->shown == LISTED_MOST || listing->shown + 1 < listing->count)
                return;
        wanted = snprintf(listing->names + listing->used, room, "%s%s%s", listing->shown ? ", " : "",
                          app->name, more);
        if (wanted < 0 || (size_t)wanted >= room) {
                listing->names[listing->used] = '\0';
                return;
        }
        listing->used += (size_t)wanted;
        listing->shown++;
}

const struct plan_pm2_look *pm2_look_of(const struct checking *checking)
{
        return checking->state->pm2.reachable && checking->pm2 && checking->pm2->asked ? checking->pm2 : NULL;
}

const char *pm2_differ(uint32_t apps)
{
        return apps == 1 ? "app differs" : "apps differ";
}
