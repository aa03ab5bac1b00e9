/* The snapshots that are kept of a PM2 home: what each holds, newest first. Each is read and checked whole,
 * one a turn of the loop. */
#pragma once

#include "agent/pm2/look.h"

typedef struct pm2_shelf pm2_shelf;

#define PM2_SHELF_MAX 256 /* snapshots that are told; far fewer are kept */

struct pm2_shelved {
        struct pm2_side side;
        uint64_t bytes;
        int failure; /* negative errno: it is no sound snapshot, error says why */
        struct error error;
};

/* r negative: the folder could not be read. Once, from the loop; all is borrowed. The shelf is still to be
 * freed, from here or later. */
typedef void (*pm2_shelf_done)(void *userdata, int r, const struct pm2_shelved *all, size_t count,
                               const struct error *error);

int pm2_shelf_new(pm2_shelf **ret, sd_event *event, const struct pm2_home *home, const char *folder,
                  pm2_shelf_done done, void *userdata);
pm2_shelf *pm2_shelf_free(pm2_shelf *shelf);
