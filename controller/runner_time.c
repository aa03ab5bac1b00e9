/* The runner's time as it is in the controller: the clocks of the system and one timer of its loop. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/time.h"
#include "controller/runner_internal.h"

#define ACCURACY_US 1000

struct loop_time {
        sd_event *event;
        sd_event_source *timer; /* owned */
};

uint64_t runner_monotonic_us(const runner *runner)
{
        return runner->time.monotonic_us(runner->time.userdata);
}

uint64_t runner_realtime_us(const runner *runner)
{
        return runner->time.realtime_us(runner->time.userdata);
}

static uint64_t loop_monotonic_us(void *userdata)
{
        return time_monotonic_us();
}

static uint64_t loop_realtime_us(void *userdata)
{
        return time_realtime_us();
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
        runner_wake(userdata);
        return 0;
}

static int loop_wake_at(runner *runner, uint64_t monotonic_us, void *userdata)
{
        struct loop_time *time = userdata;
        int r;

        if (monotonic_us == UINT64_MAX)
                return time->timer ? sd_event_source_set_enabled(time->timer, SD_EVENT_OFF) : 0;
        if (!time->timer)
                return sd_event_add_time(time->event, &time->timer, CLOCK_BOOTTIME, monotonic_us, ACCURACY_US,
                                         on_timer, runner);
        r = sd_event_source_set_time(time->timer, monotonic_us);
        return r < 0 ? r : sd_event_source_set_enabled(time->timer, SD_EVENT_ONESHOT);
}

static void loop_end(int code, void *userdata)
{
        struct loop_time *time = userdata;

        sd_event_exit(time->event, code);
}

static bool loop_has_ended(void *userdata)
{
        struct loop_time *time = userdata;

        return sd_event_get_state(time->event) == SD_EVENT_FINISHED;
}

static void loop_free(void *userdata)
{
        struct loop_time *time = userdata;

        sd_event_source_disable_unref(time->timer);
        free(time);
}

int runner_time_of(struct runner_time *ret, sd_event *event)
{
        struct loop_time *time = calloc(1, sizeof(*time));

        if (!time)
                return -ENOMEM;
        time->event = event;
        *ret = (struct runner_time){loop_monotonic_us, loop_realtime_us, loop_wake_at, loop_end,
                                    loop_has_ended,    loop_free,        time};
        return 0;
}
