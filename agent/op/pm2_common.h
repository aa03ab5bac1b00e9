/* What the operations on PM2 share: how they start, fail and are cancelled, the home, the snapshot that the
 * request names, and how results are told. */
#pragma once

#include "agent/op/op.h"
#include "agent/pm2/find.h"
#include "agent/pm2/outcome.h"
#include "agent/pm2/snapshot.h"
#include "common/loop/aside.h"

#define PM2_SNAPSHOTS_KEPT 16

typedef void (*pm2_written)(struct op *op, int r, struct pm2_list *list, const struct error *error);

/* One kind of operation. Its state begins with a struct pm2_target. */
struct pm2_work {
        size_t size;                                      /* of the state */
        int (*begin)(struct op *op, struct error *error); /* from the loop: the home is found */
        /* The home was not found, or begin has failed: ends the operation, as pm2_target_fail does. */
        void (*fail)(struct op *op, int r, const struct error *error);
        void (*clear)(void *state); /* of all but the target */
};

struct pm2_target {
        struct pm2_home home;
        char folder[PATH_SIZE]; /* where this agent keeps snapshots */
        uint64_t begun_us;      /* monotonic */
        pm2_find *find;
        struct op *op;
        const struct pm2_work *work;
        aside *aside; /* for files that are written, or compared */
        pm2_written written;
};

/* Makes the operation's state and finds the home that the request names. Negative errno: not begun. */
int pm2_target_start(struct op *op, const struct pm2_work *work, struct error *error);
/* Frees the state and ends the operation. */
void pm2_target_fail(struct op *op, int r, const struct error *error);
void pm2_target_cancel(struct op *op);
/* Frees the whole state; what held megabytes of environments goes back to the system, not to the heap. NULL.
 */
void *pm2_target_free(struct pm2_target *target);

/* Writes a snapshot of the home, with the list and the facts (taken on success), and syncs it beside the
 * loop; done then comes from there. list is what was written, and may be taken out. One that comes to its end
 * after the operation has given it up is as good as any: a whole snapshot of the moment that its name stands
 * for. */
int pm2_target_write(struct pm2_target *target, const char *name, struct pm2_list *list,
                     struct pm2_daemon_facts *facts, pm2_written done);

/* Reads the snapshot that the request names. */
int pm2_target_snapshot(struct pm2_snapshot *ret, const struct pm2_target *target, const struct op *op,
                        struct error *error);

/* Figures "expected", "as-saved", "wanted", "online", "stopped", "failed", "held"; the first apps that failed
 * ("failed-app", with what their logs say in a "failed-log"), the names of the others ("failed-apps") and of
 * those that were errored or being stopped and are stopped ("held-apps"), those that did not say that they
 * were ready ("unready-app", "unready-apps"), and the first differences ("difference"). */
void pm2_outcome_figures(struct op *op, const struct pm2_outcome *outcome);

/* Ends the operation: done if all is as saved, else failed (-EREMOTEIO) with the figures by which the
 * controller decides whether it is enough. */
void pm2_outcome_finish(struct op *op, const struct pm2_outcome *outcome, uint64_t took_us);
