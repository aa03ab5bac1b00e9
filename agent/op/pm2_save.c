/* pm2.save: the exact state of a PM2 home as a snapshot on this host. A name that exists is left as it is, so
 * that repeating a save never takes a later state for the one that is to come back. It is written and synced
 * beside the loop; one that comes to its end after the operation has given it up is as good as any: a whole
 * snapshot of the moment that its name stands for. */
#include <errno.h>
#include <stdlib.h>

#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/loop/aside.h"

#define READ_US  (30 * USEC_PER_SEC)
#define WRITE_US (20 * USEC_PER_SEC)

struct save {
        struct pm2_target target;
        pm2_read *read;
        aside *aside;
};

/* What is written. */
struct writing {
        struct pm2_home home;
        char folder[PATH_SIZE], name[NAME_SIZE];
        struct pm2_list list;          /* owned */
        struct pm2_daemon_facts facts; /* owned */
        uint64_t saved_us;
        int result;
        struct error error;
};

static struct save *save_free(struct save *save)
{
        if (!save)
                return NULL;
        pm2_target_clear(&save->target);
        pm2_read_free(save->read);
        aside_free(save->aside);
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

/* --- writing, beside the loop --------------------------------------------------------------------------- */

static void write_snapshot(void *data)
{
        struct writing *writing = data;

        writing->result =
                pm2_snapshot_write(writing->folder, &writing->home, writing->name, &writing->list,
                                   &writing->facts, writing->saved_us, PM2_SNAPSHOTS_KEPT, &writing->error);
}

static void clear_writing(void *data)
{
        struct writing *writing = data;

        pm2_list_clear(&writing->list);
        pm2_daemon_facts_clear(&writing->facts);
}

static void on_written(int result, void *data, void *userdata)
{
        struct op *op = userdata;
        struct save *save = op->state;
        struct writing *writing = data;
        cleanup_pm2_list struct pm2_list list = {0};
        struct error error = {0};

        if (!writing) {
                error_set(&error, result,
                          "the snapshot was not written within %llu s: the disk of %s does not answer",
                          WRITE_US / USEC_PER_SEC, save->target.folder);
                fail(op, result, &error);
                return;
        }
        if (writing->result < 0) {
                error = writing->error;
                fail(op, writing->result, &error);
                return;
        }
        list = writing->list;
        writing->list = (struct pm2_list){0};
        op->state = save_free(save);
        tell(op, &list, "saved");
}

static int begin_writing(struct op *op, struct pm2_list *list, struct pm2_daemon_facts *facts)
{
        struct save *save = op->state;
        struct writing writing = {.home = save->target.home, .saved_us = time_realtime_us()};
        int r = aside_new_once(&save->aside, op->event);

        if (r < 0)
                return r;
        TEXT_COPY(writing.folder, save->target.folder);
        TEXT_COPY(writing.name, op->request.snapshot);
        writing.list = *list;
        writing.facts = *facts;
        r = aside_run_owning(save->aside, &writing, sizeof(writing), write_snapshot, clear_writing, WRITE_US,
                             on_written, op);
        if (r < 0)
                return r;
        *list = (struct pm2_list){0}; /* theirs now */
        *facts = (struct pm2_daemon_facts){0};
        return 0;
}

static void on_read(void *userdata, int r, struct pm2_list *list, struct pm2_daemon_facts *facts,
                    const struct error *cause)
{
        struct op *op = userdata;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = begin_writing(op, list, facts);
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
