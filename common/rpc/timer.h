/* Deadlines of links and calls: a heap behind one timer of the loop, so that a call's deadline costs no
 * system call as long as the call ends before it. Private to common/rpc. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct timer {
        uint64_t at; /* CLOCK_BOOTTIME, microseconds */
        size_t slot; /* its place in the heap, from 1; 0 is not armed */
        /* Disarmed before; may arm it again or free what holds it. */
        void (*fire)(struct timer *timer);
};

struct timers {
        struct timer **heap; /* heap[0] is not used */
        size_t count, room;
        sd_event *event;
        sd_event_source *source;
        uint64_t armed; /* what the source is set to; UINT64_MAX: off */
};

int timers_init(struct timers *timers, sd_event *event);
void timers_clear(struct timers *timers);
/* Now, as of this turn of the loop. */
uint64_t timers_now(const struct timers *timers);

/* Arms or moves. -ENOMEM only for one that was not armed. */
int timer_set(struct timers *timers, struct timer *timer, uint64_t at);
void timer_stop(struct timers *timers, struct timer *timer);
