/* pm2.verify: the snapshot against the live list, once that has settled; every difference named. */
#include <errno.h>
#include <stdlib.h>

#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "agent/pm2/verify.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"

struct verifying {
        struct pm2_target target;
        struct pm2_snapshot snapshot;
        pm2_verify *verify;
        uint64_t begun;
};

static struct verifying *verifying_free(struct verifying *self)
{
        if (!self)
                return NULL;
        pm2_target_clear(&self->target);
        pm2_verify_free(self->verify);
        pm2_snapshot_clear(&self->snapshot);
        free(self);
        pm2_give_back();
        return NULL;
}
DEFINE_CLEANUP(struct verifying *, verifying_free);

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
                pm2_outcome_finish(op, outcome, time_monotonic_us() - self->begun);
        }
        verifying_free(self);
}

static void fail(struct op *op, int r, const struct error *error)
{
        op->state = verifying_free(op->state);
        op_finish(op, r, "%s", error_text(error, r));
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

static int start(struct op *op, struct error *error)
{
        cleanup_with(verifying_freep) struct verifying *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        self->begun = time_monotonic_us();
        r = pm2_target_init(&self->target, op, begin, fail, error);
        if (r < 0)
                return r;
        op->state = TAKE(self);
        return 0;
}

static void cancel(struct op *op)
{
        op->state = verifying_free(op->state);
}

const struct op_type op_pm2_verify = {OPERATION_PM2_VERIFY, start, cancel};
