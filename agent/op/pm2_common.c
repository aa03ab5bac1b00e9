/* See pm2_common.h. */
#include "agent/op/pm2_common.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define WRITE_US (20 * USEC_PER_SEC)

/* Figures, whose number is bounded in all (FIGURE_MAX): each kind has its own, so that none is crowded out.
 */
#define FAILED_MOST      6 /* with reason and log; the names of the others follow */
#define FAILED_LISTS     2
#define HELD_LISTS       2
#define UNREADY_MOST     2
#define DIFFERENCES_MOST 2
#define COUNTS           7 /* of apps */
#define OTHERS           4 /* kept, stuck, boot-unit, dump: pm2_restore.c */
_Static_assert(COUNTS + 2 * FAILED_MOST + FAILED_LISTS + UNREADY_MOST + 1 + HELD_LISTS + DIFFERENCES_MOST +
                               OTHERS <=
                       FIGURE_MAX,
               "no figure is to be dropped");

static void on_found(void *userdata, int r, const struct pm2_home *home, const struct error *cause)
{
        struct pm2_target *target = userdata;
        struct op *op = target->op;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0) {
                target->home = *home;
                r = target->work->begin(op, &error);
        }
        if (r < 0)
                target->work->fail(op, r, &error);
}

static void freep(struct pm2_target **target)
{
        if (*target)
                pm2_target_free(*target);
}

int pm2_target_start(struct op *op, const struct pm2_work *work, struct error *error)
{
        cleanup_with(freep) struct pm2_target *target = calloc(1, work->size);
        int r;

        if (!target)
                return -ENOMEM;
        target->op = op;
        target->work = work;
        target->begun_us = time_monotonic_us();
        if (snprintf(target->folder, sizeof(target->folder), "%s/pm2", op->folder) >=
            (int)sizeof(target->folder))
                return error_set(error, -ENAMETOOLONG, "the agent's state folder has too long a path");
        r = pm2_find_new(&target->find, op->event, op->request.service.user, op->request.service.home, 0,
                         NULL, on_found, target, error);
        if (r < 0)
                return r;
        op->state = TAKE(target);
        return 0;
}

void pm2_target_fail(struct op *op, int r, const struct error *error)
{
        op->state = pm2_target_free(op->state);
        op_finish(op, r, "%s", error_text(error, r));
}

void pm2_target_cancel(struct op *op)
{
        op->state = pm2_target_free(op->state);
}

void *pm2_target_free(struct pm2_target *target)
{
        if (!target)
                return NULL;
        pm2_find_free(target->find);
        aside_free(target->aside);
        target->work->clear(target);
        free(target);
        malloc_trim(0);
        return NULL;
}

/* --- writing, beside the loop --------------------------------------------------------------------------- */

struct writing {
        struct pm2_home home;
        char folder[PATH_SIZE], name[NAME_SIZE];
        struct pm2_list list;          /* owned */
        struct pm2_daemon_facts facts; /* owned */
        uint64_t saved_us;
        int result;
        struct error error;
};

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
        struct pm2_target *target = userdata;
        struct writing *writing = data;
        struct error error = {0};

        if (writing) {
                error = writing->error;
                target->written(target->op, writing->result, &writing->list, &error);
                return;
        }
        error_set(&error, result,
                  "the snapshot was not written within %llu s: the disk of %s does not answer",
                  WRITE_US / USEC_PER_SEC, target->folder);
        target->written(target->op, result, NULL, &error);
}

int pm2_target_write(struct pm2_target *target, const char *name, struct pm2_list *list,
                     struct pm2_daemon_facts *facts, pm2_written done)
{
        struct writing writing = {.home = target->home, .saved_us = time_realtime_us()};
        int r = aside_new_once(&target->aside, target->op->event);

        if (r < 0)
                return r;
        target->written = done;
        TEXT_COPY(writing.folder, target->folder);
        TEXT_COPY(writing.name, name);
        writing.list = *list;
        writing.facts = *facts;
        r = aside_run_owning(target->aside, &writing, sizeof(writing), write_snapshot, clear_writing,
                             WRITE_US, on_written, target);
        if (r < 0)
                return r;
        *list = (struct pm2_list){0}; /* theirs now */
        *facts = (struct pm2_daemon_facts){0};
        return 0;
}

/* --- what they share besides ---------------------------------------------------------------------------- */

int pm2_target_snapshot(struct pm2_snapshot *ret, const struct pm2_target *target, const struct op *op,
                        struct error *error)
{
        if (!op->request.snapshot[0])
                return error_set(error, -EINVAL, "the request names no snapshot");
        return pm2_snapshot_read(ret, target->folder, &target->home, op->request.snapshot, error);
}

