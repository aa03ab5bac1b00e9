/* See stop.h. */
#include "agent/pm2/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pm2/client.h"
#include "agent/pm2/leftover.h"
#include "agent/pm2/reaper.h"
#include "agent/pm2/state.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define CALL_US         (30 * USEC_PER_SEC)
#define KILL_TIMEOUT_MS 1600 /* PM2's own, where nothing says otherwise */
#define DAEMON_US       (5 * USEC_PER_SEC)
#define KILL_US         (10 * USEC_PER_SEC) /* until what is killed has ended */
#define ROUNDS          4                   /* of looking whether something was started meanwhile */
#define TELL_US         (2 * USEC_PER_SEC)

struct pm2_stop {
        sd_event *event;
        struct pm2_home home;
        struct pm2_stop_options options;
        pm2_stop_progress progress;
        pm2_stop_done done;
        void *userdata;
        sd_event_source *begin, *telling;
        pm2_client *client;
        struct pm2_list list;
        reaper *reaper;
        int signal;
        uint32_t kill_timeout_ms;
        bool shutdown_message; /* all are told by one */
        size_t calls;          /* under way */
        bool reaping;          /* under way */
        bool by_pm2;           /* PM2 was asked to stop some, in this round */
        size_t left;           /* processes that do not end, of this round */
        size_t ended, total;   /* processes */
        uint64_t begun, until; /* until: what was told to end has its time */
        unsigned round;
        struct pm2_stop_result result;
};

pm2_stop *pm2_stop_free(pm2_stop *self)
{
        if (!self)
                return NULL;
        pm2_client_free(self->client);
        reaper_free(self->reaper);
        pm2_list_clear(&self->list);
        sd_event_source_disable_unref(self->begin);
        sd_event_source_disable_unref(self->telling);
        sd_event_unref(self->event);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_stop *, pm2_stop_free);

/* The callee may free it: nothing is touched after. */
static void finish(pm2_stop *self, int r, const struct error *cause)
{
        struct error error = cause ? *cause : (struct error){0};

        if (r < 0)
                error_prefix(&error, r, "stopping PM2 home %s", self->home.path);
        self->client = pm2_client_free(self->client);
        self->reaper = reaper_free(self->reaper);
        self->begin = sd_event_source_disable_unref(self->begin);
        self->telling = sd_event_source_disable_unref(self->telling);
        self->result.took_us = time_monotonic_us() - self->begun;
        self->done(self->userdata, r, &self->result, &error);
}

/* What is told is the time that the apps may take: as long as they have it, the stop does not stand still. */
static void tell(pm2_stop *self)
{
        uint64_t now = time_monotonic_us();
        char text[TEXT_SIZE];

        if (self->calls > 0)
                snprintf(text, sizeof(text), "stopping: PM2 is at work on %zu apps", self->calls);
        else
                snprintf(text, sizeof(text), "stopping: %zu of %zu processes have ended", self->ended,
                         self->total);
        if (self->progress && (self->calls > 0 || self->total > 0))
                self->progress(self->userdata,
                               ((now < self->until ? now : self->until) - self->begun) / USEC_PER_MSEC,
                               (self->until - self->begun) / USEC_PER_MSEC, text);
}

static int on_telling(sd_event_source *source, uint64_t now, void *userdata)
{
        int r = sd_event_source_set_time_relative(source, TELL_US);

        tell(userdata);
        return r;
}

/* Something gets so long to end by itself. */
static int allow(pm2_stop *self, uint64_t grace_us)
{
        uint64_t until = time_monotonic_us() + grace_us + KILL_US;
        int r;

        self->until = until > self->until ? until : self->until;
        if (self->telling)
                return 0;
        r = sd_event_add_time_relative(self->event, &self->telling, CLOCK_BOOTTIME, TELL_US, 0, on_telling,
                                       self);
        if (r >= 0)
                r = sd_event_source_set_enabled(self->telling, SD_EVENT_ON);
        return r < 0 ? r : 0;
}

static bool is_running(const struct pm2_app *app)
{
        return app->status != PM2_STOPPED && app->status != PM2_ERRORED;
}

static size_t count_running(const struct pm2_list *list)
{
        size_t count = 0;

        for (size_t i = 0; i < list->count; i++)
                count += is_running(&list->apps[i]);
        return count;
}

static uint64_t grace_us(const pm2_stop *self, uint32_t own_ms)
{
        return (own_ms ? own_ms : self->kill_timeout_ms) * USEC_PER_MSEC;
}

/* --- the daemon's end --------------------------------------------------------------------------------- */

