/* Placing apps at ids that PM2 has passed, and having it watch their files. Part of restore.h.
 *
 * PM2 takes a given id only for what it starts at once, or for what has autostart off: that it registers as
 * stopped. And it watches files only from the moment it gives a new id, or when told to watch an entry that
 * it does not; then it takes the entry's working folder for what to watch. So a bookmark is registered at
 * the id, with autostart off and what is to be watched in the place of its working folder; PM2 is told to
 * watch it; and the app's own settings come with its start, or with its parking (park.h). The watcher stays.
 */
#pragma once

#include "agent/pm2/client.h"
#include "agent/pm2/refusal.h"
#include "agent/pm2/state.h"

typedef struct pm2_place pm2_place;

/* r 0: all were placed, but for those that PM2 refused, which are in refused. Once, from the loop. */
typedef void (*pm2_place_done)(void *userdata, int r, const struct error *error);

/* client, refused and apps (of the snapshot; at least one) are borrowed until it is freed; the client is to
 * be freed first if that is before done, and at once where this fails. */
int pm2_place_new(pm2_place **ret, pm2_client *client, const struct pm2_app *const *apps, size_t count,
                  struct pm2_refused *refused, uint64_t timeout_us, pm2_place_done done, void *userdata);
pm2_place *pm2_place_free(pm2_place *self);

/* The bookmark. The caller owns it; NULL: out of memory. Pure. */
json_t *pm2_place_bookmark(const struct pm2_app *app);
