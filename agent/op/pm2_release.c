/* pm2.release: enables again what pm2.stop has held back of a home's units that start its apps at boot, where
 * no restore has: its run was left, or the step skipped. */
#include <errno.h>
#include <string.h>

#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "agent/pm2/boot.h"
#include "common/base/text.h"

struct releasing {
        struct pm2_target target; /* first */
        pm2_boot *boot;
};

static void clear(void *state)
{
        struct releasing *self = state;

        pm2_boot_free(self->boot);
}

static void on_released(void *userdata, int r, const char *units, const struct error *cause)
{
        struct op *op = userdata;
        struct error error = {0};
        char names[TEXT_SIZE];

        text_copy_cut(names, sizeof(names), units);
        if (r < 0) {
                error_set(&error, r, "%s could not be enabled again: %s", names, error_text(cause, r));
                pm2_target_fail(op, r, &error);
                return;
        }
        op->state = pm2_target_free(op->state);
        if (names[0])
                op_finish(op, 0, "%s is enabled again", names);
        else
                op_finish(op, 0, "what was held back is gone: nothing to enable again");
}

static int begin(struct op *op, struct error *error)
{
        struct releasing *self = op->state;
        int r;

        if (!op->bus)
                return error_set(error, -ENOTCONN, "there is no system bus: no unit can be enabled");
        r = pm2_boot_release(&self->boot, op->bus, &self->target.home, self->target.folder, on_released, op);
        if (r == -ENOENT) {
                op->state = pm2_target_free(op->state);
                op_finish(op, 0, "nothing is held back");
                return 0;
        }
        return r < 0 ? error_set(error, r, "cannot ask systemd to enable what was held back: %s",
                                 strerror(-r))
                     : 0;
}

static const struct pm2_work work = {sizeof(struct releasing), begin, pm2_target_fail, clear};

static int start(struct op *op, struct error *error)
{
        return pm2_target_start(op, &work, error);
}

const struct op_type op_pm2_release = {OPERATION_PM2_RELEASE, start, pm2_target_cancel};
