/* See verify.h. */
#include "agent/pm2/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/pm2/client.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"

#define LOG_US (10 * 60 * USEC_PER_SEC) /* what apps logged before does not tell why they fail now */

struct pm2_verify {
        struct pm2_home home;
        const struct pm2_snapshot *snapshot;
        struct pm2_plan_options options;
        pm2_verify_progress progress;
        pm2_verify_done done;
        void *userdata;
        pm2_client *client;
        pm2_settle *settling;
        struct pm2_settle_item *items;
        size_t item_count;
        struct pm2_outcome outcome;
};

pm2_verify *pm2_verify_free(pm2_verify *self)
{
        if (!self)
                return NULL;
        pm2_client_free(self->client); /* first: its calls point into the other */
        pm2_settle_free(self->settling);
        pm2_outcome_clear(&self->outcome);
        free(self->items);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_verify *, pm2_verify_free);

static void on_progress(void *userdata, size_t settled, size_t total)
{
        pm2_verify *self = userdata;
        char text[TEXT_SIZE];

        snprintf(text, sizeof(text), "settling: %zu of %zu have not restarted for long enough", settled,
                 total);
        if (self->progress)
                self->progress(self->userdata, settled, total, text);
}

static void on_settled(void *userdata, int r, struct pm2_list *list, const struct error *cause)
{
        pm2_verify *self = userdata;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = pm2_outcome_make(&self->outcome, &self->home, self->snapshot, list, self->items,
                                     &self->options, time_realtime_us() - LOG_US);
        if (r < 0)
                error_prefix(&error, r, "verifying PM2 home %s", self->home.path);
        self->done(self->userdata, r, r == 0 ? &self->outcome : NULL, &error);
}

int pm2_verify_new(pm2_verify **ret, sd_event *event, const struct pm2_home *home,
                   const struct pm2_snapshot *snapshot, const struct pm2_verify_options *options,
                   pm2_verify_progress progress, pm2_verify_done done, void *userdata, struct error *error)
{
        cleanup_with(pm2_verify_freep) pm2_verify *self = calloc(1, sizeof(*self));
        uint64_t settle_us = options->settle_us ? options->settle_us : 10 * USEC_PER_SEC;
        int r;

        if (!self)
                return -ENOMEM;
        *self = (pm2_verify){.home = *home,
                             .snapshot = snapshot,
                             .options = {.start_errored = options->start_errored},
                             .progress = progress,
                             .done = done,
                             .userdata = userdata};
        r = pm2_outcome_items(snapshot, &self->options, &self->items, &self->item_count);
        if (r == 0)
                r = pm2_client_new(&self->client, event, home, 0, error);
        if (r == 0)
                r = pm2_settle_new(&self->settling, event, self->client, self->items, self->item_count,
                                   settle_us, pm2_settle_limit(settle_us), on_progress, on_settled, self);
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}
