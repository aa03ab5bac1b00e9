/* Starting registered apps, a few at a time. Part of restore.h.
 *
 * PM2 answers when it has spawned a process; whether that has come up is seen from the kernel: it sleeps and
 * uses no processor time (process.h). As many are started at once as the host carries (wave.h). */
#pragma once

#include "agent/pm2/client.h"
#include "agent/pm2/register.h"
#include "agent/pm2/wave.h"

typedef struct pm2_start pm2_start;

struct pm2_start_item {
        const struct pm2_app *app; /* of the snapshot; borrowed */
        enum pm2_entry entry;      /* NONE: it is there with its definition, and only not running */
        bool failed;               /* result: PM2 would not start it */
        char reason[TEXT_SIZE];    /* result: why */
        uint64_t unready_us; /* result: wait_ready, and PM2 waited so long for its word in vain; else 0 */
};

typedef void (*pm2_start_progress)(void *userdata, size_t done, size_t total, unsigned at_once);
typedef void (*pm2_start_done)(void *userdata, int r, const struct error *error);

/* client and items are borrowed until it is freed; the client is to be freed first if that is before done.
 * done: r 0 when all were started or refused (items say which); negative where the connection was lost. */
int pm2_start_new(pm2_start **ret, sd_event *event, pm2_client *client, struct pm2_start_item *items,
                  size_t count, unsigned most_at_once, uint64_t timeout_us, pm2_start_progress progress,
                  pm2_start_done done, void *userdata);
pm2_start *pm2_start_free(pm2_start *self);
