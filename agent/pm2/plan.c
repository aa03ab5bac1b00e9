/* See plan.h. */
#include "agent/pm2/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/pm2/diff.h"

bool pm2_plan_runs(const struct pm2_app *app, const struct pm2_plan_options *options)
{
        return pm2_status_runs(app->status) || (app->status == PM2_ERRORED && options->start_errored);
}

bool pm2_plan_can_insert(const struct pm2_app *app, const struct pm2_plan_options *options)
{
        return pm2_plan_runs(app, options) ? !app->watch : !app->cron[0];
}

void pm2_plan_clear(struct pm2_plan *plan)
{
        free(plan->actions);
        free(plan->removals);
        *plan = (struct pm2_plan){0};
}

static enum pm2_action action_for(const struct pm2_app *app, const struct pm2_app *live,
                                  const struct pm2_plan_options *options)
{
        if (!live || !pm2_app_same(app, live))
                return PM2_ADD;
        if (pm2_plan_runs(app, options))
                return pm2_status_runs(live->status) ? PM2_KEEP : PM2_START;
        if (live->status == PM2_STOPPED || live->status == app->status)
                return PM2_KEEP;
        return PM2_STOP;
}

static void decide(struct pm2_plan *plan, const struct pm2_list *wanted, const struct pm2_list *live,
                   const struct pm2_plan_options *options)
{
        plan->highest = -1;
        plan->removal_count = 0;
        for (size_t i = 0; i < live->count; i++) {
                const struct pm2_app *app = &live->apps[i], *before = pm2_list_find(wanted, app->pm_id);
                bool stays = before ? pm2_app_same(before, app) : options->keep_extra;

                if (stays && !plan->rebuild)
                        plan->highest = app->pm_id;
                else
                        plan->removals[plan->removal_count++] = app->pm_id;
        }
        for (size_t i = 0; i < wanted->count; i++)
                plan->actions[i] = plan->rebuild
                                           ? PM2_ADD
                                           : action_for(&wanted->apps[i],
                                                        pm2_list_find(live, wanted->apps[i].pm_id), options);
}

/* Whether an app has to come in where PM2's counter has passed, and cannot. The counter is beyond every id
 * that was ever live, as long as one app stays. */
static bool must_rebuild(const struct pm2_plan *plan, const struct pm2_list *wanted,
                         const struct pm2_list *live, const struct pm2_plan_options *options)
{
        int64_t passed = live->count ? live->apps[live->count - 1].pm_id : -1;

        if (plan->highest < 0)
                return false;
        for (size_t i = 0; i < wanted->count; i++)
                if (plan->actions[i] == PM2_ADD && wanted->apps[i].pm_id <= passed &&
                    !pm2_plan_can_insert(&wanted->apps[i], options))
                        return true;
        return false;
}

static void count_actions(struct pm2_plan *plan, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                plan->add_count += plan->actions[i] == PM2_ADD;
                plan->start_count += plan->actions[i] == PM2_START;
                plan->stop_count += plan->actions[i] == PM2_STOP;
                plan->keep_count += plan->actions[i] == PM2_KEEP;
        }
}

int pm2_plan_make(struct pm2_plan *ret, const struct pm2_list *wanted, const struct pm2_list *live,
                  const struct pm2_plan_options *options, struct error *error)
{
        cleanup_pm2_plan struct pm2_plan plan = {.rebuild = options->rebuild};

        plan.actions = calloc(wanted->count + 1, sizeof(*plan.actions));
        plan.removals = calloc(live->count + 1, sizeof(*plan.removals));
        if (!plan.actions || !plan.removals)
                return -ENOMEM;
        decide(&plan, wanted, live, options);
        if (!plan.rebuild && must_rebuild(&plan, wanted, live, options)) {
                plan.rebuild = true;
                decide(&plan, wanted, live, options);
        }
        if (plan.rebuild && options->keep_extra)
                for (size_t i = 0; i < live->count; i++)
                        if (!pm2_list_find(wanted, live->apps[i].pm_id))
                                return error_set(
                                        error, -ENOTSUP,
                                        "the ids of the snapshot can only be had by building the list "
                                        "anew, but app %s (%lld) is to be kept: delete it, or allow "
                                        "extra apps to be removed",
                                        live->apps[i].name, (long long)live->apps[i].pm_id);
        count_actions(&plan, wanted->count);
        *ret = plan;
        plan = (struct pm2_plan){0};
        return 0;
}
