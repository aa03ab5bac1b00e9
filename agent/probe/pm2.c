/* The reader of PM2 homes: asks the daemon for its list over its socket, takes names and states out of the
 * answer (agent/pm2/scan.h) and looks whether a unit would start apps at boot. A connection is made for each
 * reading: one that is held would keep `pm2 kill` waiting. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pm2/boot.h"
#include "agent/pm2/client.h"
#include "agent/pm2/find.h"
#include "agent/pm2/scan.h"
#include "agent/pm2/snapshot.h"
#include "agent/probe/probe.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define ANSWER_US    (10 * USEC_PER_SEC)
#define HOME_US      (60 * USEC_PER_SEC) /* how long it is taken for known whose the home is */
#define BOOT_UNIT_US (60 * USEC_PER_SEC) /* how long what is known of the boot unit is good for */

struct reading {
        struct pm2_home home;
        char snapshots[PATH_SIZE];
        aside *aside; /* what the home is looked at with */
        pm2_find *find;
        pm2_client *client;
        pm2_boot *boot;
        unsigned pending; /* answers that are still to come */
        struct service_state state;
        /* kept from one reading to the next */
        uint64_t home_at; /* 0: not found */
        char boot_unit[UNIT_SIZE];
        uint64_t boot_unit_at; /* 0: never looked */
};

static void drop(struct reading *self)
{
        self->find = pm2_find_free(self->find);
        self->client = pm2_client_free(self->client);
        self->boot = pm2_boot_free(self->boot);
        service_state_clear(&self->state);
        self->pending = 0;
}

static void cancel(struct probe *probe)
{
        struct reading *self = probe->state;

        if (!self)
                return;
        drop(self);
        aside_free(self->aside);
        free(self);
        probe->state = NULL;
}

/* --- the end of a reading ---------------------------------------------------------------------------------
 */

static enum service_phase phase_of(const struct pm2_state *pm2, size_t launching)
{
        if (!pm2->reachable)
                return PHASE_FAILED;
        if (pm2->app_count == 0 || pm2->app_count == pm2->stopped)
                return PHASE_STOPPED;
        if (launching)
                return PHASE_STARTING;
        return pm2->errored || pm2->other ? PHASE_DEGRADED : PHASE_READY;
}

static void describe(struct service_state *state)
{
        const struct pm2_state *pm2 = &state->pm2;

        if (!pm2->reachable)
                snprintf(state->detail, sizeof(state->detail), "%s", pm2->error);
        else if (pm2->app_count == 0)
                snprintf(state->detail, sizeof(state->detail), "PM2 %s holds no app", pm2->version);
        else
                snprintf(state->detail, sizeof(state->detail),
                         "PM2 %s: %u online, %u stopped, %u errored, %u other", pm2->version, pm2->online,
                         pm2->stopped, pm2->errored, pm2->other);
}

/* That apps will not start at the next boot is to be seen until the restore. */
static void name_held(struct reading *self, struct service_state *state)
{
        struct pm2_boot_held held;
        char text[TEXT_SIZE * 2 + UNIT_SIZE];

        pm2_boot_held(&held, self->snapshots, &self->home);
        if (!held.units[0])
                return;
        TEXT_COPY(state->pm2.held_unit, held.units);
        TEXT_COPY(state->pm2.held_run, held.run);
        state->pm2.held_since_us = held.since_us;
        state->pm2.boot_unit[0] = '\0'; /* what is known of it is of before */
        self->boot_unit_at = 0;
        snprintf(text, sizeof(text), "%s; %s is disabled until the restore", state->detail, held.units);
        text_copy_cut(state->detail, sizeof(state->detail), text);
}

static void finish(struct probe *probe)
{
        struct reading *self = probe->state;
        struct service_state state = self->state;

        self->state = (struct service_state){0};
        text_copy_cut(state.pm2.boot_unit, sizeof(state.pm2.boot_unit), self->boot_unit);
        if (pm2_snapshot_newest(self->snapshots, &self->home, state.pm2.last_snapshot) < 0)
                state.pm2.last_snapshot[0] = '\0';
        describe(&state);
        name_held(self, &state);
        drop(self);
        probe_done(probe, &state);
}

static void one_less(struct probe *probe)
{
        struct reading *self = probe->state;

        if (--self->pending == 0)
                finish(probe);
}

static void unreachable(struct probe *probe, int r, const struct error *error)
{
        struct reading *self = probe->state;

        self->state.pm2.reachable = false;
        self->state.phase = r == -ENOENT || r == -ECONNREFUSED ? PHASE_STOPPED : PHASE_FAILED;
        text_copy_cut(self->state.pm2.error, sizeof(self->state.pm2.error), error_text(error, r));
}

/* --- what PM2 says ------------------------------------------------------------------------------------ */

static void count_app(struct pm2_state *pm2, const struct pm2_brief *app, size_t *launching)
{
        pm2->online += app->status == PM2_ONLINE;
        pm2->stopped += app->status == PM2_STOPPED;
        pm2->errored += app->status == PM2_ERRORED;
        pm2->other += app->status != PM2_ONLINE && app->status != PM2_STOPPED && app->status != PM2_ERRORED;
        *launching += app->status == PM2_LAUNCHING;
}

