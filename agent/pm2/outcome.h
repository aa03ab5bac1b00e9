/* How near a live PM2 is to a snapshot once it has settled: what a restore or a verification comes to. */
#pragma once

#include "agent/pm2/diff.h"
#include "agent/pm2/plan.h"
#include "agent/pm2/settle.h"
#include "agent/pm2/snapshot.h"

struct pm2_failure {
        int64_t pm_id;
        char name[TEXT_SIZE];
        char reason[TEXT_SIZE];
        char log[TEXT_SIZE * 2]; /* what its logs say; may be empty */
};

struct pm2_outcome {
        size_t expected; /* apps of the snapshot */
        size_t as_saved; /* of these, without any difference, settled where they are to run */
        size_t wanted;   /* apps that are to run: those that ran; with start_errored the errored ones too */
        size_t online;   /* of these, online and settled */
        size_t stopped;  /* apps that are not to run, and are stopped */
        struct pm2_failure *failed; /* those of wanted that are not online, new reasons first; owned */
        size_t failed_count;
        struct pm2_failure *held; /* were errored or being stopped, are stopped, as long as nobody starts
                                     them; owned */
        size_t held_count;
        size_t held_stopping;        /* of these, that were being stopped */
        struct pm2_failure *unready; /* started by this restore, online without having said "ready"; owned */
        size_t unready_count;
        struct pm2_diff
                diff; /* snapshot against live; what held apps and kept extra ones differ in is left out */
};

/* One item for each app of the snapshot that is to run, in its order. The caller frees *ret. */
int pm2_outcome_items(const struct pm2_snapshot *snapshot, const struct pm2_plan_options *options,
                      struct pm2_settle_item **ret, size_t *ret_count);

/* items as pm2_outcome_items made them, after they were watched. Reads the ends of the logs, of those
 * that failed as far as they were written since since_us (realtime). */
int pm2_outcome_make(struct pm2_outcome *ret, const struct pm2_home *home,
                     const struct pm2_snapshot *snapshot, const struct pm2_list *live,
                     const struct pm2_settle_item *items, const struct pm2_plan_options *options,
                     uint64_t since_us);
void pm2_outcome_clear(struct pm2_outcome *outcome);
#define cleanup_pm2_outcome cleanup_with(pm2_outcome_clear)
