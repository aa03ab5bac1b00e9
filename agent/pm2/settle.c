/* See settle.h. */
#include "agent/pm2/settle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pm2/process.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define POLL_US    (500 * USEC_PER_MSEC)
#define MOMENT_US  USEC_PER_SEC /* between an exit and the restart PM2 shows an app as stopped */
#define TIMEOUT_US (30 * USEC_PER_SEC)

struct pm2_settle {
        sd_event *event;
        pm2_client *client;
        sd_event_source *timer;
        struct pm2_settle_item *items;
        size_t count;
        uint64_t settle_us, limit, begun;
        pm2_settle_progress progress;
        pm2_settle_done done;
        void *userdata;
        struct pm2_list list;
};

pm2_settle *pm2_settle_free(pm2_settle *self)
{
        if (!self)
                return NULL;
        sd_event_source_disable_unref(self->timer);
        sd_event_unref(self->event);
        pm2_list_clear(&self->list);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_settle *, pm2_settle_free);

uint64_t pm2_settle_limit(uint64_t settle_us)
{
        return 6 * settle_us + 30 * USEC_PER_SEC;
}

static void failed(struct pm2_settle_item *item, uint64_t now_us)
{
        if (item->failed_since == 0)
                item->failed_since = now_us;
        if (now_us - item->failed_since >= MOMENT_US)
                item->state = PM2_FAILED;
}

static void look_at_status(struct pm2_settle_item *item, const struct pm2_brief *app, uint64_t age_us,
                           uint64_t settle_us, uint64_t now_us)
{
        uint32_t restarts = app->restarts - item->first_restarts;
        char length[32];

        switch (app->status) {
        case PM2_ONLINE:
                item->failed_since = 0;
                if (age_us >= settle_us)
                        item->state = PM2_SETTLED;
                time_duration_text(length, sizeof(length), settle_us);
                snprintf(item->reason, sizeof(item->reason), "restarts: %u so far, never up for %s", restarts,
                         length);
                break;
        case PM2_ERRORED:
                snprintf(item->reason, sizeof(item->reason), "errored: PM2 gave up after %u restarts",
                         restarts);
                failed(item, now_us);
                break;
        case PM2_STOPPED:
                if (app->exit_code >= 0)
                        snprintf(item->reason, sizeof(item->reason), "stopped, exit code %lld",
                                 (long long)app->exit_code);
                else
                        snprintf(item->reason, sizeof(item->reason), "stopped");
                failed(item, now_us);
                break;
        default:
                item->failed_since = 0;
                snprintf(item->reason, sizeof(item->reason), "%.64s after %u restarts", app->status_text,
                         restarts);
                break;
        }
}

void pm2_settle_look(struct pm2_settle_item *item, const struct pm2_brief *app, uint64_t age_us,
                     uint64_t settle_us, uint64_t now_us)
{
        item->state = PM2_UNSETTLED;
        if (!app) {
                snprintf(item->reason, sizeof(item->reason), "not in PM2's list");
                failed(item, now_us);
                return;
        }
        if (!item->seen || app->restarts < item->first_restarts) {
                /* Of one that was given up before anybody looked, all of them count. */
                item->first_restarts = app->status == PM2_ERRORED ? 0 : app->restarts;
                item->seen = true;
        }
        look_at_status(item, app, age_us, settle_us, now_us);
}

/* The callee may free it: nothing is touched after. */
static void finish(pm2_settle *self, int r, const struct error *error)
{
        sd_event_source_set_enabled(self->timer, SD_EVENT_OFF);
        self->done(self->userdata, r, &self->list, error);
}

static void on_list(void *userdata, int r, json_t *answer, const struct error *cause)
{
        pm2_settle *self = userdata;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = pm2_list_decode(&self->list, answer, &error);
        finish(self, r, &error);
}

static uint64_t age_of(const struct pm2_brief *app)
{
        struct process_fact fact;

        if (!app || app->pid <= 1 || process_read(app->pid, &fact) < 0 || fact.state == 'Z')
                return 0;
        return process_age_us(&fact);
}

/* How many are neither settled nor failed. */
static size_t look_at_all(pm2_settle *self, const struct pm2_brief *apps, size_t count)
{
        uint64_t now = time_monotonic_us();
        size_t open = 0, settled = 0;

        for (size_t i = 0; i < self->count; i++) {
                struct pm2_settle_item *item = &self->items[i];
                const struct pm2_brief *app = pm2_brief_find(apps, count, item->pm_id);

                pm2_settle_look(item, app, age_of(app), self->settle_us, now);
                open += item->state == PM2_UNSETTLED;
                settled += item->state == PM2_SETTLED;
        }
        if (self->progress)
                self->progress(self->userdata, settled, self->count);
        return open;
}

static void on_brief(void *userdata, int r, const char *text, size_t size, const struct error *cause)
{
        pm2_settle *self = userdata;
        cleanup_free struct pm2_brief *apps = NULL;
        struct error error = cause ? *cause : (struct error){0};
        size_t count = 0;

        if (r == 0) {
                r = pm2_scan(text, size, &apps, &count);
                if (r < 0)
                        error_set(&error, r, "PM2's list of apps cannot be understood: %s", strerror(-r));
        }
        if (r < 0) {
                finish(self, r, &error);
                return;
        }
        if (look_at_all(self, apps, count) == 0 || time_monotonic_us() - self->begun >= self->limit) {
                r = pm2_client_call(self->client, "getMonitorData", json_pack("[{}]"), TIMEOUT_US, on_list,
                                    self);
        } else {
                r = sd_event_source_set_time_relative(self->timer, POLL_US);
                if (r >= 0)
                        r = sd_event_source_set_enabled(self->timer, SD_EVENT_ONESHOT);
        }
        if (r < 0)
                finish(self, r, NULL);
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata)
{
        pm2_settle *self = userdata;
        int r = pm2_client_call_raw(self->client, "getMonitorData", json_pack("[{}]"), TIMEOUT_US, on_brief,
                                    self);

        if (r < 0)
                finish(self, r, NULL);
        return 0;
}

int pm2_settle_new(pm2_settle **ret, sd_event *event, pm2_client *client, struct pm2_settle_item *items,
                   size_t count, uint64_t settle_us, uint64_t limit_us, pm2_settle_progress progress,
                   pm2_settle_done done, void *userdata)
{
        cleanup_with(pm2_settle_freep) pm2_settle *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        *self = (pm2_settle){.event = sd_event_ref(event),
                             .client = client,
                             .items = items,
                             .count = count,
                             .settle_us = settle_us,
                             .limit = limit_us,
                             .begun = time_monotonic_us(),
                             .progress = progress,
                             .done = done,
                             .userdata = userdata};
        r = sd_event_add_time_relative(event, &self->timer, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_timer,
                                       self);
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}