static void on_daemon_end(void *userdata, size_t killed, size_t left)
{
        pm2_stop *self = userdata;
        struct error error = {0};
        int r = 0;

        self->result.killed += killed;
        if (left)
                r = error_set(&error, -EBUSY, "its daemon does not end, not even when killed");
        finish(self, r, &error);
}

/* killMe is not answered: the connection ends, or the time does. Then the process is waited for. */
static void on_kill_me(void *userdata, int r, json_t *answer, const struct error *error)
{
        pm2_stop *self = userdata;
        struct process_fact fact;
        pid_t pid = pm2_client_pid(self->client);

        self->client = pm2_client_free(self->client);
        self->reaper = reaper_free(self->reaper);
        r = reaper_new(&self->reaper, self->event, NULL, on_daemon_end, self);
        if (r == 0 && process_read(pid, &fact) == 0)
                r = reaper_add(self->reaper, &fact, 0, DAEMON_US);
        if (r == 0)
                r = reaper_wait(self->reaper);
        if (r < 0)
                finish(self, r, NULL);
}

static int end_daemon(pm2_stop *self)
{
        return pm2_client_call(self->client, "killMe", json_pack("[{}]"), 300 * USEC_PER_MSEC, on_kill_me,
                               self);
}

/* --- signals to the apps ------------------------------------------------------------------------------ */

static int look(pm2_stop *self);

/* An app that PM2 would bring back by a timer of its own, or that it tells to stop by a message. */
static bool needs_pm2(const pm2_stop *self, const struct pm2_app *app)
{
        return is_running(app) && (!self->options.end_daemon || app->status == PM2_WAITING ||
                                   self->shutdown_message || app->shutdown_message);
}

/* The first app that is still there; a process below one, where all of them are gone. */
static int name_left(const pm2_stop *self, size_t left, struct error *error)
{
        struct process_fact fact;

        for (size_t i = 0; i < self->list.count; i++) {
                const struct pm2_app *app = &self->list.apps[i];

                if (app->pid > 1 && process_read(app->pid, &fact) == 0 && fact.state != 'Z')
                        return error_set(error, -EBUSY,
                                         "%zu processes do not end, not even when killed: app %s (%lld), "
                                         "process %d, is in state %c of the kernel",
                                         left, app->name, (long long)app->pm_id, (int)app->pid, fact.state);
        }
        return error_set(error, -EBUSY, "%zu processes below its apps do not end, not even when killed",
                         left);
}

/* Goes on when both have done their part, PM2 and the reaper. What PM2 could not end it calls errored, and
 * the next round's reaper has it: only then is known what is stuck. */
static void end_round(pm2_stop *self)
{
        struct error error = {0};
        int r;

        if (self->calls > 0 || self->reaping)
                return;
        if (self->left == 0 || self->by_pm2) {
                r = look(self);
        } else if (self->options.leave_stuck) {
                self->result.stuck = self->left;
                r = end_daemon(self);
        } else {
                r = name_left(self, self->left, &error);
        }
        if (r < 0)
                finish(self, r, &error);
}

static void on_reaped(void *userdata, size_t killed, size_t left)
{
        pm2_stop *self = userdata;

        self->result.killed += killed;
        self->left = left;
        self->reaping = false;
        end_round(self);
}

static void on_reap_progress(void *userdata, size_t ended, size_t total)
{
        pm2_stop *self = userdata;

        self->ended = ended;
        self->total = total;
        tell(self);
}

/* One process more that the reaper ends. */
static int reap(pm2_stop *self, const struct process_fact *fact, uint64_t grace_us)
{
        int r = reaper_add(self->reaper, fact, self->signal, grace_us);

        return r < 0 ? r : allow(self, grace_us);
}

/* The app's process and, where PM2 would do so, all below it. Ids come from the home's daemon: only what the
 * kernel shows below that daemon is touched, whatever PM2 says of it: an app that it could not kill is
 * errored and lives. */
static int signal_app(pm2_stop *self, const struct pm2_app *app, const struct process_fact *all, size_t count)
{
        pid_t daemon = pm2_client_pid(self->client);
        int r = 0;

        if (app->pid <= 1 || !process_is_below(all, count, app->pid, daemon))
                return 0;
        for (size_t i = 0; i < count && r == 0; i++)
                if (all[i].pid == app->pid ||
                    (app->treekill && process_is_below(all, count, all[i].pid, app->pid)))
                        r = reap(self, &all[i], grace_us(self, app->kill_timeout_ms));
        return r;
}

