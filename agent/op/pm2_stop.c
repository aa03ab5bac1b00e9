/* pm2.stop: all apps of a home, and its daemon, which otherwise would write them into its dump as stopped
 * when the host goes down. Only with a snapshot to come back to; what was started after that was saved is
 * saved beside it before it goes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/op/pm2_common.h"
#include "agent/op/table.h"
#include "agent/pm2/boot.h"
#include "agent/pm2/stop.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define READ_US    (30 * USEC_PER_SEC)
#define LATE       "-late" /* the second snapshot's name ends so */
#define LATE_MOST  8       /* of them: far fewer than are kept, or they would push out the first */
#define LATE_NAMED 6

struct stopping {
        struct pm2_target target; /* first */
        struct pm2_snapshot snapshot;
        pm2_read *read;
        pm2_boot *boot;
        pm2_stop *stop;
        size_t late;                            /* apps that the snapshot does not know as they are */
        char named_late[LATE_NAMED][TEXT_SIZE]; /* the first of them */
        char late_name[NAME_SIZE];              /* the snapshot's that they are saved in */
};

static void clear(void *state)
{
        struct stopping *self = state;

        pm2_read_free(self->read);
        pm2_boot_free(self->boot);
        pm2_stop_free(self->stop);
        pm2_snapshot_clear(&self->snapshot);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total, const char *text)
{
        op_progress(userdata, done, total, "%s", text);
}

static void on_stopped(void *userdata, int r, const struct pm2_stop_result *result, const struct error *error)
{
        struct op *op = userdata;
        struct stopping *self = op->state;
        char took[32], late[TEXT_SIZE * 2] = "";

        if (r < 0) {
                pm2_target_fail(op, r, error);
                return;
        }
        time_duration_text(took, sizeof(took), result->took_us);
        if (self->late)
                snprintf(late, sizeof(late),
                         "; %zu differ from the snapshot and were saved beside it as %s, first: %.200s",
                         self->late, self->late_name, self->named_late[0]);
        op_figure(op, "apps", "%zu", result->apps);
        op_figure(op, "running", "%zu", result->running);
        op_figure(op, "killed", "%zu", result->killed);
        op_figure(op, "late", "%zu", self->late);
        if (self->late)
                op_figure(op, "late-snapshot", "%s", self->late_name);
        for (size_t i = 0; i < self->late && i < LATE_NAMED; i++)
                op_figure(op, "late-app", "%s", self->named_late[i]);
        op_figure(op, "took-ms", "%" PRIu64, (uint64_t)(result->took_us / USEC_PER_MSEC));
        op->state = NULL;
        if (result->no_daemon)
                op_finish(op, 0, "no PM2 daemon runs");
        else
                op_finish(op, 0, "%zu running apps of %zu stopped in %s, %zu processes had to be killed%s",
                          result->running, result->apps, took, result->killed, late);
        pm2_target_free(&self->target);
}

static int begin_stop(struct op *op, struct error *error)
{
        struct stopping *self = op->state;
        struct pm2_stop_options options = {.end_daemon = true, .daemon_env = self->snapshot.daemon.env};

        return pm2_stop_new(&self->stop, op->event, &self->target.home, &options, on_progress, on_stopped, op,
                            error);
}

/* That it could not be held back is said; the restore copes with what it starts. */
static void on_held(void *userdata, int r, const char *units, const struct error *cause)
{
        struct op *op = userdata;
        struct error error = {0};

        if (r < 0)
                op_figure(op, "boot-unit", "%.100s was not held back: %.100s", units, error_text(cause, r));
        else if (units[0])
                op_figure(op, "boot-unit", "%.120s is disabled until the restore", units);
        r = begin_stop(op, &error);
        if (r < 0)
                pm2_target_fail(op, r, &error);
}

static int hold_boot_unit(struct op *op, struct error *error)
{
        struct stopping *self = op->state;
        int r;

        if (!op->bus)
                return begin_stop(op, error);
        r = pm2_boot_hold(&self->boot, op->bus, &self->target.home, self->target.folder, self->snapshot.name,
                          on_held, op);
        if (r < 0)
                return error_set(error, r, "cannot ask systemd for units that start PM2 at boot: %s",
                                 strerror(-r));
        return 0;
}

