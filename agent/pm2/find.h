/* Finding a PM2 home on the loop: whose it is, by the host's user database, and whether its files answer. The
 * database may be a directory on the network which takes its time, so it is asked by getent, a process with a
 * deadline; the home may be on a disk that hangs, so it is looked at beside the loop. Whoever found a home
 * may look at it on the loop, as far as nothing else can be done: the socket in it has to be connected to. */
#pragma once

#include <systemd/sd-event.h>

#include "agent/pm2/home.h"
#include "common/loop/aside.h"

typedef struct pm2_find pm2_find;

/* r negative: error says why (-ENOENT: no such user or folder, -ETIMEDOUT), home is NULL. Once, from the
 * loop. home is borrowed; the find is still to be freed, from here or later. */
typedef void (*pm2_find_done)(void *userdata, int r, const struct pm2_home *home, const struct error *error);

/* user NULL or "": the owner of path. path NULL or "": .pm2 in the user's folder. timeout_us 0: ten seconds.
 * lent: what the home is looked at with, for whoever asks again and again; NULL: an aside of its own.
 * Negative: not begun. */
int pm2_find_new(pm2_find **ret, sd_event *event, const char *user, const char *path, uint64_t timeout_us,
                 aside *lent, pm2_find_done done, void *userdata, struct error *error);
/* A home that was found before: whether its files answer still. */
int pm2_find_again(pm2_find **ret, sd_event *event, const struct pm2_home *home, aside *lent,
                   pm2_find_done done, void *userdata, struct error *error);
pm2_find *pm2_find_free(pm2_find *self);
