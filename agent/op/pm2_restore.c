/* pm2.restore: brings a PM2 home to the snapshot that the request names. Until it has ended, well or not,
 * what the stop has held back stays so, also over another boot. */
#include <errno.h>
#include <string.h>

#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "agent/pm2/boot.h"
#include "agent/pm2/dump.h"
#include "agent/pm2/restore.h"
#include "common/base/time.h"

#define COMPARE_US (5 * USEC_PER_SEC)

struct restoring {
        struct pm2_target target; /* first */
        struct pm2_snapshot snapshot;
        pm2_boot *boot;
        pm2_restore *restore;
        const struct pm2_restore_result *result; /* NULL: it could not be carried through */
        int failure;
        struct error error;
};

static void clear(void *state)
{
        struct restoring *self = state;

        pm2_boot_free(self->boot);
        pm2_restore_free(self->restore);
        pm2_snapshot_clear(&self->snapshot);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total, const char *text)
{
        op_progress(userdata, done, total, "%s", text);
}

static void end(struct op *op)
{
        struct restoring *self = op->state;

        op->state = NULL;
        if (self->result)
                pm2_outcome_finish(op, &self->result->outcome, self->result->settled_us);
        else
                op_finish(op, self->failure, "%s", error_text(&self->error, self->failure));
        pm2_target_free(&self->target);
}

/* --- what has become of PM2's own dump, beside the loop --------------------------------------------------
 */

struct comparing {
        struct pm2_home home;
        char copy[PATH_SIZE];
        int kept; /* as pm2_dump_is_kept says */
};

static void compare(void *data)
{
        struct comparing *comparing = data;

        comparing->kept = pm2_dump_is_kept(&comparing->home, comparing->copy);
}

/* Not told in time, it is not said: the restore is done all the same. */
static void on_compared(int result, void *data, void *userdata)
{
        const struct comparing *comparing = data;
        struct op *op = userdata;

        if (comparing && comparing->kept == 0)
                op_figure(op, "dump", "PM2's own is not what it was at the save; that is kept in %s",
                          comparing->copy);
        end(op);
}

/* A daemon that is terminated writes what it has at that moment over its dump, and a restore begins with
 * little. */
static int begin_to_compare(struct op *op)
{
        struct restoring *self = op->state;
        struct comparing comparing = {.home = self->target.home};
        int r = pm2_snapshot_dump(comparing.copy, self->target.folder, &self->target.home,
                                  self->snapshot.name);

        if (r == 0)
                r = aside_new_once(&self->target.aside, op->event);
        return r < 0 ? r
                     : aside_run(self->target.aside, &comparing, sizeof(comparing), compare, COMPARE_US,
                                 on_compared, op);
}

static void tell(struct op *op)
{
        if (begin_to_compare(op) < 0)
                end(op);
}

static void on_released(void *userdata, int r, const char *units, const struct error *cause)
{
        struct op *op = userdata;

        if (r < 0)
                op_figure(op, "boot-unit", "%.100s could not be enabled again: %.100s", units,
                          error_text(cause, r));
        else if (units[0])
                op_figure(op, "boot-unit", "%.120s is enabled again", units);
        else
                op_figure(op, "boot-unit", "what was held back is gone: nothing to enable again");
        tell(op);
}

static void release_boot_unit(struct op *op)
{
        struct restoring *self = op->state;
        int r = -ENOENT;

        if (op->bus)
                r = pm2_boot_release(&self->boot, op->bus, &self->target.home, self->target.folder,
                                     on_released, op);
        if (r == 0)
                return;
        if (r != -ENOENT)
                op_figure(op, "boot-unit", "what was held back could not be enabled again: %s", strerror(-r));
        tell(op);
}

static void fail(struct op *op, int r, const struct error *error)
{
        struct restoring *self = op->state;

        self->failure = r;
        self->error = error ? *error : (struct error){0};
        release_boot_unit(op);
}

static void on_done(void *userdata, int r, const struct pm2_restore_result *result, const struct error *error)
{
        struct op *op = userdata;
        struct restoring *self = op->state;

        if (r < 0) {
                fail(op, r, error);
                return;
        }
        self->result = result;
        pm2_outcome_figures(op, &result->outcome);
        op_figure(op, "kept", "%zu", result->kept);
        if (result->stuck)
                op_figure(op, "stuck", "%zu processes do not end, not even when killed", result->stuck);
        release_boot_unit(op);
}

static int begin(struct op *op, struct error *error)
{
        struct restoring *self = op->state;
        struct pm2_restore_options options = {.start_errored = op->request.start_errored,
                                              .settle_us = op->request.settle_us};
        int r = pm2_target_snapshot(&self->snapshot, &self->target, op, error);

        if (r < 0)
                return r;
        return pm2_restore_new(&self->restore, op->event, op->bus, &self->target.home, &self->snapshot,
                               &options, on_progress, on_done, op, error);
}

static const struct pm2_work work = {sizeof(struct restoring), begin, fail, clear};

static int start(struct op *op, struct error *error)
{
        return pm2_target_start(op, &work, error);
}

const struct op_type op_pm2_restore = {OPERATION_PM2_RESTORE, start, pm2_target_cancel};