static int take_list(struct service_state *state, const struct pm2_brief *apps, size_t count)
{
        struct pm2_state *pm2 = &state->pm2;
        uint64_t now = time_realtime_us();
        size_t launching = 0;

        pm2->apps = calloc(count + 1, sizeof(*pm2->apps));
        if (!pm2->apps)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                struct pm2_app_state *app = &pm2->apps[i];

                text_copy_cut(app->name, sizeof(app->name), apps[i].name);
                text_copy_cut(app->status, sizeof(app->status), apps[i].status_text);
                app->pm_id = (uint32_t)apps[i].pm_id;
                app->restarts = apps[i].restarts;
                if (apps[i].status == PM2_ONLINE && apps[i].uptime_us && now > apps[i].uptime_us)
                        app->uptime_ms = (now - apps[i].uptime_us) / USEC_PER_MSEC;
                count_app(pm2, &apps[i], &launching);
        }
        pm2->app_count = count;
        pm2->reachable = true;
        state->phase = phase_of(pm2, launching);
        return 0;
}

static void on_list(void *userdata, int r, const char *text, size_t size, const struct error *cause)
{
        struct probe *probe = userdata;
        struct reading *self = probe->state;
        cleanup_free struct pm2_brief *apps = NULL;
        struct error error = cause ? *cause : (struct error){0};
        size_t count = 0;

        if (r == 0) {
                r = pm2_scan(text, size, &apps, &count);
                if (r < 0)
                        error_set(&error, r, "PM2's list of apps cannot be understood: %s", strerror(-r));
        }
        if (r == 0)
                r = take_list(&self->state, apps, count);
        if (r < 0)
                unreachable(probe, r, &error);
        one_less(probe);
}

static void on_version(void *userdata, int r, json_t *answer, const struct error *error)
{
        struct probe *probe = userdata;
        struct reading *self = probe->state;

        if (r == 0 && json_is_string(answer))
                text_copy_cut(self->state.pm2.version, sizeof(self->state.pm2.version),
                              json_string_value(answer));
        one_less(probe);
}

/* --- a unit that starts apps at boot ----------------------------------------------------------------------
 */

static void on_units(void *userdata, int r, const char *units, const struct error *error)
{
        struct probe *probe = userdata;
        struct reading *self = probe->state;

        if (r == 0) {
                text_copy_cut(self->boot_unit, sizeof(self->boot_unit), units);
                self->boot_unit_at = time_monotonic_us();
        }
        self->boot = pm2_boot_free(self->boot);
        one_less(probe);
}

static void ask_units(struct probe *probe)
{
        struct reading *self = probe->state;

        if (!probe->bus || (self->boot_unit_at && time_monotonic_us() - self->boot_unit_at < BOOT_UNIT_US))
                return;
        if (pm2_boot_find(&self->boot, probe->bus, &self->home, on_units, probe) == 0)
                self->pending++;
}

/* --- the beginning ----------------------------------------------------------------------------------------
 */

static int ask_pm2(struct probe *probe, struct error *error)
{
        struct reading *self = probe->state;
        int r = pm2_client_new(&self->client, probe->event, &self->home, 0, error);

        if (r == 0)
                r = pm2_client_call_raw(self->client, "getMonitorData", json_pack("[{}]"), ANSWER_US, on_list,
                                        probe);
        if (r < 0)
                return r;
        self->pending++;
        r = pm2_client_call(self->client, "getVersion", json_pack("[{}]"), ANSWER_US, on_version, probe);
        if (r == 0)
                self->pending++;
        return 0;
}

static void ask(struct probe *probe)
{
        struct reading *self = probe->state;
        struct error error = {0};
        int r = ask_pm2(probe, &error);

        if (r < 0)
                unreachable(probe, r, &error);
        ask_units(probe);
        if (self->pending == 0)
                finish(probe);
}

static void on_found(void *userdata, int r, const struct pm2_home *home, const struct error *error)
{
        struct probe *probe = userdata;
        struct reading *self = probe->state;

        if (r < 0) {
                self->home_at = 0;
                unreachable(probe, r, error);
                finish(probe);
                return;
        }
        self->home = *home;
        self->home_at = time_monotonic_us();
        ask(probe);
}

/* Whose the home is stays known for a while; that it answers is looked at each time. */
static void on_answers(void *userdata, int r, const struct pm2_home *home, const struct error *error)
{
        struct probe *probe = userdata;

        if (r < 0) {
                unreachable(probe, r, error);
                finish(probe);
                return;
        }
        ask(probe);
}

static int read_pm2(struct probe *probe)
{
        struct reading *self = probe->state;
        struct error error = {0};
        int r;

        if (!self) {
                self = calloc(1, sizeof(*self));
                if (!self)
                        return -ENOMEM;
                r = aside_new(&self->aside, probe->event);
                if (r < 0) {
                        free(self);
                        return r;
                }
                probe->state = self;
                snprintf(self->snapshots, sizeof(self->snapshots), "%s/pm2", probe->agent_folder);
        }
        drop(self);
        if (self->home_at && time_monotonic_us() - self->home_at < HOME_US) {
                r = pm2_find_again(&self->find, probe->event, &self->home, self->aside, on_answers, probe,
                                   &error);
                if (r < 0)
                        on_answers(probe, r, NULL, &error);
                return 0;
        }
        r = pm2_find_new(&self->find, probe->event, probe->spec.user, probe->spec.home, 0, self->aside,
                         on_found, probe, &error);
        if (r < 0)
                on_found(probe, r, NULL, &error);
        return 0;
}

const struct probe_reader probe_pm2 = {SERVICE_PM2, read_pm2, cancel};
