/* See restore.h. One phase after another, each an object of its own; what differs between homes is in the
 * plan. */
#include "agent/pm2/restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pm2/client.h"
#include "agent/pm2/daemon.h"
#include "agent/pm2/ending.h"
#include "agent/pm2/park.h"
#include "agent/pm2/place.h"
#include "agent/pm2/plan.h"
#include "agent/pm2/refusal.h"
#include "agent/pm2/register.h"
#include "agent/pm2/settle.h"
#include "agent/pm2/start.h"
#include "agent/pm2/stop.h"
#include "agent/pm2/take_off.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define DAEMON_US      (60 * USEC_PER_SEC)
#define ATTEMPTS       4 /* beginnings, after somebody else changed the list or killed the daemon */
#define BEGIN_AGAIN_US (1 * USEC_PER_SEC)

struct pm2_restore {
        sd_event *event;
        sd_bus *bus;
        struct pm2_home home;
        const struct pm2_snapshot *snapshot;
        struct pm2_restore_options options;
        struct pm2_plan_options plan_options;
        pm2_restore_progress progress;
        pm2_restore_done done;
        void *userdata;

        sd_event_source *begin;
        pm2_stop *clearing; /* what a daemon that is gone has left */
        pm2_daemon *daemon;
        pm2_client *client;
        struct pm2_list live;
        struct pm2_plan plan;
        bool planned; /* at this daemon */
        unsigned attempts;
        struct pm2_refused refused; /* apps that are left as they are */
        size_t refused_before;      /* how many, when it began this time */
        pm2_take_off *taking_off;
        pm2_register *registering;
        const enum pm2_entry *entries; /* of registering */
        pm2_place *placing;
        pm2_park *parking;
        const struct pm2_app **chosen; /* for placing, then for parking */
        pm2_start *starting;
        struct pm2_start_item *starts;
        size_t start_count;
        pm2_settle *settling;
        struct pm2_settle_item *settles;
        size_t settle_count;
        uint64_t begun, begun_clock; /* monotonic, realtime */
        struct pm2_restore_result result;
};

static void drop_work(pm2_restore *self)
{
        /* The connection first: its calls point into the others. */
        self->client = pm2_client_free(self->client);
        self->clearing = pm2_stop_free(self->clearing);
        self->daemon = pm2_daemon_free(self->daemon);
        self->taking_off = pm2_take_off_free(self->taking_off);
        self->registering = pm2_register_free(self->registering);
        self->placing = pm2_place_free(self->placing);
        self->parking = pm2_park_free(self->parking);
        self->starting = pm2_start_free(self->starting);
        self->settling = pm2_settle_free(self->settling);
        pm2_plan_clear(&self->plan);
        pm2_list_clear(&self->live);
        free(TAKE(self->chosen));
        free(TAKE(self->starts));
        free(TAKE(self->settles));
        self->start_count = self->settle_count = 0;
}

pm2_restore *pm2_restore_free(pm2_restore *self)
{
        if (!self)
                return NULL;
        drop_work(self);
        sd_event_source_disable_unref(self->begin);
        sd_bus_unref(self->bus);
        sd_event_unref(self->event);
        pm2_refused_clear(&self->refused);
        pm2_outcome_clear(&self->result.outcome);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_restore *, pm2_restore_free);

/* The callee may free it: nothing is touched after. */
static void finish(pm2_restore *self, int r, const struct error *error)
{
        drop_work(self);
        self->begin = sd_event_source_disable_unref(self->begin);
        self->done(self->userdata, r, r == 0 ? &self->result : NULL, error);
}

static int begin_later(pm2_restore *self, uint64_t delay_us);

/* The daemon went away: somebody killed it (a unit's ExecStop starts and kills one of its own). As a restore
 * works from any state, it begins again. */
static bool begin_again(pm2_restore *self, int r)
{
        if ((r != -ECONNRESET && r != -ENOTCONN && r != -EPIPE) || ++self->attempts >= ATTEMPTS)
                return false;
        drop_work(self);
        pm2_refused_clear(&self->refused); /* by the other daemon */
        self->result.daemon_started = false;
        self->planned = false;
        return begin_later(self, BEGIN_AGAIN_US) >= 0;
}

static void fail(pm2_restore *self, int r, const struct error *cause)
{
        struct error error = cause ? *cause : (struct error){0};

        if (begin_again(self, r))
                return;
        error_prefix(&error, r, "restoring PM2 home %s", self->home.path);
        finish(self, r, &error);
}

