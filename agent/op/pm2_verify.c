/* pm2.verify: the snapshot against the live list, once that has settled; every difference named. */
#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "agent/pm2/verify.h"
#include "common/base/time.h"

struct verifying {
        struct pm2_target target; /* first */
        struct pm2_snapshot snapshot;
        pm2_verify *verify;
};

static void clear(void *state)
{
        struct verifying *self = state;

        pm2_verify_free(self->verify);
        pm2_snapshot_clear(&self->snapshot);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total, const char *text)
{
        op_progress(userdata, done, total, "%s", text);
}

static void on_done(void *userdata, int r, const struct pm2_outcome *outcome, const struct error *error)
{
        struct op *op = userdata;
        struct verifying *self = op->state;

        op->state = NULL;
        if (r < 0) {
                op_finish(op, r, "%s", error_text(error, r));
        } else {
                pm2_outcome_figures(op, outcome);
                pm2_outcome_finish(op, outcome, time_monotonic_us() - self->target.begun_us);
        }
        pm2_target_free(&self->target);
}

static int begin(struct op *op, struct error *error)
{
        struct verifying *self = op->state;
        struct pm2_verify_options options = {.settle_us = op->request.settle_us};
        int r = pm2_target_snapshot(&self->snapshot, &self->target, op, error);

        if (r < 0)
                return r;
        return pm2_verify_new(&self->verify, op->event, &self->target.home, &self->snapshot, &options,
                              on_progress, on_done, op, error);
}

static const struct pm2_work work = {sizeof(struct verifying), begin, pm2_target_fail, clear};

static int start(struct op *op, struct error *error)
{
        return pm2_target_start(op, &work, error);
}

const struct op_type op_pm2_verify = {OPERATION_PM2_VERIFY, start, pm2_target_cancel};