static void name_failures(struct op *op, const struct pm2_outcome *outcome)
{
        for (size_t i = 0; i < outcome->failed_count && i < FAILED_MOST; i++) {
                const struct pm2_failure *failure = &outcome->failed[i];

                op_figure(op, "failed-app", "%s (%" PRId64 "): %s", failure->name, failure->pm_id,
                          failure->reason);
                if (failure->log[0])
                        op_figure(op, "failed-log", "%s (%" PRId64 "): %s", failure->name, failure->pm_id,
                                  failure->log);
        }
}

static void name_unready(struct op *op, const struct pm2_outcome *outcome)
{
        for (size_t i = 0; i < outcome->unready_count && i < UNREADY_MOST; i++)
                op_figure(op, "unready-app", "%s (%" PRId64 "): %s", outcome->unready[i].name,
                          outcome->unready[i].pm_id, outcome->unready[i].reason);
}

/* As many names a figure as it holds; the last figure says how many more there are. */
static void list_names(struct op *op, const char *figure, const struct pm2_failure *apps, size_t count,
                       size_t lists)
{
        for (size_t i = 0; i < count && lists > 0; lists--) {
                char names[TEXT_SIZE - sizeof(" and 10000 more")] = "", more[TEXT_SIZE];
                size_t used = 0;

                do {
                        size_t length = strlen(apps[i].name);

                        if (used && used + length + 2 >= sizeof(names))
                                break;
                        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
                                                 apps[i].name);
                } while (++i < count && used < sizeof(names));
                snprintf(more, sizeof(more), " and %zu more", count - i);
                op_figure(op, figure, "%s%s", names, lists == 1 && i < count ? more : "");
        }
}

static void name_differences(struct op *op, const struct pm2_outcome *outcome)
{
        for (size_t i = 0; i < outcome->diff.count && i < DIFFERENCES_MOST; i++) {
                char text[TEXT_SIZE];

                pm2_difference_text(&outcome->diff.items[i], text, sizeof(text));
                op_figure(op, "difference", "%s", text);
        }
}

void pm2_outcome_figures(struct op *op, const struct pm2_outcome *outcome)
{
        size_t failed = outcome->failed_count < FAILED_MOST ? outcome->failed_count : FAILED_MOST;
        size_t unready = outcome->unready_count < UNREADY_MOST ? outcome->unready_count : UNREADY_MOST;

        op_figure(op, "expected", "%zu", outcome->expected);
        op_figure(op, "as-saved", "%zu", outcome->as_saved);
        op_figure(op, "wanted", "%zu", outcome->wanted);
        op_figure(op, "online", "%zu", outcome->online);
        op_figure(op, "stopped", "%zu", outcome->stopped);
        op_figure(op, "failed", "%zu", outcome->failed_count);
        op_figure(op, "held", "%zu", outcome->held_count);
        name_failures(op, outcome);
        list_names(op, "failed-apps", outcome->failed + failed, outcome->failed_count - failed, FAILED_LISTS);
        name_unready(op, outcome);
        list_names(op, "unready-apps", outcome->unready + unready, outcome->unready_count - unready, 1);
        list_names(op, "held-apps", outcome->held, outcome->held_count, HELD_LISTS);
        name_differences(op, outcome);
}

void pm2_outcome_finish(struct op *op, const struct pm2_outcome *outcome, uint64_t took_us)
{
        char took[32], first[TEXT_SIZE] = "", stopping[48] = "";
        size_t extra = 0;

        time_duration_text(took, sizeof(took), took_us);
        for (size_t i = 0; i < outcome->diff.count; i++)
                extra += text_equal(outcome->diff.items[i].what, "extra");
        if (outcome->as_saved == outcome->expected && extra == 0) {
                if (outcome->held_stopping)
                        snprintf(stopping, sizeof(stopping), ", %zu were being stopped",
                                 outcome->held_stopping);
                op_finish(op, 0,
                          "%zu of %zu apps as saved, %zu online, %zu stopped (%zu were errored%s) after %s",
                          outcome->as_saved, outcome->expected, outcome->online, outcome->stopped,
                          outcome->held_count - outcome->held_stopping, stopping, took);
                return;
        }
        if (outcome->failed_count)
                snprintf(first, sizeof(first), "%.64s (%" PRId64 "): %.160s", outcome->failed[0].name,
                         outcome->failed[0].pm_id, outcome->failed[0].reason);
        else if (outcome->diff.count)
                pm2_difference_text(&outcome->diff.items[0], first, sizeof(first));
        op_finish(op, -EREMOTEIO,
                  "%zu of %zu apps as saved, %zu of %zu online, %zu not in the snapshot; first: %s",
                  outcome->as_saved, outcome->expected, outcome->online, outcome->wanted, extra, first);
}
