/* See outcome.h. */
#include "agent/pm2/outcome.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

#define REASONS_FIRST 16 /* more than anybody tells */

int pm2_outcome_items(const struct pm2_snapshot *snapshot, const struct pm2_plan_options *options,
                      struct pm2_settle_item **ret, size_t *ret_count)
{
        const struct pm2_list *list = &snapshot->list;
        struct pm2_settle_item *items = calloc(list->count + 1, sizeof(*items));
        size_t count = 0;

        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < list->count; i++)
                if (pm2_plan_runs(&list->apps[i], options))
                        items[count++] = (struct pm2_settle_item){.pm_id = list->apps[i].pm_id};
        *ret = items;
        *ret_count = count;
        return 0;
}

static void describe(struct pm2_failure *failure, const struct pm2_app *app, const char *reason)
{
        failure->pm_id = app->pm_id;
        text_copy_cut(failure->name, sizeof(failure->name), app->name);
        text_copy_cut(failure->reason, sizeof(failure->reason), reason);
}

/* Of an error, or else at all. */
static void quote(struct pm2_failure *failure, const struct pm2_home *home, const struct pm2_app *app,
                  uint64_t since_us)
{
        (void)pm2_home_tail(home, app->err_log, since_us, failure->log, sizeof(failure->log));
        if (!failure->log[0])
                (void)pm2_home_tail(home, app->out_log, since_us, failure->log, sizeof(failure->log));
}

/* errored that is stopped now, or runs where that was asked for, is what was promised; so are what was being
 * stopped and is stopped, and extra apps that were to be kept. */
static void leave_out_promised(struct pm2_diff *diff, const struct pm2_plan_options *options)
{
        size_t kept = 0;

        for (size_t i = 0; i < diff->count; i++) {
                const struct pm2_difference *item = &diff->items[i];
                bool errored = text_equal(item->before, "errored");
                bool held = text_equal(item->what, "status") &&
                            (errored || text_equal(item->before, "stopping")) &&
                            text_equal(item->after, errored && options->start_errored ? "online" : "stopped");
                bool extra = options->keep_extra && text_equal(item->what, "extra");

                if (!held && !extra)
                        diff->items[kept++] = *item;
        }
        diff->count = kept;
}

static bool differs(const struct pm2_diff *diff, const struct pm2_app *app)
{
        for (size_t i = 0; i < diff->count; i++)
                if (diff->items[i].pm_id == app->pm_id && !text_equal(diff->items[i].what, "extra"))
                        return true;
        return false;
}

static void judge(struct pm2_outcome *outcome, const struct pm2_home *home,
                  const struct pm2_snapshot *snapshot, const struct pm2_list *live,
                  const struct pm2_settle_item *items, const struct pm2_plan_options *options,
                  uint64_t since_us)
{
        for (size_t i = 0, k = 0; i < snapshot->list.count; i++) {
                const struct pm2_app *app = &snapshot->list.apps[i], *now = pm2_list_find(live, app->pm_id);
                bool good = !differs(&outcome->diff, app);

                if (pm2_plan_runs(app, options)) {
                        const struct pm2_settle_item *item = &items[k++];

                        outcome->wanted++;
                        if (item->state == PM2_SETTLED) {
                                outcome->online++;
                        } else {
                                struct pm2_failure *failure = &outcome->failed[outcome->failed_count++];

                                describe(failure, app, item->reason);
                                quote(failure, home, app, since_us);
                                good = false;
                        }
                } else if (now && now->status == PM2_STOPPED) {
                        outcome->stopped++;
                        if (app->status == PM2_ERRORED) {
                                struct pm2_failure *held = &outcome->held[outcome->held_count++];

                                describe(held, app, "was errored; it is registered and stopped");
                                quote(held, home, app, 0); /* of whenever it failed */
                        } else if (app->status == PM2_STOPPING) {
                                outcome->held_stopping++;
                                describe(&outcome->held[outcome->held_count++], app,
                                         "was being stopped; it is registered and stopped");
                        }
                }
                outcome->as_saved += good;
        }
}

/* How often each of them was restarted does not tell them apart, where their logs say the same. */
static bool failed_alike(const struct pm2_failure *a, const struct pm2_failure *b)
{
        return text_equal(a->log, b->log) && (a->log[0] || text_equal(a->reason, b->reason));
}

/* Those that failed as nobody before them did come first, otherwise all stay in order: one Redis that is
 * missing takes a hundred apps with it, and of what is told with reasons and logs the first few are. */
static void put_new_reasons_first(struct pm2_failure *failed, size_t count)
{
        size_t first = 0;

        for (size_t i = 0; i < count && first < REASONS_FIRST; i++) {
                struct pm2_failure failure = failed[i];
                bool known = false;

                for (size_t k = 0; k < first && !known; k++)
                        known = failed_alike(&failed[k], &failure);
                if (known)
                        continue;
                memmove(&failed[first + 1], &failed[first], (i - first) * sizeof(*failed));
                failed[first++] = failure;
        }
}

int pm2_outcome_make(struct pm2_outcome *ret, const struct pm2_home *home,
                     const struct pm2_snapshot *snapshot, const struct pm2_list *live,
                     const struct pm2_settle_item *items, const struct pm2_plan_options *options,
                     uint64_t since_us)
{
        cleanup_pm2_outcome struct pm2_outcome outcome = {.expected = snapshot->list.count};
        int r;

        outcome.failed = calloc(outcome.expected + 1, sizeof(*outcome.failed));
        outcome.held = calloc(outcome.expected + 1, sizeof(*outcome.held));
        if (!outcome.failed || !outcome.held)
                return -ENOMEM;
        r = pm2_diff_compute(&outcome.diff, &snapshot->list, live, PM2_DIFF_RUNS);
        if (r < 0)
                return r;
        leave_out_promised(&outcome.diff, options);
        judge(&outcome, home, snapshot, live, items, options, since_us);
        put_new_reasons_first(outcome.failed, outcome.failed_count);
        *ret = outcome;
        outcome = (struct pm2_outcome){0};
        return 0;
}

void pm2_outcome_clear(struct pm2_outcome *outcome)
{
        free(outcome->failed);
        free(outcome->held);
        free(outcome->unready);
        pm2_diff_clear(&outcome->diff);
        *outcome = (struct pm2_outcome){0};
}