static void tell(pm2_restore *self, uint64_t done, uint64_t total, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

static void tell(pm2_restore *self, uint64_t done, uint64_t total, const char *format, ...)
{
        char text[TEXT_SIZE];
        va_list arguments;

        if (!self->progress)
                return;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        self->progress(self->userdata, done, total, text);
}

/* --- the end: what came of it --------------------------------------------------------------------- */

/* PM2's own refusal says more than that the app does not run. */
static void name_refusals(pm2_restore *self)
{
        for (size_t k = 0; k < self->settle_count; k++) {
                struct pm2_settle_item *item = &self->settles[k];
                const char *reason = pm2_refused_reason(&self->refused, item->pm_id);

                for (size_t i = 0; i < self->start_count && !reason; i++)
                        if (self->starts[i].failed && item->pm_id == self->starts[i].app->pm_id)
                                reason = self->starts[i].reason;
                if (reason)
                        text_copy_cut(item->reason, sizeof(item->reason), reason);
        }
}

static int name_unready(pm2_restore *self)
{
        struct pm2_outcome *outcome = &self->result.outcome;
        char limit[32];

        outcome->unready = calloc(self->start_count + 1, sizeof(*outcome->unready));
        if (!outcome->unready)
                return -ENOMEM;
        for (size_t i = 0; i < self->start_count; i++) {
                const struct pm2_start_item *item = &self->starts[i];
                struct pm2_failure *unready = &outcome->unready[outcome->unready_count];

                if (!item->unready_us)
                        continue;
                outcome->unready_count++;
                unready->pm_id = item->app->pm_id;
                text_copy_cut(unready->name, sizeof(unready->name), item->app->name);
                time_duration_text(limit, sizeof(limit), item->unready_us);
                snprintf(unready->reason, sizeof(unready->reason),
                         "did not say that it was ready within %s (wait_ready)", limit);
        }
        return 0;
}

static void on_settled(void *userdata, int r, struct pm2_list *list, const struct error *error)
{
        pm2_restore *self = userdata;

        if (r == 0) {
                self->result.settled_us = time_monotonic_us() - self->begun;
                name_refusals(self);
                r = pm2_outcome_make(&self->result.outcome, &self->home, self->snapshot, list, self->settles,
                                     &self->plan_options, self->begun_clock);
                if (r == 0)
                        r = name_unready(self);
        }
        if (r < 0)
                fail(self, r, error);
        else
                finish(self, 0, NULL);
}

static void on_settle_progress(void *userdata, size_t settled, size_t total)
{
        pm2_restore *self = userdata;

        tell(self, settled, total, "settling: %zu of %zu have not restarted for long enough", settled, total);
}

static int settle(pm2_restore *self)
{
        int r = pm2_outcome_items(self->snapshot, &self->plan_options, &self->settles, &self->settle_count);

        if (r < 0)
                return r;
        return pm2_settle_new(&self->settling, self->event, self->client, self->settles, self->settle_count,
                              self->options.settle_us, pm2_settle_limit(self->options.settle_us),
                              on_settle_progress, on_settled, self);
}

/* --- starting ----------------------------------------------------------------------------------------- */

static void on_started(void *userdata, int r, const struct error *error)
{
        pm2_restore *self = userdata;

        self->result.online_us = time_monotonic_us() - self->begun;
        if (r == 0)
                r = settle(self);
        if (r < 0)
                fail(self, r, error);
}

static void on_start_progress(void *userdata, size_t done, size_t total, unsigned at_once)
{
        pm2_restore *self = userdata;

        tell(self, done, total, "starting: %zu of %zu are up, %u at once", done, total, at_once);
}

static int start(pm2_restore *self)
{
        const struct pm2_list *wanted = &self->snapshot->list;
        const enum pm2_entry *entries = self->entries;

        self->starts = calloc(wanted->count + 1, sizeof(*self->starts));
        if (!self->starts)
                return -ENOMEM;
        for (size_t i = 0; i < wanted->count; i++) {
                enum pm2_action action = self->plan.actions[i];

                if (pm2_refused_reason(&self->refused, wanted->apps[i].pm_id))
                        continue;
                if (action == PM2_START ||
                    (action == PM2_ADD && pm2_plan_runs(&wanted->apps[i], &self->plan_options)))
                        self->starts[self->start_count++] =
                                (struct pm2_start_item){.app = &wanted->apps[i], .entry = entries[i]};
        }
        return pm2_start_new(&self->starting, self->event, self->client, self->starts, self->start_count,
                             self->options.most_at_once, self->options.call_timeout_us, on_start_progress,
                             on_started, self);
}

/* --- apps at ids that have passed, and watched ones -------------------------------------------------------
 */

static void on_parked(void *userdata, int r, const struct error *error)
{
        pm2_restore *self = userdata;

        if (r == 0)
                r = start(self);
        if (r < 0)
                fail(self, r, error);
}

static int park(pm2_restore *self)
{
        const struct pm2_list *wanted = &self->snapshot->list;
        size_t count = 0;

        for (size_t i = 0; i < wanted->count; i++)
                if (self->entries[i] == PM2_ENTRY_PARK &&
                    !pm2_refused_reason(&self->refused, wanted->apps[i].pm_id))
                        self->chosen[count++] = &wanted->apps[i];
        if (count == 0)
                return start(self);
        tell(self, 0, count, "registering %zu stopped apps at ids that have passed", count);
        return pm2_park_new(&self->parking, self->event, self->client, self->chosen, count, &self->refused,
                            self->options.call_timeout_us, on_parked, self);
}

static void on_placed(void *userdata, int r, const struct error *error)
{
        pm2_restore *self = userdata;

        if (r == 0)
                r = park(self);
        if (r < 0)
                fail(self, r, error);
}

static int place(pm2_restore *self)
{
        const struct pm2_list *wanted = &self->snapshot->list;
        size_t count = 0;

        self->chosen = calloc(wanted->count + 1, sizeof(*self->chosen));
        if (!self->chosen)
                return -ENOMEM;
        for (size_t i = 0; i < wanted->count; i++)
                if (self->entries[i] == PM2_ENTRY_PLACE ||
                    (self->entries[i] == PM2_ENTRY_PARK && wanted->apps[i].watch))
                        self->chosen[count++] = &wanted->apps[i];
        if (count == 0)
                return park(self);
        tell(self, 0, count, "placing %zu apps at ids that have passed, or to be watched", count);
        return pm2_place_new(&self->placing, self->client, self->chosen, count, &self->refused,
                             self->options.call_timeout_us, on_placed, self);
}

/* --- registering -------------------------------------------------------------------------------------- */

static int begin(pm2_restore *self, struct error *error);

static int look_again(pm2_restore *self, struct error *error)
{
        drop_work(self);
        *error = (struct error){0};
        return begin(self, error);
}

/* The plan is to be made anew, without them. */
static bool is_refused_more(const pm2_restore *self)
{
        return self->refused.count > self->refused_before;
}

static void on_registered(void *userdata, int r, const enum pm2_entry *entries, const struct error *cause)
{
        pm2_restore *self = userdata;
        struct error error = cause ? *cause : (struct error){0};

        if (r == -EAGAIN && (is_refused_more(self) || ++self->attempts < ATTEMPTS)) {
                r = look_again(self, &error);
        } else if (r == 0) {
                self->result.registered_us = time_monotonic_us() - self->begun;
                self->entries = entries;
                r = place(self);
        }
        if (r < 0)
                fail(self, r, &error);
}

static void on_register_progress(void *userdata, size_t done, size_t total)
{
        pm2_restore *self = userdata;

        if (total)
                tell(self, done, total, "registering: %zu of %zu apps", done, total);
}

static int register_all(pm2_restore *self)
{
        return pm2_register_new(&self->registering, self->client, &self->snapshot->list, &self->plan,
                                &self->plan_options, &self->refused, self->options.call_timeout_us,
                                on_register_progress, on_registered, self);
}

/* --- taking off what does not belong ------------------------------------------------------------------ */

static void on_taken_off(void *userdata, int r, const struct error *cause)
{
        pm2_restore *self = userdata;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = is_refused_more(self) ? look_again(self, &error) : register_all(self);
        if (r < 0)
                fail(self, r, &error);
}

static int carry_out(pm2_restore *self)
{
        const struct pm2_list *wanted = &self->snapshot->list;

        tell(self, 0, wanted->count,
             "%zu to register, %zu to start, %zu to stop, %zu to remove, %zu as they were",
             self->plan.add_count, self->plan.start_count, self->plan.stop_count, self->plan.removal_count,
             self->plan.keep_count);
        if (!pm2_take_off_is_needed(&self->plan, wanted->count))
                return register_all(self);
        return pm2_take_off_new(&self->taking_off, self->client, &self->plan, wanted, &self->live,
                                &self->refused, self->options.call_timeout_us, on_taken_off, self);
}

/* A plan that is made anew counts as kept what the first one has brought. */
static void note_plan(pm2_restore *self)
{
        if (!self->planned) {
                self->result.kept = self->plan.keep_count;
                self->result.added = self->plan.add_count;
        }
        self->planned = true;
        self->result.removed += self->plan.removal_count;
        self->refused_before = self->refused.count;
}

static void on_live(void *userdata, int r, json_t *answer, const struct error *cause)
{
        pm2_restore *self = userdata;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = pm2_list_decode(&self->live, answer, &error);
        if (r == 0)
                r = pm2_plan_make(&self->plan, &self->snapshot->list, &self->live, &self->plan_options);
        if (r == 0) {
                note_plan(self);
                r = carry_out(self);
        }
        if (r < 0)
                fail(self, r, &error);
}

/* --- the beginning ----------------------------------------------------------------------------------------
 */

static void on_daemon(void *userdata, int r, const struct error *cause)
{
        pm2_restore *self = userdata;
        struct error error = cause ? *cause : (struct error){0};

        self->daemon = pm2_daemon_free(self->daemon);
        if (r == 0) {
                self->result.daemon_started = true;
                r = begin(self, &error);
        }
        if (r < 0)
                fail(self, r, &error);
}

static int start_daemon(pm2_restore *self, struct error *error)
{
        tell(self, 0, 0, "starting PM2's daemon");
        return pm2_daemon_new(&self->daemon, self->event, self->bus, &self->home, &self->snapshot->daemon,
                              DAEMON_US, on_daemon, self, error);
}

static void on_clearing(void *userdata, uint64_t done, uint64_t total, const char *text)
{
        tell(userdata, done, total, "%s", text);
}

static void on_cleared(void *userdata, int r, const struct pm2_stop_result *result, const struct error *cause)
{
        pm2_restore *self = userdata;
        struct error error = cause ? *cause : (struct error){0};

        self->result.leftovers = result->leftovers;
        self->result.stuck = result->stuck;
        self->clearing = pm2_stop_free(self->clearing);
        if (r == 0)
                r = start_daemon(self, &error);
        if (r < 0)
                fail(self, r, &error);
}

/* Apps of a daemon that was killed still hold the ports that the restored ones need; a daemon that starts
 * nothing any more goes with its apps. */
static int clear(pm2_restore *self, struct error *error)
{
        struct pm2_stop_options options = {
                .end_daemon = true, .leave_stuck = true, .daemon_env = self->snapshot->daemon.env};

        return pm2_stop_new(&self->clearing, self->event, &self->home, &options, on_clearing, on_cleared,
                            self, error);
}

static void on_ending(void *userdata, int r, json_t *answer, const struct error *cause)
{
        pm2_restore *self = userdata;
        enum pm2_refusal refusal = pm2_refusal_of(r, cause);
        struct error error = {0};

        if (refusal == PM2_REFUSAL_ENDS && ++self->attempts < ATTEMPTS) {
                tell(self, 0, 0,
                     "PM2 was told that it is being killed, and was not: another daemon is needed");
                drop_work(self);
                self->planned = false;
                r = clear(self, &error);
        } else if (r == 0 || (refusal != PM2_REFUSAL_NONE && refusal != PM2_REFUSAL_ENDS)) {
                r = pm2_client_call(self->client, "getMonitorData", json_pack("[{}]"),
                                    self->options.call_timeout_us, on_live, self);
        } else if (cause) {
                error = *cause;
        }
        if (r < 0)
                fail(self, r, &error);
}

static int begin(pm2_restore *self, struct error *error)
{
        int r = pm2_client_new(&self->client, self->event, &self->home, 0, error);

        if ((r == -ENOENT || r == -ECONNREFUSED) && !self->result.daemon_started) {
                *error = (struct error){0};
                return clear(self, error);
        }
        if (r < 0)
                return r;
        return pm2_ending_ask(self->client, self->options.call_timeout_us, on_ending, self);
}

static int on_begin(sd_event_source *source, uint64_t now, void *userdata)
{
        pm2_restore *self = userdata;
        struct error error = {0};
        int r = begin(self, &error);

        if (r < 0)
                fail(self, r, &error);
        return 0;
}

static int begin_later(pm2_restore *self, uint64_t delay_us)
{
        sd_event_source_disable_unref(TAKE(self->begin));
        return sd_event_add_time_relative(self->event, &self->begin, CLOCK_BOOTTIME, delay_us, 1, on_begin,
                                          self);
}

int pm2_restore_new(pm2_restore **ret, sd_event *event, sd_bus *bus, const struct pm2_home *home,
                    const struct pm2_snapshot *snapshot, const struct pm2_restore_options *options,
                    pm2_restore_progress progress, pm2_restore_done done, void *userdata, struct error *error)
{
        cleanup_with(pm2_restore_freep) pm2_restore *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        *self = (pm2_restore){.event = sd_event_ref(event),
                              .bus = sd_bus_ref(bus),
                              .home = *home,
                              .snapshot = snapshot,
                              .options = *options,
                              .progress = progress,
                              .done = done,
                              .userdata = userdata,
                              .begun = time_monotonic_us(),
                              .begun_clock = time_realtime_us()};
        self->plan_options.start_errored = options->start_errored;
        self->plan_options.keep_extra = options->keep_extra;
        self->plan_options.refused = &self->refused;
        if (self->options.settle_us == 0)
                self->options.settle_us = 10 * USEC_PER_SEC;
        if (self->options.call_timeout_us == 0)
                self->options.call_timeout_us = 60 * USEC_PER_SEC;
        r = begin_later(self, 0);
        if (r < 0)
                return error_set(error, r, "cannot set a timer: %s", strerror(-r));
        *ret = TAKE(self);
        return 0;
}
