/* What it takes to bring a live PM2 to a snapshot. Pure: two lists in, steps out.
 *
 * pm_ids are part of the state (log and pid files carry them), and PM2 hands them out in sequence from the
 * highest it ever gave, or from 0 when it holds no app at all. An app whose id has been passed comes back in
 * its place without the others being touched: place.h and park.h say how. */
#pragma once

#include "agent/pm2/refusal.h"
#include "agent/pm2/state.h"

enum pm2_action {
        PM2_KEEP,  /* there, and in its state */
        PM2_START, /* there, not running */
        PM2_STOP,  /* there, running, must not */
        PM2_ADD,   /* not there, or not to be had by less: register; starts if it runs in the snapshot */
        PM2_AGAIN, /* there and stopped; its files are watched, perhaps: see watches_are_unsure */
};

struct pm2_plan {
        enum pm2_action *actions; /* one for each app of the snapshot; owned */
        int64_t *removals;        /* ids of live apps to delete first; owned */
        size_t removal_count;
        size_t add_count, start_count, stop_count, keep_count;
        int64_t highest; /* of the ids that stay, or -1: where none stays, PM2 begins at 0 again */
};

struct pm2_plan_options {
        bool start_errored; /* apps that were errored are started; else they come back stopped */
        bool keep_extra;    /* apps that the snapshot does not know stay */
        const struct pm2_refused *refused; /* apps that are left as they are; may be NULL */
};

int pm2_plan_make(struct pm2_plan *ret, const struct pm2_list *wanted, const struct pm2_list *live,
                  const struct pm2_plan_options *options);
void pm2_plan_clear(struct pm2_plan *plan);
#define cleanup_pm2_plan cleanup_with(pm2_plan_clear)

/* Whether the snapshot's app is to run after a restore. */
bool pm2_plan_runs(const struct pm2_app *app, const struct pm2_plan_options *options);
