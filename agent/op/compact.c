/* See compact.h. */
#include "agent/op/compact.h"

#include <string.h>

#include "agent/probe/service_link.h"
#include "common/base/time.h"

#define POLL_LEAST_USEC (10 * USEC_PER_MSEC)
#define POLL_MOST_USEC  (250 * USEC_PER_MSEC)
#define SILENT_MOST     20u

static int on_timer(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct compact *compact = userdata;

        compact->look(compact->op);
        return 0;
}

int compact_begin(struct compact *compact, struct op *op, void (*look)(struct op *op), struct error *error)
{
        int r;

        *compact = (struct compact){.op = op, .look = look, .poll_us = POLL_LEAST_USEC};
        compact->asked = compact->settles = op->noted_count > 0;
        compact->asked_us = time_monotonic_us();
        r = service_link_new(&compact->link, op->event, &op->request.service, op->folder, error);
        if (r == 0)
                r = sd_event_add_time(op->event, &compact->timer, CLOCK_BOOTTIME, UINT64_MAX,
                                      10 * USEC_PER_MSEC, on_timer, compact);
        if (r >= 0)
                r = sd_event_source_set_enabled(compact->timer, SD_EVENT_OFF);
        if (r < 0)
                compact_end(compact);
        return r < 0 ? r : 0;
}

void compact_end(struct compact *compact)
{
        redis_link_free(compact->link);
        sd_event_source_disable_unref(compact->timer);
        *compact = (struct compact){0};
}

int compact_ask(struct compact *compact, const char *command, uint64_t deadline_us, redis_answer answer)
{
        compact->asked_us = time_monotonic_us();
        compact->poll_us = POLL_LEAST_USEC;
        return redis_link_ask(compact->link, (const char *const[]){command}, 1, deadline_us, answer,
                              compact->op);
}

int compact_look_again(struct compact *compact)
{
        int r;

        compact->poll_us = compact->poll_us * 2 < POLL_MOST_USEC ? compact->poll_us * 2 : POLL_MOST_USEC;
        r = sd_event_source_set_time_relative(compact->timer, compact->poll_us);
        if (r >= 0)
                r = sd_event_source_set_enabled(compact->timer, SD_EVENT_ONESHOT);
        return r < 0 ? r : 0;
}

void compact_heard(struct compact *compact)
{
        compact->silent = 0;
}

int compact_unheard(struct compact *compact, const char *server, int failure)
{
        if (!compact->asked || ++compact->silent >= SILENT_MOST)
                return failure;
        op_progress(compact->op, 0, 0, "%s does not answer (%s); asking again", server, strerror(-failure));
        compact->poll_us = POLL_MOST_USEC;
        return compact_look_again(compact);
}
