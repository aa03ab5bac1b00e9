/* pm2.save: the exact state of a PM2 home as a snapshot on this host. A name that exists is left as it is, so
 * that repeating a save never takes a later state for the one that is to come back. It is written and synced
 * beside the loop; one that comes to its end after the operation has given it up is as good as any: a whole
 * snapshot of the moment that its name stands for.
 *
 * An app that PM2 restarts is "stopping" for as long as its last process takes to end, and nothing tells it
 * from one that is to be stopped: so the list is read again until none is, for a while. What still is then is
 * saved as that, comes back stopped, and is named. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"

#define READ_US     (30 * USEC_PER_SEC)
#define STOPPING_US (10 * USEC_PER_SEC)
#define AGAIN_US    (250 * USEC_PER_MSEC)

struct save {
        struct pm2_target target; /* first */
        pm2_read *read;
        sd_event_source *again;
        uint64_t first_us; /* monotonic: the first reading */
};

static void clear(void *state)
{
        struct save *save = state;

        pm2_read_free(save->read);
        sd_event_source_disable_unref(save->again);
}

/* "" where no app is being stopped. */
static void name_stopping(const struct pm2_list *list, char *ret, size_t size)
{
        size_t count = pm2_list_count(list, PM2_STOPPING);

        ret[0] = '\0';
        for (size_t i = 0; i < list->count && count > 0 && !ret[0]; i++)
                if (list->apps[i].status == PM2_STOPPING)
                        snprintf(ret, size,
                                 "; %zu were still being stopped, and come back stopped, first: %.64s "
                                 "(%" PRId64 ")",
                                 count, list->apps[i].name, list->apps[i].pm_id);
}

static void tell(struct op *op, const struct pm2_list *list, const char *how)
{
        char stopping[TEXT_SIZE];
        size_t online = pm2_list_count(list, PM2_ONLINE), stopped = pm2_list_count(list, PM2_STOPPED);
        size_t errored = pm2_list_count(list, PM2_ERRORED);

        op_figure(op, "apps", "%zu", list->count);
        op_figure(op, "online", "%zu", online);
        op_figure(op, "stopped", "%zu", stopped);
        op_figure(op, "errored", "%zu", errored);
        name_stopping(list, stopping, sizeof(stopping));
        op_finish(op, 0, "%s: %zu apps, %zu online, %zu stopped, %zu errored%s", how, list->count, online,
                  stopped, errored, stopping);
}

static void on_written(struct op *op, int r, struct pm2_list *list, const struct error *error)
{
        cleanup_pm2_list struct pm2_list written = {0};

        if (r < 0) {
                pm2_target_fail(op, r, error);
                return;
        }
        written = *list;
        *list = (struct pm2_list){0};
        op->state = pm2_target_free(op->state);
        tell(op, &written, "saved");
}

static int read_list(struct op *op, struct error *error);

static int on_again(sd_event_source *source, uint64_t now, void *userdata)
{
        struct op *op = userdata;
        struct error error = {0};
        int r = read_list(op, &error);

        if (r < 0)
                pm2_target_fail(op, r, &error);
        return 0;
}

static int read_again(struct op *op)
{
        struct save *save = op->state;

        sd_event_source_disable_unref(TAKE(save->again));
        return sd_event_add_time_relative(op->event, &save->again, CLOCK_BOOTTIME, AGAIN_US, 1, on_again, op);
}

static void on_read(void *userdata, int r, struct pm2_list *list, struct pm2_daemon_facts *facts,
                    const struct error *cause)
{
        struct op *op = userdata;
        struct save *save = op->state;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0) {
                bool is_over = pm2_list_count(list, PM2_STOPPING) == 0 ||
                               time_monotonic_us() - save->first_us >= STOPPING_US;

                r = is_over ? pm2_target_write(&save->target, op->request.snapshot, list, facts, on_written)
                            : read_again(op);
        }
        if (r < 0)
                pm2_target_fail(op, r, &error);
}

static int read_list(struct op *op, struct error *error)
{
        struct save *save = op->state;

        save->read = pm2_read_free(save->read);
        return pm2_read_new(&save->read, op->event, &save->target.home, true, READ_US, on_read, op, error);
}

static int begin(struct op *op, struct error *error)
{
        struct save *save = op->state;
        cleanup_pm2_snapshot struct pm2_snapshot there = {0};
        int r = pm2_target_snapshot(&there, &save->target, op, error);

        if (r == 0) {
                op->state = pm2_target_free(op->state);
                tell(op, &there.list, "was saved already");
                return 0;
        }
        if (r != -ENOENT)
                return r;
        *error = (struct error){0};
        save->first_us = time_monotonic_us();
        return read_list(op, error);
}

static const struct pm2_work work = {sizeof(struct save), begin, pm2_target_fail, clear};

static int start(struct op *op, struct error *error)
{
        return pm2_target_start(op, &work, error);
}

const struct op_type op_pm2_save = {OPERATION_PM2_SAVE, start, pm2_target_cancel};
