/* See start.h. */
#include "agent/pm2/start.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/pm2/process.h"
#include "agent/pm2/refusal.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define SAMPLE_US    (20 * USEC_PER_MSEC)
#define COMING_UP_US (3 * USEC_PER_SEC) /* after that it counts as up: it works on something of its own */
#define TRIES        4
#define TRY_AGAIN_US (300 * USEC_PER_MSEC)
#define READY_US     (3 * USEC_PER_SEC) /* as PM2 waits for "ready" where the app does not say how long */
#define STILL_US                                                                                             \
        (10 * USEC_PER_SEC) /* beyond its kill_timeout: PM2's own, and until what is killed has gone */

enum phase { WAITS, CALLED, COMES_UP, ENDED };

struct start {
        pm2_start *self;
        struct pm2_start_item *item;
        enum phase phase;
        unsigned tries;
        uint64_t still_since; /* PM2 first said that its last process is still there; 0: never */
        uint64_t not_before, called, answered;
        pid_t pid;
        struct process_rest rest;
};

struct pm2_start {
        sd_event *event;
        pm2_client *client;
        sd_event_source *timer;
        struct start *starts;
        size_t count, ended;
        struct wave wave;
        uint64_t timeout_us;
        pm2_start_progress progress;
        pm2_start_done done;
        void *userdata;
        bool over;
};

pm2_start *pm2_start_free(pm2_start *self)
{
        if (!self)
                return NULL;
        sd_event_source_disable_unref(self->timer);
        sd_event_unref(self->event);
        free(self->starts);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_start *, pm2_start_free);

/* The callee may free it: nothing is touched after. */
static void finish(pm2_start *self, int r, const struct error *error)
{
        if (self->over)
                return;
        self->over = true;
        sd_event_source_set_enabled(self->timer, SD_EVENT_OFF);
        self->done(self->userdata, r, error);
}

/* came_up: how long that took tells something about the host; a refusal or an end at once does not. */
static void start_ended(struct start *start, bool came_up)
{
        if (came_up)
                wave_end(&start->self->wave, time_monotonic_us() - start->called);
        else
                wave_cancel(&start->self->wave);
        start->phase = ENDED;
        start->self->ended++;
}

static pid_t pid_of(json_t *answer)
{
        json_t *process = json_is_array(answer) ? json_array_get(answer, 0) : answer;
        json_int_t pid = json_number(json_object_get(process, "process"), "pid", 0);

        return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : (pid_t)0;
}

/* What is still being stopped has its kill_timeout for that. */
static bool is_tried_again(struct start *start, enum pm2_refusal refusal)
{
        uint64_t now = time_monotonic_us();

        if (refusal != PM2_REFUSAL_LIVES)
                return ++start->tries < TRIES;
        if (start->still_since == 0)
                start->still_since = now;
        return now - start->still_since < start->item->app->kill_timeout_ms * USEC_PER_MSEC + STILL_US;
}

static void refused(struct start *start, int r, const struct error *error)
{
        if (is_tried_again(start, pm2_refusal_of(r, error))) {
                wave_cancel(&start->self->wave);
                start->phase = WAITS;
                start->not_before = time_monotonic_us() + TRY_AGAIN_US;
                return;
        }
        start->item->failed = true;
        text_copy_cut(start->item->reason, sizeof(start->item->reason), error_text(error, r));
        start_ended(start, false);
}

/* PM2 answers when the app has said "ready", or when it has waited in vain; it takes both for online. */
static void note_unready(struct start *start)
{
        const struct pm2_app *app = start->item->app;
        uint64_t limit_us = app->listen_timeout_ms ? app->listen_timeout_ms * USEC_PER_MSEC : READY_US;

        if (app->wait_ready && start->answered - start->called >= limit_us)
                start->item->unready_us = limit_us;
}

static void on_called(void *userdata, int r, json_t *answer, const struct error *error)
{
        struct start *start = userdata;

        if (r < 0 && r != -EREMOTEIO && r != -ETIMEDOUT) {
                finish(start->self, r, error);
                return;
        }
        if (r < 0) {
                refused(start, r, error);
                return;
        }
        start->phase = COMES_UP;
        start->answered = time_monotonic_us();
        start->pid = pid_of(answer);
        note_unready(start);
}

static int call(struct start *start)
{
        const struct pm2_app *app = start->item->app;
        pm2_start *self = start->self;
        uint64_t timeout = self->timeout_us + app->listen_timeout_ms * USEC_PER_MSEC;
        json_t *options = pm2_entry_restart(app, start->item->entry);
        int r = pm2_client_call(self->client, "restartProcessId", options ? json_pack("[o]", options) : NULL,
                                timeout, on_called, start);

        if (r < 0)
                return r;
        start->phase = CALLED;
        start->called = time_monotonic_us();
        wave_begin(&self->wave);
        return 0;
}

/* Ends it where it has come up, gone, or been given enough time. */
static void look(struct start *start, uint64_t now)
{
        struct process_fact fact;

        if (start->pid == 0 || process_read_busiest(start->pid, &fact) < 0 || fact.state == 'Z')
                start_ended(start, false);
        else if (now - start->answered > COMING_UP_US || process_rest_sample(&start->rest, &fact))
                start_ended(start, true);
}

/* Looks at those that are coming up and starts as many as there is room for. */
static int work(pm2_start *self)
{
        uint64_t now = time_monotonic_us();

        for (size_t i = 0; i < self->count; i++)
                if (self->starts[i].phase == COMES_UP)
                        look(&self->starts[i], now);
        for (size_t i = 0; i < self->count && wave_room(&self->wave) > 0; i++) {
                int r;

                if (self->starts[i].phase != WAITS || now < self->starts[i].not_before)
                        continue;
                r = call(&self->starts[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata)
{
        pm2_start *self = userdata;
        int r = work(self);

        if (self->progress)
                self->progress(self->userdata, self->ended, self->count, self->wave.limit);
        if (r == 0 && self->ended < self->count) {
                r = sd_event_source_set_time_relative(source, SAMPLE_US);
                if (r >= 0)
                        r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                if (r >= 0)
                        return 0;
        }
        finish(self, r < 0 ? r : 0, NULL);
        return 0;
}

int pm2_start_new(pm2_start **ret, sd_event *event, pm2_client *client, struct pm2_start_item *items,
                  size_t count, unsigned most_at_once, uint64_t timeout_us, pm2_start_progress progress,
                  pm2_start_done done, void *userdata)
{
        cleanup_with(pm2_start_freep) pm2_start *self = calloc(1, sizeof(*self));
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        int r;

        if (!self)
                return -ENOMEM;
        *self = (pm2_start){.event = sd_event_ref(event),
                            .client = client,
                            .count = count,
                            .timeout_us = timeout_us,
                            .progress = progress,
                            .done = done,
                            .userdata = userdata};
        wave_init(&self->wave, processors > 0 ? (unsigned)processors : 1, most_at_once);
        self->starts = calloc(count + 1, sizeof(*self->starts));
        if (!self->starts)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                self->starts[i] = (struct start){.self = self, .item = &items[i]};
        r = sd_event_add_time_relative(event, &self->timer, CLOCK_BOOTTIME, 0, 1, on_timer, self);
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}
