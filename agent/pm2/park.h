/* Registering a stopped app at an id that PM2 has passed, without taking off everything else. Part of
 * restore.h.
 *
 * PM2 takes a given id only for what it starts at once. So a stand-in is started there, a sleep that ignores
 * PM2's signal; while PM2 stops it, the app's own settings are sent with an order to restart. PM2 takes the
 * settings and refuses the start, because the stand-in is still there; then it is killed, and what is left is
 * the app, stopped. An order to restart also takes away the clock that may start the app later: PM2 sets that
 * again before a start that then fails, because its logs cannot be opened. */
#pragma once

#include "agent/pm2/client.h"
#include "agent/pm2/refusal.h"
#include "agent/pm2/state.h"

typedef struct pm2_park pm2_park;

/* r 0: all are there, but for those that PM2 refused, which are in refused. Once, from the loop. */
typedef void (*pm2_park_done)(void *userdata, int r, const struct error *error);

/* client, refused and apps (of the snapshot) are borrowed until it is freed; the client is to be freed first
 * if that is before done. */
int pm2_park_new(pm2_park **ret, sd_event *event, pm2_client *client, const struct pm2_app *const *apps,
                 size_t count, struct pm2_refused *refused, uint64_t timeout_us, pm2_park_done done,
                 void *userdata);
pm2_park *pm2_park_free(pm2_park *self);

/* The stand-in, the options of restartProcessId that make it the app, and the start that sets its clock and
 * fails. The caller owns them; NULL: out of memory. Pure. */
json_t *pm2_park_stand_in(const struct pm2_app *app);
json_t *pm2_park_settings(const struct pm2_app *app);
json_t *pm2_park_clock(const struct pm2_app *app);
