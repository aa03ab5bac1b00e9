/* See state.h. */
#include "agent/pm2/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/time.h"

static const struct {
        enum pm2_status status;
        const char *name;
} statuses[] = {
        {PM2_ONLINE, "online"},     {PM2_LAUNCHING, "launching"}, {PM2_WAITING, "waiting restart"},
        {PM2_STOPPING, "stopping"}, {PM2_STOPPED, "stopped"},     {PM2_ERRORED, "errored"},
};

const char *pm2_status_name(enum pm2_status status)
{
        for (size_t i = 0; i < ELEMENTS(statuses); i++)
                if (statuses[i].status == status)
                        return statuses[i].name;
        return "other";
}

enum pm2_status pm2_status_parse(const char *text)
{
        for (size_t i = 0; i < ELEMENTS(statuses); i++)
                if (text_equal(statuses[i].name, text))
                        return statuses[i].status;
        return PM2_OTHER;
}

enum pm2_status pm2_status_judge(enum pm2_status status, bool given_up, bool ends)
{
        if (status != PM2_WAITING)
                return status;
        return given_up ? PM2_ERRORED : ends ? PM2_STOPPED : PM2_WAITING;
}

bool pm2_status_runs(enum pm2_status status)
{
        return status == PM2_ONLINE || status == PM2_LAUNCHING || status == PM2_WAITING;
}

/* What PM2 itself writes into an app's environment anew at each registration. */
static int skip_in_env(const char *key, const json_t *value, const void *userdata)
{
        return text_equal(key, "unique_id") || text_equal(key, "vizion_running");
}

/* What changes while an app runs or is compared on its own, and copies of environment variables, which PM2
 * folds into the settings at each start. */
static int skip_in_settings(const char *key, const json_t *value, const void *userdata)
{
        static const char *const changing[] = {
                "env",
                "status",
                "pm_id",
                "pm_uptime",
                "created_at",
                "restart_time",
                "exit_code",
                "unstable_restarts",
                "prev_restart_delay",
                "axm_actions",
                "axm_monitor",
                "axm_options",
                "axm_dynamic",
                "versioning",
                "version",
                "node_version",
                "vizion_running",
                "unique_id",
                "instances",
                "_pm2_version",
                "restart_task",
                "_tree_pids",
                "_km_monitored",
                "km_link",
                "command",
                "name",
                "namespace",
                "exec_mode",
                "pm_cwd",
                "pm_exec_path",
                "args",
                "exec_interpreter",
                "node_args",
                "cron_restart",
                "watch",
        };
        const json_t *env = userdata;

        for (size_t i = 0; i < ELEMENTS(changing); i++)
                if (text_equal(key, changing[i]))
                        return 1;
        return text_equal(key, json_text(env, "instance_var")) ||
               json_object_get(json_object_get(env, "env"), key);
}

/* JavaScript's undefined, null, false and "" all mean that it is not set. */
static int hash_setting(const json_t *env, const char *key, char ret[JSON_HASH_SIZE])
{
        const json_t *value = json_object_get(env, key);

        if (!json_truthy(value) || (json_is_array(value) && json_array_size(value) == 0)) {
                ret[0] = '\0';
                return 0;
        }
        return json_hash(value, NULL, NULL, ret);
}