/* All but those that PM2 is asked to stop. */
static int signal_others(pm2_stop *self)
{
        cleanup_free struct process_fact *all = NULL;
        size_t count = 0;
        int r;

        self->reaper = reaper_free(self->reaper);
        r = reaper_new(&self->reaper, self->event, on_reap_progress, on_reaped, self);
        if (r == 0)
                r = process_read_all(&all, &count);
        for (size_t i = 0; i < self->list.count && r == 0; i++)
                if (!needs_pm2(self, &self->list.apps[i]))
                        r = signal_app(self, &self->list.apps[i], all, count);
        self->reaping = r == 0;
        return r < 0 ? r : reaper_wait(self->reaper);
}

/* --- stopping by PM2 ---------------------------------------------------------------------------------- */

/* An app that was gone already is refused; whether all are stopped is seen in the list. */
static void on_asked(void *userdata, int r, json_t *answer, const struct error *error)
{
        pm2_stop *self = userdata;

        self->calls--;
        if (r < 0 && r != -EREMOTEIO) {
                finish(self, r, error);
                return;
        }
        tell(self);
        end_round(self);
}

/* PM2 knows by now that it is being killed, so that it brings nothing back. */
static void on_noted(void *userdata, int r, json_t *answer, const struct error *error)
{
        pm2_stop *self = userdata;

        self->calls--;
        if (r == 0)
                r = signal_others(self);
        if (r < 0)
                finish(self, r, error);
}

static int ask(pm2_stop *self)
{
        int r = 0;

        self->left = 0;
        self->by_pm2 = false;
        if (self->options.end_daemon) {
                r = pm2_client_tell(self->client, "notifyKillPM2", json_array());
                if (r == 0)
                        r = pm2_client_call(self->client, "ping", json_pack("[{}]"), CALL_US, on_noted, self);
                self->calls += r == 0;
        }
        for (size_t i = 0; i < self->list.count && r == 0; i++) {
                const struct pm2_app *app = &self->list.apps[i];
                json_int_t id = app->pm_id;

                if (!needs_pm2(self, app))
                        continue;
                r = pm2_client_tell(self->client, "stopWatch", json_pack("[s, I]", "stopProcessId", id));
                if (r == 0)
                        r = pm2_client_call(self->client, "stopProcessId", json_pack("[I]", id),
                                            CALL_US + 2 * grace_us(self, app->kill_timeout_ms), on_asked,
                                            self);
                self->calls += r == 0;
                self->by_pm2 = true;
                if (r == 0)
                        r = allow(self, grace_us(self, app->kill_timeout_ms));
        }
        if (r == 0)
                end_round(self);
        return r;
}

/* --- looking ------------------------------------------------------------------------------------------ */

/* An app that has not ended, or NULL. With the daemon in its being-killed state a status may stay "stopping"
 * or "launching" for good; there the processes count. */
static const struct pm2_app *find_open(const pm2_stop *self)
{
        cleanup_free struct process_fact *all = NULL;
        size_t count = 0;
        bool by_process = self->options.end_daemon && process_read_all(&all, &count) == 0;
        pid_t daemon = pm2_client_pid(self->client);

        for (size_t i = 0; i < self->list.count; i++) {
                const struct pm2_app *app = &self->list.apps[i];
                bool lives = app->pid > 1 && process_is_below(all, count, app->pid, daemon);

                if (by_process ? lives || app->status == PM2_WAITING : is_running(app))
                        return app;
        }
        return NULL;
}

static void on_list(void *userdata, int r, json_t *answer, const struct error *cause)
{
        pm2_stop *self = userdata;
        struct error error = cause ? *cause : (struct error){0};
        const struct pm2_app *open;

        pm2_list_clear(&self->list);
        if (r == 0)
                r = pm2_list_decode(&self->list, answer, &error);
        if (r < 0) {
                finish(self, r, &error);
                return;
        }
        open = find_open(self);
        if (self->round++ == 0) {
                self->result.apps = self->list.count;
                self->result.running = count_running(&self->list);
        } else if (!open) {
                r = self->options.end_daemon ? end_daemon(self) : 0;
                if (r < 0 || !self->options.end_daemon)
                        finish(self, r, NULL);
                return;
        }
        if (self->round > ROUNDS)
                r = error_set(&error, -EBUSY, "app %s (%lld) is still %s", open->name, (long long)open->pm_id,
                              open->status_text);
        else
                r = ask(self);
        if (r < 0)
                finish(self, r, &error);
}

