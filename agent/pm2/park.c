/* See park.h. */
#include "agent/pm2/park.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pm2/process.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define AT_ONCE         8
#define KILL_TIMEOUT_MS 2000 /* the stand-in's, should it not be killed from here */

struct parked {
        pm2_park *self;
        const struct pm2_app *app;
        struct process_fact stand_in;
        unsigned pending; /* answers to stop and restart */
        bool begun, ended, ran;
        bool clocked; /* its clock has been set */
        bool refused; /* PM2 does not go on with it */
};

struct pm2_park {
        sd_event_source *begin;
        pm2_client *client;
        struct parked *parked;
        struct pm2_refused *refused;
        size_t count, under_way, ended;
        uint64_t timeout_us;
        pm2_park_done done;
        void *userdata;
        bool over;
};

pm2_park *pm2_park_free(pm2_park *self)
{
        if (!self)
                return NULL;
        sd_event_source_disable_unref(self->begin);
        free(self->parked);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_park *, pm2_park_free);

/* --- what is sent ------------------------------------------------------------------------------------- */

/* What the stand-in has instead of the app's own; each comes back with the settings. Not the pid file: PM2
 * unlinks that when a process ends, so it is never a path of anybody else. */
static json_t *disguise(void)
{
        return json_pack(
                "{s:s, s:s, s:[s,s], s:[], s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:i, s:s, s:s, s:s}",
                "pm_exec_path", "/bin/sh", "exec_interpreter", "none", "args", "-c",
                "trap '' INT TERM HUP QUIT USR1 USR2; exec sleep 3600", "node_args", "exec_mode", "fork_mode",
                "pm_cwd", "/", "autostart", 1, "autorestart", 0, "watch", 0, "wait_ready", 0, "treekill", 0,
                "shutdown_with_message", 0, "kill_timeout", KILL_TIMEOUT_MS, "status", "launching",
                "pm_out_log_path", "/dev/null", "pm_err_log_path", "/dev/null");
}

json_t *pm2_park_stand_in(const struct pm2_app *app)
{
        static const char *const off[] = {"instances",    "uid",
                                          "gid",          "restart_delay",
                                          "cron_restart", "exp_backoff_restart_delay",
                                          "pm_log_path",  "stop_exit_codes",
                                          "created_at"};
        json_t *env = json_copy(app->env), *clothes = disguise();
        int r = env && clothes ? json_object_update(env, clothes) : -1;

        json_decref(clothes);
        if (r == 0 && !json_is_object(json_object_get(env, "env")))
                r = json_object_set_new(env, "env", json_object());
        if (r < 0) {
                json_decref(env);
                return NULL;
        }
        for (size_t i = 0; i < ELEMENTS(off); i++)
                json_object_del(env, off[i]);
        return env;
}

/* All settings of the app, and PM2's word for deleting those of the disguise that it has not. */
json_t *pm2_park_settings(const struct pm2_app *app)
{
        static const char *const own[] = {"env", "status", "pm_id"};
        json_t *settings = json_copy(app->env), *clothes = disguise(), *env = json_object(), *value,
               *options = NULL;
        json_t *unique = json_object_get(json_object_get(app->env, "env"), "unique_id");
        const char *key;

        if (!settings || !clothes || !env)
                goto end;
        json_object_foreach(clothes, key, value)
        {
                if (!json_object_get(settings, key) &&
                    json_object_set_new(settings, key, json_string("null")) < 0)
                        goto end;
        }
        for (size_t i = 0; i < ELEMENTS(own); i++)
                json_object_del(settings, own[i]);
        if (unique && json_object_set(env, "unique_id", unique) < 0)
                goto end;
        if (json_object_set(env, "current_conf", settings) < 0)
                goto end;
        options = json_pack("{s:I, s:O}", "id", (json_int_t)app->pm_id, "env", env);
end:
        json_decref(settings);
        json_decref(clothes);
        json_decref(env);
        return options;
}

json_t *pm2_park_clock(const struct pm2_app *app)
{
        static const char nowhere[] = "/proc/version/none"; /* below a file: for root too */

        return json_pack("{s:I, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:{}}", "pm_id",
                         (json_int_t)app->pm_id, "name", app->name, "namespace", app->space, "status",
                         "launching", "autostart", 1, "cron_restart", app->cron, "exec_mode", "fork_mode",
                         "exec_interpreter", "none", "pm_exec_path", "/bin/false", "pm_out_log_path", nowhere,
                         "pm_err_log_path", nowhere, "env");
}

/* --- one after the other ----------------------------------------------------------------------------------
 */

/* The callee may free it: nothing is touched after. */
static void finish(pm2_park *self, int r, const struct error *error)
{
        if (self->over)
                return;
        self->over = true;
        self->done(self->userdata, r, error);
}

static void fail(struct parked *parked, int r, const struct error *cause)
{
        struct error error = cause ? *cause : (struct error){0};

        error_prefix(&error, r, "registering stopped app %s (%lld)", parked->app->name,
                     (long long)parked->app->pm_id);
        finish(parked->self, r, &error);
}

static int go_on(pm2_park *self);

static void answered(struct parked *parked);

