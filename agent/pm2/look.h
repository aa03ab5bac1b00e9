/* Comparing sides of a PM2 home: a snapshot, the live list, PM2's own dump. Changes nothing; at most two
 * lists are in memory at a time, and files are read beside the loop. */
#pragma once

#include "agent/pm2/diff.h"
#include "agent/pm2/snapshot.h"

typedef struct pm2_look pm2_look;

#define PM2_LOOK_LIVE "live"
#define PM2_LOOK_DUMP "dump"
#define PM2_LOOKS_MAX 4 /* comparisons in one */

struct pm2_side {
        char name[NAME_SIZE]; /* PM2_LOOK_LIVE, PM2_LOOK_DUMP or the snapshot's */
        bool absent;          /* no daemon runs, or PM2 has no dump: counts as an empty list */
        uint64_t saved_us;    /* realtime; of live: now */
        size_t apps, online, stopped, errored;
};

struct pm2_comparison {
        struct pm2_side from;
        struct pm2_diff diff; /* owned by the look */
        int failure; /* 0: it was compared; -ENOENT: there is no such snapshot; -EBADMSG, -EPERM, … */
        struct error error;
};

struct pm2_look_request {
        char from[PM2_LOOKS_MAX][NAME_SIZE]; /* "": the newest snapshot */
        size_t from_count;
        char to[NAME_SIZE]; /* the same */
        unsigned flags;     /* enum pm2_diff_flags */
};

struct pm2_look_result {
        struct pm2_side to;
        struct pm2_comparison comparisons[PM2_LOOKS_MAX]; /* in the order of the request */
        size_t count;
};

/* r negative: the side that all were to be compared with could not be read (-ENOENT: there is no such
 * snapshot), error says why, result is NULL. Once, from the loop; result is borrowed. The look is still to be
 * freed, from here or later. */
typedef void (*pm2_look_done)(void *userdata, int r, const struct pm2_look_result *result,
                              const struct error *error);

/* folder: snapshot.h's. timeout_us: for the live list, each time it is read. -EINVAL: nothing to compare, or
 * too much. */
int pm2_look_new(pm2_look **ret, sd_event *event, const struct pm2_home *home, const char *folder,
                 const struct pm2_look_request *request, uint64_t timeout_us, pm2_look_done done,
                 void *userdata, struct error *error);
pm2_look *pm2_look_free(pm2_look *look);

/* The numbers of a side, from its list. */
void pm2_side_count(struct pm2_side *side, const struct pm2_list *list);
