/* Bringing a live PM2 to a snapshot, from any starting point: no daemon, an empty one, half a cluster, extra
 * apps, wrong states, other ids.
 *
 * Apps are first registered without running, in the order of their pm_ids, with the gaps filled and emptied
 * again, so that ids and the files named after them are the same; then those that ran are started, a few at a
 * time (wave.h), and watched until none of them has restarted for a while. What PM2 sets anew at every start
 * (unique_id, created_at) is given its old value or counted as no difference. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "agent/pm2/outcome.h"
#include "common/base/error.h"

typedef struct pm2_restore pm2_restore;

struct pm2_restore_options {
        bool start_errored;       /* else what was errored comes back stopped, and is named */
        bool keep_extra;          /* else apps that the snapshot does not know are deleted */
        unsigned most_at_once;    /* 0: a sensible bound */
        uint64_t settle_us;       /* no restart for so long; 0: ten seconds */
        uint64_t call_timeout_us; /* for one call to PM2; 0: a minute */
};

struct pm2_restore_result {
        struct pm2_outcome outcome;  /* owned by the restore */
        size_t kept, added, removed; /* apps */
        size_t leftovers;            /* processes ended whose daemon was gone */
        size_t stuck;                /* processes that do not end even when killed, left behind */
        bool daemon_started;
        uint64_t registered_us, online_us, settled_us; /* until all were registered, were up, had settled */
};

typedef void (*pm2_restore_progress)(void *userdata, uint64_t done, uint64_t total, const char *text);

/* r 0: carried through, result says with what success; what failed is in it. Negative: it could not be
 * carried through, error says why; result may be NULL. Comes once, from the loop. */
typedef void (*pm2_restore_done)(void *userdata, int r, const struct pm2_restore_result *result,
                                 const struct error *error);

/* snapshot is borrowed until the restore is freed. bus: see daemon.h. Negative: not begun. Each call and each
 * wait in it has its end; how long all of it may take is its caller's to say, who frees it then. */
int pm2_restore_new(pm2_restore **ret, sd_event *event, sd_bus *bus, const struct pm2_home *home,
                    const struct pm2_snapshot *snapshot, const struct pm2_restore_options *options,
                    pm2_restore_progress progress, pm2_restore_done done, void *userdata,
                    struct error *error);
/* Stops where it is; what was sent to PM2 may still be carried out. A restore begun anew goes on from there.
 */
pm2_restore *pm2_restore_free(pm2_restore *restore);
