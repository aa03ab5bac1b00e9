/* Registering apps with PM2 at the ids they had, without running them. Part of restore.h.
 *
 * PM2 gives ids in sequence. Where nothing is registered the sequence begins at 0 and all can be sent at
 * once; else it begins at an unknown id, which the first registration tells. Gaps are filled with stopped
 * stand-ins (named muster-filler), deleted when all are in. */
#pragma once

#include "agent/pm2/client.h"
#include "agent/pm2/plan.h"

typedef struct pm2_register pm2_register;

/* What is still to be done for an app. */
enum pm2_entry {
        PM2_ENTRY_NONE,  /* was not to be registered */
        PM2_ENTRY_PLAIN, /* nothing: it stands there as it was, stopped */
        PM2_ENTRY_PLACE, /* to be placed (place.h), and started with all of its settings */
        PM2_ENTRY_PARK,  /* to be parked (park.h), placed before where its files are watched */
};

/* r 0: entries holds one for each app of the snapshot, borrowed from the register until it is freed. -EAGAIN:
 * the ids are not those that were planned, because somebody else registers apps, or because PM2 refused one
 * (then it is in refused): to be planned anew. */
typedef void (*pm2_register_done)(void *userdata, int r, const enum pm2_entry *entries,
                                  const struct error *error);
/* done of total apps are in. */
typedef void (*pm2_register_progress)(void *userdata, size_t done, size_t total);

/* client, wanted, plan and refused are borrowed until it is freed. done comes from the loop, or from within
 * where there is nothing to register. */
int pm2_register_new(pm2_register **ret, pm2_client *client, const struct pm2_list *wanted,
                     const struct pm2_plan *plan, const struct pm2_plan_options *options,
                     struct pm2_refused *refused, uint64_t timeout_us, pm2_register_progress progress,
                     pm2_register_done done, void *userdata);
pm2_register *pm2_register_free(pm2_register *self);

/* What is sent to PM2 to register an app without running it. The caller owns it; NULL: out of memory. Pure.
 */
json_t *pm2_entry_env(const struct pm2_app *app);
/* The options of restartProcessId that start an entry with what registering could not keep. Pure. */
json_t *pm2_entry_restart(const struct pm2_app *app, enum pm2_entry entry);
