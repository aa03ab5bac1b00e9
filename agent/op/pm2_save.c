/* pm2.save: the exact state of a PM2 home as a snapshot on this host. A name that exists is left as it is, so
 * that repeating a save never takes a later state for the one that is to come back. It is written and synced
 * beside the loop; one that comes to its end after the operation has given it up is as good as any: a whole
 * snapshot of the moment that its name stands for. */
#include <errno.h>
#include <stdlib.h>

#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"

#define READ_US (30 * USEC_PER_SEC)

struct save {
        struct pm2_target target;
        pm2_read *read;
};

static struct save *save_free(struct save *save)
{
        if (!save)
                return NULL;
        pm2_target_clear(&save->target);
        pm2_read_free(save->read);
        free(save);
        pm2_give_back();
        return NULL;
}
DEFINE_CLEANUP(struct save *, save_free);

static void tell(struct op *op, const struct pm2_list *list, const char *how)
{
        size_t online = pm2_list_count(list, PM2_ONLINE), stopped = pm2_list_count(list, PM2_STOPPED);
        size_t errored = pm2_list_count(list, PM2_ERRORED);

        op_figure(op, "apps", "%zu", list->count);
        op_figure(op, "online", "%zu", online);
        op_figure(op, "stopped", "%zu", stopped);
        op_figure(op, "errored", "%zu", errored);
        op_finish(op, 0, "%s: %zu apps, %zu online, %zu stopped, %zu errored", how, list->count, online,
                  stopped, errored);
}

static void fail(struct op *op, int r, const struct error *error)
{
        op->state = save_free(op->state);
        op_finish(op, r, "%s", error_text(error, r));
}

static void on_written(struct op *op, int r, struct pm2_list *list, const struct error *error)
{
        cleanup_pm2_list struct pm2_list written = {0};

        if (r < 0) {
                fail(op, r, error);
                return;
        }
        written = *list;
        *list = (struct pm2_list){0};
        op->state = save_free(op->state);
        tell(op, &written, "saved");
}

static void on_read(void *userdata, int r, struct pm2_list *list, struct pm2_daemon_facts *facts,
                    const struct error *cause)
{
        struct op *op = userdata;
        struct save *save = op->state;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = pm2_target_write(&save->target, op->request.snapshot, list, facts, on_written);
        if (r < 0)
                fail(op, r, &error);
}

static int begin(struct op *op, struct error *error)
{
        struct save *save = op->state;
        cleanup_pm2_snapshot struct pm2_snapshot there = {0};
        int r = pm2_target_snapshot(&there, &save->target, op, error);

        if (r == 0) {
                op->state = save_free(save);
                tell(op, &there.list, "was saved already");
                return 0;
        }
        if (r != -ENOENT)
                return r;
        *error = (struct error){0};
        return pm2_read_new(&save->read, op->event, &save->target.home, true, READ_US, on_read, op, error);
}

static int start(struct op *op, struct error *error)
{
        cleanup_with(save_freep) struct save *save = calloc(1, sizeof(*save));
        int r;

        if (!save)
                return -ENOMEM;
        r = pm2_target_init(&save->target, op, begin, fail, error);
        if (r < 0)
                return r;
        op->state = TAKE(save);
        return 0;
}

static void cancel(struct op *op)
{
        op->state = save_free(op->state);
}

const struct op_type op_pm2_save = {OPERATION_PM2_SAVE, start, cancel};
