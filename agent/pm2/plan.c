/* See plan.h. */
#include "agent/pm2/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/pm2/diff.h"

bool pm2_plan_runs(const struct pm2_app *app, const struct pm2_plan_options *options)
{
        return pm2_status_runs(app->status) || (app->status == PM2_ERRORED && options->start_errored);
}

void pm2_plan_clear(struct pm2_plan *plan)
{
        free(plan->actions);
        free(plan->removals);
        *plan = (struct pm2_plan){0};
}

/* PM2's list says that files are to be watched, not that they are: what it has resurrected as stopped it does
 * not watch, not even once that was started. So what is stopped and watched is put there again. */
static bool watches_are_unsure(const struct pm2_app *live)
{
        return live->watch && live->status == PM2_STOPPED;
}

static enum pm2_action action_for(const struct pm2_app *app, const struct pm2_app *live,
                                  const struct pm2_plan_options *options)
{
        if (pm2_refused_reason(options->refused, app->pm_id))
                return PM2_KEEP;
        if (!live || !pm2_app_same(app, live))
                return PM2_ADD;
        if (pm2_plan_runs(app, options)) {
                if (pm2_status_runs(live->status))
                        return PM2_KEEP;
                return watches_are_unsure(live) ? PM2_ADD : PM2_START;
        }
        if (live->status == PM2_STOPPED || live->status == app->status)
                return watches_are_unsure(live) ? PM2_AGAIN : PM2_KEEP;
        return PM2_STOP;
}

static void count_actions(struct pm2_plan *plan, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                plan->add_count += plan->actions[i] == PM2_ADD;
                plan->start_count += plan->actions[i] == PM2_START;
                plan->stop_count += plan->actions[i] == PM2_STOP;
                plan->keep_count += plan->actions[i] == PM2_KEEP || plan->actions[i] == PM2_AGAIN;
        }
}

int pm2_plan_make(struct pm2_plan *ret, const struct pm2_list *wanted, const struct pm2_list *live,
                  const struct pm2_plan_options *options)
{
        cleanup_pm2_plan struct pm2_plan plan = {.highest = -1};

        plan.actions = calloc(wanted->count + 1, sizeof(*plan.actions));
        plan.removals = calloc(live->count + 1, sizeof(*plan.removals));
        if (!plan.actions || !plan.removals)
                return -ENOMEM;
        for (size_t i = 0; i < live->count; i++) {
                const struct pm2_app *app = &live->apps[i], *before = pm2_list_find(wanted, app->pm_id);

                if (pm2_refused_reason(options->refused, app->pm_id) ||
                    (before ? pm2_app_same(before, app) : options->keep_extra))
                        plan.highest = app->pm_id;
                else
                        plan.removals[plan.removal_count++] = app->pm_id;
        }
        for (size_t i = 0; i < wanted->count; i++)
                plan.actions[i] =
                        action_for(&wanted->apps[i], pm2_list_find(live, wanted->apps[i].pm_id), options);
        count_actions(&plan, wanted->count);
        *ret = plan;
        plan = (struct pm2_plan){0};
        return 0;
}
