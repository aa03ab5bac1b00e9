/* See place.h; what PM2 does with it is in its God.js (executeApp), God/ActionMethods.js (startWatch) and
 * Watcher.js. */
#include "agent/pm2/place.h"

#include <errno.h>
#include <stdlib.h>

struct placed {
        pm2_place *self;
        const struct pm2_app *app;
};

struct pm2_place {
        pm2_client *client;
        struct placed *placed;
        struct pm2_refused *refused;
        size_t pending; /* answers */
        pm2_place_done done;
        void *userdata;
        bool over;
};

pm2_place *pm2_place_free(pm2_place *self)
{
        if (!self)
                return NULL;
        free(self->placed);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_place *, pm2_place_free);

/* --- what is sent ------------------------------------------------------------------------------------- */

/* What PM2 would watch of its own accord: the list or path, or where there is only a yes, the app's folder.
 */
static json_t *watched(const struct pm2_app *app)
{
        json_t *watch = json_object_get(app->env, "watch");

        if (app->watch && (json_is_string(watch) || json_array_size(watch) > 0))
                return watch;
        return json_object_get(app->env, "pm_cwd");
}

/* Paths are relative to the app's folder, which PM2 takes from these options if they name one. */
static json_t *watch_options(const struct pm2_app *app)
{
        json_t *options = json_object_get(app->env, "watch_options"), *copy;
        json_t *folder = json_object_get(app->env, "pm_cwd");

        copy = json_is_object(options) ? json_copy(options) : json_object();
        if (copy && folder && !json_object_get(copy, "cwd") && json_object_set(copy, "cwd", folder) < 0) {
                json_decref(copy);
                return NULL;
        }
        return copy;
}

json_t *pm2_place_bookmark(const struct pm2_app *app)
{
        static const char *const copied[] = {"name", "namespace", "ignore_watch", "watch_delay"};
        json_t *env = json_pack("{s:I, s:s, s:b, s:b, s:s, s:s, s:O*, s:o, s:{}}", "pm_id",
                                (json_int_t)app->pm_id, "status", "launching", "autostart", 0, "watch", 0,
                                "exec_mode", "fork_mode", "pm_exec_path", "/bin/false", "pm_cwd",
                                watched(app), "watch_options", watch_options(app), "env");

        for (size_t i = 0; env && i < ELEMENTS(copied); i++) {
                json_t *value = json_object_get(app->env, copied[i]);

                if (value && json_object_set(env, copied[i], value) < 0) {
                        json_decref(env);
                        return NULL;
                }
        }
        return env;
}

/* --- sending ------------------------------------------------------------------------------------------ */

static void on_answer(void *userdata, int r, json_t *answer, const struct error *cause)
{
        struct placed *placed = userdata;
        pm2_place *self = placed->self;
        struct error error = cause ? *cause : (struct error){0};

        self->pending--;
        if (r == -EREMOTEIO)
                r = pm2_refused_add(self->refused, placed->app->pm_id, cause);
        if (self->over || (r == 0 && self->pending > 0))
                return;
        if (r < 0)
                error_prefix(&error, r, "placing app %s (%lld)", placed->app->name,
                             (long long)placed->app->pm_id);
        self->over = true;
        self->done(self->userdata, r, &error); /* may free it */
}

static int place(pm2_place *self, struct placed *placed, uint64_t timeout_us)
{
        json_t *env = pm2_place_bookmark(placed->app);
        int r = pm2_client_call(self->client, "prepare", env ? json_pack("[o]", env) : NULL, timeout_us,
                                on_answer, placed);

        self->pending += r == 0;
        if (r < 0 || !placed->app->watch)
                return r;
        r = pm2_client_call(self->client, "startWatch",
                            json_pack("[s, {s:I}]", "restartProcessId", "id", (json_int_t)placed->app->pm_id),
                            timeout_us, on_answer, placed);
        self->pending += r == 0;
        return r;
}

int pm2_place_new(pm2_place **ret, pm2_client *client, const struct pm2_app *const *apps, size_t count,
                  struct pm2_refused *refused, uint64_t timeout_us, pm2_place_done done, void *userdata)
{
        cleanup_with(pm2_place_freep) pm2_place *self = calloc(1, sizeof(*self));
        int r = 0;

        if (!self)
                return -ENOMEM;
        *self = (pm2_place){.client = client, .refused = refused, .done = done, .userdata = userdata};
        self->placed = calloc(count + 1, sizeof(*self->placed));
        if (!self->placed)
                return -ENOMEM;
        for (size_t i = 0; i < count && r == 0; i++) {
                self->placed[i] = (struct placed){self, apps[i]};
                r = place(self, &self->placed[i], timeout_us);
        }
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}
