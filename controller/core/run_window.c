/* The time by which a run is to be finished: once it has begun nothing is refused any more, but the moment
 * when the forecast passes that time is an event of the journal, so that people hear of it while they can
 * act. */
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

#define LOOK_EVERY_US (1 * USEC_PER_SEC)  /* when something happens */
#define LOOK_LATER_US (60 * USEC_PER_SEC) /* when nothing does */

int run_look_at_window(struct turn *turn)
{
        run *run = turn->run;
        struct run_event event = turn_event(EVENT_LATE, -1);
        char by[TIME_TEXT_SIZE], low_text[64], high_text[64];
        uint64_t low_us, high_us, again_us;

        if (!run->plan->finish_by_us || run->late || run->final)
                return 0;
        again_us = turn->now_us + LOOK_LATER_US;
        if (again_us < run->wake_us)
                run->wake_us = again_us;
        if (run->looked_us && turn->now_us < run->looked_us + LOOK_EVERY_US)
                return 0;
        run->looked_us = turn->now_us;
        run_left(run, turn->now_us, &low_us, &high_us);
        if (high_us == 0 || turn->clock_us + high_us <= run->plan->finish_by_us)
                return 0;
        time_text(by, run->plan->finish_by_us);
        time_duration_text(low_text, sizeof(low_text), low_us);
        time_duration_text(high_text, sizeof(high_text), high_us);
        event_say(&event, "it may not be finished by %s: what is left takes %s to %s", by, low_text,
                  high_text);
        return turn_record(turn, &event);
}
