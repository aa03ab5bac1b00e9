/* See timer.h. The source is moved only to an earlier time; a time that passes with nothing due moves it on.
 */
#include "common/rpc/timer.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define ACCURACY_US 1000u

static void heap_put(struct timers *timers, size_t slot, struct timer *timer)
{
        timers->heap[slot] = timer;
        timer->slot = slot;
}

/* Finds the place for timer, starting from a slot that is free. */
static void heap_place(struct timers *timers, size_t slot, struct timer *timer)
{
        while (slot > 1 && timers->heap[slot / 2]->at > timer->at) {
                heap_put(timers, slot, timers->heap[slot / 2]);
                slot /= 2;
        }
        for (;;) {
                size_t child = slot * 2;

                if (child > timers->count)
                        break;
                if (child < timers->count && timers->heap[child + 1]->at < timers->heap[child]->at)
                        child++;
                if (timers->heap[child]->at >= timer->at)
                        break;
                heap_put(timers, slot, timers->heap[child]);
                slot = child;
        }
        heap_put(timers, slot, timer);
}

static void timers_arm(struct timers *timers)
{
        uint64_t at = timers->count ? timers->heap[1]->at : UINT64_MAX;

        if (at >= timers->armed)
                return;
        timers->armed = at;
        sd_event_source_set_time(timers->source, at);
        sd_event_source_set_enabled(timers->source, SD_EVENT_ONESHOT);
}

static int timers_dispatch(sd_event_source *source, uint64_t at, void *userdata)
{
        struct timers *timers = userdata;
        uint64_t now = timers_now(timers);

        while (timers->count && timers->heap[1]->at <= now) {
                struct timer *timer = timers->heap[1];

                timer_stop(timers, timer);
                timer->fire(timer);
        }
        timers->armed = UINT64_MAX;
        timers_arm(timers);
        return 0;
}

int timers_init(struct timers *timers, sd_event *event)
{
        int r = sd_event_add_time(event, &timers->source, CLOCK_BOOTTIME, UINT64_MAX, ACCURACY_US,
                                  timers_dispatch, timers);

        if (r < 0)
                return r;
        timers->event = event;
        timers->armed = UINT64_MAX;
        sd_event_source_set_description(timers->source, "rpc-timers");
        return sd_event_source_set_enabled(timers->source, SD_EVENT_OFF);
}

void timers_clear(struct timers *timers)
{
        sd_event_source_disable_unref(timers->source);
        free(timers->heap);
        *timers = (struct timers){0};
}

uint64_t timers_now(const struct timers *timers)
{
        uint64_t now = 0;

        sd_event_now(timers->event, CLOCK_BOOTTIME, &now);
        return now;
}

int timer_set(struct timers *timers, struct timer *timer, uint64_t at)
{
        if (timer->slot) {
                timer->at = at;
                heap_place(timers, timer->slot, timer);
                timers_arm(timers);
                return 0;
        }
        if (timers->count + 2 > timers->room) {
                size_t room = timers->room ? timers->room * 2 : 32;
                struct timer **larger = reallocarray(timers->heap, room, sizeof(struct timer *));

                if (!larger)
                        return -ENOMEM;
                timers->heap = larger;
                timers->room = room;
        }
        timer->at = at;
        timers->count++;
        heap_place(timers, timers->count, timer);
        timers_arm(timers);
        return 0;
}

void timer_stop(struct timers *timers, struct timer *timer)
{
        size_t slot = timer->slot;
        struct timer *last;

        if (!slot)
                return;
        timer->slot = 0;
        last = timers->heap[timers->count--];
        if (last != timer)
                heap_place(timers, slot, last);
}
