/* What the operations on PM2 share: the home, the snapshot that the request names, and how results are told.
 */
#pragma once

#include "agent/op/op.h"
#include "agent/pm2/find.h"
#include "agent/pm2/outcome.h"
#include "agent/pm2/snapshot.h"
#include "common/loop/aside.h"

#define PM2_SNAPSHOTS_KEPT 16

typedef void (*pm2_written)(struct op *op, int r, struct pm2_list *list, const struct error *error);
struct pm2_target {
        struct pm2_home home;
        char folder[PATH_SIZE]; /* where this agent keeps snapshots */
        pm2_find *find;
        struct op *op;
        int (*begin)(struct op *op, struct error *error);
        void (*fail)(struct op *op, int r, const struct error *error);
        aside *aside; /* for files that are written, or compared */
        pm2_written written;
};

/* Finds the home that the request names; then begin is called from the loop. Where that or the finding fails,
 * fail is, which frees the operation's state and ends it. The target is part of that state. */
int pm2_target_init(struct pm2_target *ret, struct op *op, int (*begin)(struct op *op, struct error *error),
                    void (*fail)(struct op *op, int r, const struct error *error), struct error *error);
void pm2_target_clear(struct pm2_target *target);

/* Writes a snapshot of the home, with the list and the facts (taken on success), and syncs it beside the
 * loop; done then comes from there. list is what was written, and may be taken out. One that comes to its end
 * after the operation has given it up is as good as any: a whole snapshot of the moment that its name stands
 * for. */
int pm2_target_write(struct pm2_target *target, const char *name, struct pm2_list *list,
                     struct pm2_daemon_facts *facts, pm2_written done);

/* Reads the snapshot that the request names. */
int pm2_target_snapshot(struct pm2_snapshot *ret, const struct pm2_target *target, const struct op *op,
                        struct error *error);

/* After an operation: what held megabytes of environments goes back to the system, not to the heap. */
void pm2_give_back(void);

/* Figures "expected", "as-saved", "wanted", "online", "stopped", "failed", "held"; the first apps that failed
 * ("failed-app", with what their logs say in a "failed-log"), the names of the others ("failed-apps") and of
 * those that were errored or being stopped and are stopped ("held-apps"), those that did not say that they
 * were ready ("unready-app", "unready-apps"), and the first differences ("difference"). */
void pm2_outcome_figures(struct op *op, const struct pm2_outcome *outcome);

/* Ends the operation: done if all is as saved, else failed (-EREMOTEIO) with the figures by which the
 * controller decides whether it is enough. */
void pm2_outcome_finish(struct op *op, const struct pm2_outcome *outcome, uint64_t took_us);