/* How many apps of the list are not in the snapshot as they are defined; ret_named NULL or the first of them.
 * Those that are only in a state other than the saved one can come back; other definitions are about to be
 * lost, and are written down. */
static int find_late(const struct pm2_snapshot *snapshot, const struct pm2_list *list, size_t *ret,
                     char (*ret_named)[TEXT_SIZE])
{
        cleanup_pm2_diff struct pm2_diff diff = {0};
        int r = pm2_diff_compute(&diff, &snapshot->list, list, PM2_DIFF_NO_STATUS);
        int64_t last = -1; /* an app counts once, however much of it differs */
        size_t late = 0;

        for (size_t i = 0; i < diff.count && r == 0; i++) {
                const struct pm2_difference *item = &diff.items[i];

                if (text_equal(item->what, "missing") || text_equal(item->what, "instances") ||
                    item->pm_id == last)
                        continue;
                last = item->pm_id;
                if (ret_named && late < LATE_NAMED)
                        pm2_difference_text(item, ret_named[late], TEXT_SIZE);
                late++;
        }
        if (r == 0)
                *ret = late;
        return r;
}

/* An earlier attempt may have saved some of them, before others were started. 1: all are saved as late_name;
 * 0: that name is free. */
static int choose_late_name(struct stopping *self, const struct pm2_list *list, struct error *error)
{
        for (unsigned i = 1; i <= LATE_MOST; i++) {
                cleanup_pm2_snapshot struct pm2_snapshot there = {0};
                char ending[32] = LATE;
                size_t late;
                int r;

                if (i > 1)
                        snprintf(ending, sizeof(ending), LATE "-%u", i);
                snprintf(self->late_name, sizeof(self->late_name), "%.*s%s",
                         (int)(NAME_SIZE - 1 - strlen(ending)), self->snapshot.name, ending);
                r = pm2_snapshot_read(&there, self->target.folder, &self->target.home, self->late_name, NULL);
                if (r == -ENOENT)
                        return 0;
                if (r == 0)
                        r = find_late(&there, list, &late, NULL);
                if (r == -ENOMEM)
                        return r;
                if (r == 0 && late == 0)
                        return 1;
        }
        return error_set(error, -EEXIST,
                         "%zu apps are not in the snapshot, nor all of them in one beside it, up to %s",
                         self->late, self->late_name);
}

static void on_late_saved(struct op *op, int r, struct pm2_list *list, const struct error *cause)
{
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = hold_boot_unit(op, &error);
        if (r < 0)
                pm2_target_fail(op, r, &error);
}

static void on_read(void *userdata, int r, struct pm2_list *list, struct pm2_daemon_facts *facts,
                    const struct error *cause)
{
        struct op *op = userdata;
        struct stopping *self = op->state;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = find_late(&self->snapshot, list, &self->late, self->named_late);
        if (r == 0 && self->late)
                r = choose_late_name(self, list, &error);
        if (r == 0 && self->late)
                r = pm2_target_write(&self->target, self->late_name, list, facts, on_late_saved);
        else if (r >= 0)
                r = hold_boot_unit(op, &error);
        if (r < 0)
                pm2_target_fail(op, r, &error);
}

static int begin(struct op *op, struct error *error)
{
        struct stopping *self = op->state;
        int r = pm2_target_snapshot(&self->snapshot, &self->target, op, error);

        if (r < 0)
                return error_prefix(error, r, "PM2 is not stopped without a snapshot to come back to");
        r = pm2_read_new(&self->read, op->event, &self->target.home, true, READ_US, on_read, op, error);
        if (r == -ENOENT || r == -ECONNREFUSED)
                r = hold_boot_unit(op, error); /* the stop finds the same, and says so */
        return r;
}

static const struct pm2_work work = {sizeof(struct stopping), begin, pm2_target_fail, clear};

static int start(struct op *op, struct error *error)
{
        return pm2_target_start(op, &work, error);
}

const struct op_type op_pm2_stop = {OPERATION_PM2_STOP, start, pm2_target_cancel};
