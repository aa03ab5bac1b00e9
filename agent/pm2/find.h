/* Finding a PM2 home on the loop: whose it is, by the host's user database. That may be a directory on the
 * network which takes its time, so it is asked by getent, a process with a deadline. */
#pragma once

#include <systemd/sd-event.h>

#include "agent/pm2/home.h"

typedef struct pm2_find pm2_find;

/* r negative: error says why (-ENOENT: no such user or folder, -ETIMEDOUT), home is NULL. Once, from the
 * loop. home is borrowed; the find is still to be freed, from here or later. */
typedef void (*pm2_find_done)(void *userdata, int r, const struct pm2_home *home, const struct error *error);

/* user NULL or "": the owner of path. path NULL or "": .pm2 in the user's folder. timeout_us 0: ten seconds.
 * Negative: not begun. */
int pm2_find_new(pm2_find **ret, sd_event *event, const char *user, const char *path, uint64_t timeout_us,
                 pm2_find_done done, void *userdata, struct error *error);
pm2_find *pm2_find_free(pm2_find *self);