static uint32_t number32(const json_t *object, const char *key, uint32_t fallback)
{
        json_int_t value = json_number(object, key, fallback);

        return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static bool setting_true(const json_t *env, const char *key, bool absent)
{
        const json_t *value = json_object_get(env, key);

        if (!value)
                return absent;
        return json_truthy(value) && !text_equal(json_string_value(value), "false");
}

static int hash_app(struct pm2_app *app)
{
        const json_t *env = app->env;
        int r = json_hash(json_object_get(env, "env"), skip_in_env, NULL, app->env_hash);

        if (r == 0)
                r = json_hash(env, skip_in_settings, env, app->settings_hash);
        if (r == 0)
                r = hash_setting(env, "args", app->args_hash);
        if (r == 0)
                r = hash_setting(env, "node_args", app->node_args_hash);
        if (r == 0)
                r = hash_setting(env, "watch", app->watch_hash);
        return r;
}

static int app_decode(struct pm2_app *app, const json_t *entry, struct error *error)
{
        json_t *env = json_object_get(entry, "pm2_env");
        const char *instance_key;
        const json_t *autorestart = json_object_get(env, "autorestart");
        enum pm2_status status;
        json_int_t started;

        if (!json_is_object(env))
                return error_set(error, -EBADMSG, "an app of PM2's list has no pm2_env");
        *app = (struct pm2_app){
                .pm_id = json_number(env, "pm_id", -1),
                .name = json_text(env, "name"),
                .space = json_text(env, "namespace"),
                .mode = json_text(env, "exec_mode"),
                .cwd = json_text(env, "pm_cwd"),
                .script = json_text(env, "pm_exec_path"),
                .interpreter = json_text(env, "exec_interpreter"),
                .cron = json_text(env, "cron_restart"),
                .out_log = json_text(env, "pm_out_log_path"),
                .err_log = json_text(env, "pm_err_log_path"),
                .restarts = number32(env, "restart_time", 0),
                .unstable_restarts = number32(env, "unstable_restarts", 0),
                .pid = (pid_t)number32(entry, "pid", 0),
                .kill_timeout_ms = number32(env, "kill_timeout", 0),
                .listen_timeout_ms = number32(env, "listen_timeout", 0),
                .autostart = setting_true(env, "autostart", true),
                .wait_ready = setting_true(env, "wait_ready", false),
                .module = setting_true(env, "pmx_module", false),
                .watch = setting_true(env, "watch", false),
                .treekill = json_is_true(json_object_get(env, "treekill")),
                .shutdown_message = setting_true(env, "shutdown_with_message", false),
        };
        status = pm2_status_parse(json_text(env, "status"));
        app->status = pm2_status_judge(status, json_is_null(json_object_get(env, "created_at")),
                                       json_is_false(autorestart) ||
                                               text_equal(json_string_value(autorestart), "false"));
        app->status_text = app->status == status ? json_text(env, "status") : pm2_status_name(app->status);
        if (app->pm_id < 0 || app->pm_id > PM2_ID_MAX)
                return error_set(error, -EBADMSG, "app %s of PM2's list: pm_id %lld is not 0 to %d",
                                 app->name, (long long)app->pm_id, PM2_ID_MAX);
        if (!app->space[0])
                app->space = "default";
        instance_key = json_text(env, "instance_var");
        app->instance = json_number(env, instance_key[0] ? instance_key : "NODE_APP_INSTANCE", -1);
        started = json_number(env, "pm_uptime", 0);
        app->uptime_us = started > 0 && started < INT64_MAX / 1000 ? (uint64_t)started * USEC_PER_MSEC : 0;
        app->env = json_incref(env);
        return hash_app(app);
}

static int compare_ids(const void *a, const void *b)
{
        const struct pm2_app *left = a, *right = b;

        return (left->pm_id > right->pm_id) - (left->pm_id < right->pm_id);
}

static int list_finish(struct pm2_list *list, struct error *error)
{
        qsort(list->apps, list->count, sizeof(*list->apps), compare_ids);
        for (size_t i = 0; i < list->count; i++) {
                struct pm2_app *app = &list->apps[i];

                if (i && app->pm_id == list->apps[i - 1].pm_id)
                        return error_set(error, -EBADMSG, "PM2's list has pm_id %lld twice",
                                         (long long)app->pm_id);
                for (size_t k = 0; k < list->count; k++)
                        if (text_equal(app->name, list->apps[k].name) &&
                            text_equal(app->space, list->apps[k].space))
                                app->instances++;
        }
        return 0;
}

int pm2_list_decode(struct pm2_list *ret, const json_t *data, struct error *error)
{
        cleanup_pm2_list struct pm2_list list = {0};
        size_t count = json_array_size(data);
        int r = 0;

        if (!json_is_array(data))
                return error_set(error, -EBADMSG, "PM2's list of apps is not an array");
        if (count > PM2_APPS_MAX)
                return error_set(error, -E2BIG, "PM2 has %zu apps; at most %d are handled", count,
                                 PM2_APPS_MAX);
        list.apps = calloc(count + 1, sizeof(*list.apps));
        if (!list.apps)
                return -ENOMEM;
        for (size_t i = 0; i < count && r == 0; i++) {
                r = app_decode(&list.apps[i], json_array_get(data, i), error);
                if (list.apps[i].env)
                        list.count = i + 1;
        }
        if (r == 0)
                r = list_finish(&list, error);
        if (r < 0)
                return r;
        *ret = list;
        list = (struct pm2_list){0};
        return 0;
}

void pm2_list_clear(struct pm2_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                json_decref(list->apps[i].env);
        free(list->apps);
        *list = (struct pm2_list){0};
}

const struct pm2_app *pm2_list_find(const struct pm2_list *list, int64_t pm_id)
{
        struct pm2_app key = {.pm_id = pm_id};

        if (list->count == 0)
                return NULL;
        return bsearch(&key, list->apps, list->count, sizeof(*list->apps), compare_ids);
}

size_t pm2_list_count(const struct pm2_list *list, enum pm2_status status)
{
        size_t count = 0;

        for (size_t i = 0; i < list->count; i++)
                count += list->apps[i].status == status;
        return count;
}

int pm2_daemon_facts_decode(struct pm2_daemon_facts *ret, const json_t *report, struct error *error)
{
        json_t *argv = json_object_get(report, "argv"), *env = json_object_get(report, "env");
        struct pm2_daemon_facts facts = {0};
        const char *exec, *script;

        exec = json_string_value(json_array_get(argv, 0));
        script = json_string_value(json_array_get(argv, 1));
        if (!exec || !script || !json_is_object(env))
                return error_set(error, -EBADMSG, "PM2's report does not say how the daemon was started");
        if (TEXT_COPY(facts.exec, exec) < 0 || TEXT_COPY(facts.script, script) < 0)
                return error_set(error, -ENAMETOOLONG, "PM2's report: a path longer than %d bytes",
                                 PATH_SIZE);
        if (json_object_size(env) > PM2_LIMIT_ENV)
                return error_set(error, -E2BIG, "PM2's daemon has more than %d variables", PM2_LIMIT_ENV);
        text_copy_cut(facts.version, sizeof(facts.version), json_text(report, "pm2_version"));
        facts.env = json_incref(env);
        *ret = facts;
        return 0;
}

void pm2_daemon_facts_clear(struct pm2_daemon_facts *facts)
{
        json_decref(facts->env);
        *facts = (struct pm2_daemon_facts){0};
}
