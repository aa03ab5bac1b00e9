/* pm2.restore: brings a PM2 home to the snapshot that the request names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "agent/pm2/boot.h"
#include "agent/pm2/restore.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"

struct restoring {
        struct pm2_target target;
        struct pm2_snapshot snapshot;
        pm2_boot *boot;
        pm2_restore *restore;
};

static struct restoring *restoring_free(struct restoring *self)
{
        if (!self)
                return NULL;
        pm2_target_clear(&self->target);
        pm2_boot_free(self->boot);
        pm2_restore_free(self->restore);
        pm2_snapshot_clear(&self->snapshot);
        free(self);
        pm2_give_back();
        return NULL;
}
DEFINE_CLEANUP(struct restoring *, restoring_free);

static void on_progress(void *userdata, uint64_t done, uint64_t total, const char *text)
{
        op_progress(userdata, done, total, "%s", text);
}

static void on_done(void *userdata, int r, const struct pm2_restore_result *result, const struct error *error)
{
        struct op *op = userdata;
        struct restoring *self = op->state;
        struct pm2_outcome outcome;

        op->state = NULL;
        if (r < 0) {
                op_finish(op, r, "%s", error_text(error, r));
        } else {
                outcome = result->outcome;
                pm2_outcome_figures(op, &outcome);
                op_figure(op, "kept", "%zu", result->kept);
                pm2_outcome_finish(op, &outcome, result->settled_us);
        }
        restoring_free(self);
}

static void fail(struct op *op, int r, const struct error *error)
{
        op->state = restoring_free(op->state);
        op_finish(op, r, "%s", error_text(error, r));
}

static int begin_restore(struct op *op, struct restoring *self, struct error *error)
{
        struct pm2_restore_options options = {0};

        return pm2_restore_new(&self->restore, op->event, op->bus, &self->target.home, &self->snapshot,
                               &options, on_progress, on_done, op, error);
}

static void on_released(void *userdata, int r, const char *units, const struct error *cause)
{
        struct op *op = userdata;
        struct error error = {0};

        if (r < 0)
                op_figure(op, "boot-unit", "%.100s could not be enabled again: %.100s", units,
                          error_text(cause, r));
        else
                op_figure(op, "boot-unit", "%.120s is enabled again", units);
        r = begin_restore(op, op->state, &error);
        if (r < 0)
                fail(op, r, &error);
}

/* First what the stop has held back: the boot is over, and the restore may fail. */
static int release_boot_unit(struct op *op, struct restoring *self, struct error *error)
{
        int r = -ENOENT;

        if (op->bus)
                r = pm2_boot_release(&self->boot, op->bus, &self->target.home, self->target.folder,
                                     on_released, op);
        if (r == 0)
                return 0;
        if (r != -ENOENT)
                op_figure(op, "boot-unit", "what was held back could not be enabled again: %s", strerror(-r));
        return begin_restore(op, self, error);
}

static int begin(struct op *op, struct error *error)
{
        struct restoring *self = op->state;
        int r = pm2_target_snapshot(&self->snapshot, &self->target, op, error);

        return r < 0 ? r : release_boot_unit(op, self, error);
}

static int start(struct op *op, struct error *error)
{
        cleanup_with(restoring_freep) struct restoring *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        r = pm2_target_init(&self->target, op, begin, fail, error);
        if (r < 0)
                return r;
        op->state = TAKE(self);
        return 0;
}

static void cancel(struct op *op)
{
        op->state = restoring_free(op->state);
}

const struct op_type op_pm2_restore = {OPERATION_PM2_RESTORE, start, cancel};