static int look(pm2_stop *self)
{
        return pm2_client_call(self->client, "getMonitorData", json_pack("[{}]"), CALL_US, on_list, self);
}

/* --- the beginning ----------------------------------------------------------------------------------------
 */

static int signal_number(const char *name)
{
        static const struct {
                const char *name;
                int number;
        } signals[] = {{"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT}, {"SIGHUP", SIGHUP},
                       {"SIGKILL", SIGKILL}, {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}};

        for (size_t i = 0; i < ELEMENTS(signals); i++)
                if (text_equal(name, signals[i].name))
                        return signals[i].number;
        return SIGINT;
}

/* The daemon's environment sets the signal and the time for all of its apps, and whether it is a message
 * instead, which PM2 takes any text to mean, "false" too. */
static void read_settings(pm2_stop *self, const json_t *env)
{
        json_int_t timeout = json_number(env, "PM2_KILL_TIMEOUT", 0);

        self->signal = signal_number(json_text(env, "PM2_KILL_SIGNAL"));
        self->shutdown_message = json_text(env, "PM2_KILL_USE_MESSAGE")[0] != '\0';
        if (timeout > 0 && timeout < 3600 * 1000)
                self->kill_timeout_ms = (uint32_t)timeout;
}

static void on_report(void *userdata, int r, json_t *answer, const struct error *error)
{
        pm2_stop *self = userdata;

        if (r == 0) {
                read_settings(self, json_object_get(answer, "env"));
                r = look(self);
        }
        if (r < 0)
                finish(self, r, error);
}

static void on_leftovers_end(void *userdata, size_t killed, size_t left)
{
        pm2_stop *self = userdata;
        struct error error = {0};
        int r = 0;

        self->result.killed += killed;
        self->result.stuck = left;
        if (left && !self->options.leave_stuck)
                r = error_set(&error, -EBUSY, "%zu processes of a daemon that is gone do not end", left);
        finish(self, r, &error);
}

/* No daemon answers. One without its socket is killed (terminated, it would write a dump); apps without their
 * daemon end as they would have by it, but that nobody can send them a message any more. */
static int stop_leftovers(pm2_stop *self)
{
        cleanup_free struct pm2_leftover *found = NULL;
        size_t count = 0;
        int r;

        self->result.no_daemon = true;
        read_settings(self, self->options.daemon_env);
        r = pm2_leftovers_find(&self->home, &found, &count);
        if (r == 0)
                r = reaper_new(&self->reaper, self->event, on_reap_progress, on_leftovers_end, self);
        for (size_t i = 0; i < count && r == 0; i++)
                if (found[i].daemon)
                        r = reaper_add(self->reaper, &found[i].fact, SIGKILL, DAEMON_US);
        for (size_t i = 0; i < count && r == 0; i++) {
                if (found[i].daemon)
                        continue;
                self->result.leftovers++;
                r = reap(self, &found[i].fact, grace_us(self, found[i].kill_timeout_ms));
        }
        return r < 0 ? r : reaper_wait(self->reaper);
}

static int on_begin(sd_event_source *source, uint64_t now, void *userdata)
{
        pm2_stop *self = userdata;
        struct error error = {0};
        int r = pm2_client_new(&self->client, self->event, &self->home, 0, &error);

        if (r == -ENOENT || r == -ECONNREFUSED) {
                error = (struct error){0};
                r = stop_leftovers(self);
                if (r < 0)
                        finish(self, r, &error);
                return 0;
        }
        if (r == 0)
                r = pm2_client_call(self->client, "getReport", json_pack("[{}]"), CALL_US, on_report, self);
        if (r < 0)
                finish(self, r, &error);
        return 0;
}

int pm2_stop_new(pm2_stop **ret, sd_event *event, const struct pm2_home *home,
                 const struct pm2_stop_options *options, pm2_stop_progress progress, pm2_stop_done done,
                 void *userdata, struct error *error)
{
        cleanup_with(pm2_stop_freep) pm2_stop *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        *self = (pm2_stop){.event = sd_event_ref(event),
                           .home = *home,
                           .options = *options,
                           .progress = progress,
                           .done = done,
                           .userdata = userdata,
                           .kill_timeout_ms = KILL_TIMEOUT_MS,
                           .begun = time_monotonic_us()};
        self->until = self->begun;
        r = sd_event_add_time_relative(event, &self->begin, CLOCK_BOOTTIME, 0, 1, on_begin, self);
        if (r < 0)
                return error_set(error, r, "cannot set a timer: %s", strerror(-r));
        *ret = TAKE(self);
        return 0;
}
