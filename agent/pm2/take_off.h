/* Taking off what does not belong: deleting the apps that a plan removes, and stopping those that run and
 * must not. Part of restore.h. */
#pragma once

#include "agent/pm2/client.h"
#include "agent/pm2/plan.h"
#include "agent/pm2/refusal.h"
#include "agent/pm2/state.h"

typedef struct pm2_take_off pm2_take_off;

/* r 0: all are off, but for those that PM2 refused, which are in refused. Once, from the loop. */
typedef void (*pm2_take_off_done)(void *userdata, int r, const struct error *error);

/* Whether the plan has anything to take off. */
bool pm2_take_off_is_needed(const struct pm2_plan *plan, size_t app_count);

/* plan is of wanted and live, and has something to take off; each app has timeout_us and its own kill_timeout
 * to end in. client and refused are borrowed until it is freed; the client is to be freed first if that is
 * before done, and at once where this fails. */
int pm2_take_off_new(pm2_take_off **ret, pm2_client *client, const struct pm2_plan *plan,
                     const struct pm2_list *wanted, const struct pm2_list *live, struct pm2_refused *refused,
                     uint64_t timeout_us, pm2_take_off_done done, void *userdata);
pm2_take_off *pm2_take_off_free(pm2_take_off *self);
