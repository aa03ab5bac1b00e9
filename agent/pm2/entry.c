/* What an app looks like on its way to PM2. See register.h; the why of each line is in PM2's God.js (prepare,
 * executeApp) and God/ActionMethods.js (restartProcessId). */
#include <string.h>

#include "agent/pm2/place.h"
#include "agent/pm2/register.h"

/* Of an app's earlier life; PM2 makes them anew. Left out of what is sent, which halves it. */
static const char *const past[] = {"axm_actions",  "axm_monitor", "axm_options",
                                   "axm_dynamic",  "versioning",  "created_at",
                                   "restart_task", "_tree_pids",  "prev_restart_delay"};

static json_t *without_past(const struct pm2_app *app)
{
        json_t *env = json_copy(app->env);

        for (size_t i = 0; env && i < ELEMENTS(past); i++)
                json_object_del(env, past[i]);
        return env;
}

json_t *pm2_entry_env(const struct pm2_app *app)
{
        json_t *env = pm2_status_runs(app->status) ? without_past(app) : json_copy(app->env);
        int r = 0;

        if (!env)
                return NULL;
        /* With instances PM2 would start that many, at other ids. It comes back with the start. */
        json_object_del(env, "instances");
        /* PM2 writes into it without looking. */
        if (!json_is_object(json_object_get(env, "env")))
                r = json_object_set_new(env, "env", json_object());
        if (r == 0)
                r = json_object_set_new(env, "status", json_string("stopped"));
        if (r < 0) {
                json_decref(env);
                return NULL;
        }
        return env;
}

/* All settings for what was only placed. PM2 takes the text "null" as an order to delete. */
static json_t *placed_settings(const struct pm2_app *app)
{
        static const char *const own[] = {"status", "pm_id", "pm_uptime"};
        json_t *settings = without_past(app), *bookmark = pm2_place_bookmark(app), *value;
        const char *key;
        int r = settings && bookmark ? 0 : -1;

        for (size_t i = 0; settings && i < ELEMENTS(own); i++)
                json_object_del(settings, own[i]);
        if (r == 0)
                json_object_foreach(bookmark, key, value)
                {
                        if (!json_object_get(app->env, key) && strcmp(key, "env") != 0)
                                r |= json_object_set_new(settings, key, json_string("null"));
                }
        json_decref(bookmark);
        if (r < 0) {
                json_decref(settings);
                return NULL;
        }
        return settings;
}

json_t *pm2_entry_restart(const struct pm2_app *app, enum pm2_entry entry)
{
        json_t *instances = json_object_get(app->env, "instances");
        json_t *unique = json_object_get(json_object_get(app->env, "env"), "unique_id");
        json_t *settings = entry == PM2_ENTRY_PLACE ? placed_settings(app) : json_object();
        json_t *env = json_object(), *options = NULL;

        if (!settings || !env)
                goto end;
        if (instances && json_object_set(settings, "instances", instances) < 0)
                goto end;
        if (unique && json_object_set(env, "unique_id", unique) < 0)
                goto end;
        if (json_object_set(env, "current_conf", settings) < 0)
                goto end;
        options = json_pack("{s:I, s:O}", "id", (json_int_t)app->pm_id, "env", env);
end:
        json_decref(settings);
        json_decref(env);
        return options;
}