/* An answer that is not the one hoped for: a refusal ends this app, all else ends everything. */
static void failed(struct parked *parked, int r, const struct error *error)
{
        if (r == -EREMOTEIO) {
                parked->refused = true;
                r = pm2_refused_add(parked->self->refused, parked->app->pm_id, error);
        }
        if (r < 0)
                fail(parked, r, error);
        else
                answered(parked);
}

static void on_stopped(void *userdata, int r, json_t *answer, const struct error *error)
{
        if (r < 0)
                failed(userdata, r, error);
        else
                answered(userdata);
}

/* Refused is right. Where PM2 has started the app after all, it is stopped again. */
static void on_refused(void *userdata, int r, json_t *answer, const struct error *error)
{
        struct parked *parked = userdata;
        int fd;

        if (r < 0 && r != -EREMOTEIO) {
                fail(parked, r, error);
                return;
        }
        if (r == 0)
                parked->ran = true;
        fd = process_open(&parked->stand_in);
        if (fd >= 0) {
                process_signal(fd, SIGKILL);
                close(fd);
        }
        answered(parked);
}

/* Refused is right here too: nothing was started, but its clock has been set. */
static void on_clocked(void *userdata, int r, json_t *answer, const struct error *cause)
{
        struct error error = cause ? *cause : (struct error){0};

        if (r == -EREMOTEIO) {
                answered(userdata);
                return;
        }
        if (r == 0)
                r = error_set(&error, -EREMOTEIO,
                              "PM2 has started what it should only have set the clock for");
        failed(userdata, r, &error);
}

static int call(struct parked *parked, const char *method, json_t *value, pm2_reply callback)
{
        int r = pm2_client_call(parked->self->client, method, value ? json_pack("[o]", value) : NULL,
                                parked->self->timeout_us, callback, parked);

        parked->pending += r == 0;
        return r;
}

static void answered(struct parked *parked)
{
        pm2_park *self = parked->self;
        int r = 0;

        if (--parked->pending > 0)
                return;
        if (parked->ran && !parked->refused) {
                parked->ran = false;
                r = call(parked, "stopProcessId", json_integer((json_int_t)parked->app->pm_id), on_stopped);
                if (r < 0)
                        fail(parked, r, NULL);
                return;
        }
        if (parked->app->cron[0] && !parked->clocked && !parked->refused) {
                parked->clocked = true;
                r = call(parked, "prepare", pm2_park_clock(parked->app), on_clocked);
                if (r < 0)
                        fail(parked, r, NULL);
                return;
        }
        parked->ended = true;
        self->under_way--;
        self->ended++;
        r = go_on(self);
        if (r < 0)
                fail(parked, r, NULL);
}

/* The stand-in runs. Stop and settings go out in one piece: PM2 takes the second before the first has ended.
 */
static void on_started(void *userdata, int r, json_t *answer, const struct error *cause)
{
        struct parked *parked = userdata;
        pm2_client *client = parked->self->client;
        json_int_t pid = json_number(json_object_get(json_array_get(answer, 0), "process"), "pid", 0);
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0 && (pid <= 1 || pid > INT32_MAX || process_read((pid_t)pid, &parked->stand_in) < 0 ||
                       parked->stand_in.parent != pm2_client_pid(client)))
                r = error_set(&error, -EREMOTEIO, "what was to stand in for it did not stay");
        if (r < 0) {
                failed(parked, r, &error);
                return;
        }
        r = call(parked, "stopProcessId", json_integer((json_int_t)parked->app->pm_id), on_stopped);
        if (r == 0)
                r = call(parked, "restartProcessId", pm2_park_settings(parked->app), on_refused);
        if (r < 0)
                fail(parked, r, NULL);
        else
                answered(parked);
}

static int go_on(pm2_park *self)
{
        for (size_t i = 0; i < self->count && self->under_way < AT_ONCE; i++) {
                struct parked *parked = &self->parked[i];
                int r;

                if (parked->begun)
                        continue;
                r = call(parked, "prepare", pm2_park_stand_in(parked->app), on_started);
                if (r < 0)
                        return r;
                parked->begun = true;
                self->under_way++;
        }
        if (self->ended == self->count)
                finish(self, 0, NULL);
        return 0;
}

static int on_begin(sd_event_source *source, uint64_t now, void *userdata)
{
        pm2_park *self = userdata;
        int r = go_on(self);

        if (r < 0)
                finish(self, r, NULL);
        return 0;
}

int pm2_park_new(pm2_park **ret, sd_event *event, pm2_client *client, const struct pm2_app *const *apps,
                 size_t count, struct pm2_refused *refused, uint64_t timeout_us, pm2_park_done done,
                 void *userdata)
{
        cleanup_with(pm2_park_freep) pm2_park *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        *self = (pm2_park){.client = client,
                           .count = count,
                           .refused = refused,
                           .timeout_us = timeout_us,
                           .done = done,
                           .userdata = userdata};
        self->parked = calloc(count + 1, sizeof(*self->parked));
        if (!self->parked)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                self->parked[i] = (struct parked){.self = self, .app = apps[i]};
        r = sd_event_add_time_relative(event, &self->begin, CLOCK_BOOTTIME, 0, 1, on_begin, self);
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}
