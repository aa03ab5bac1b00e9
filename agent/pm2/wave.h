/* How many apps may be starting at once. Pure arithmetic.
 *
 * Starting is bound by the processors, so more at once than they can carry only makes each start slower and
 * lets time-outs inside the apps pass. The limit begins at two a
 * processor, so that none waits while an app comes to rest; it grows by one while starts take less than twice
 * the quickest seen, and halves when they take more than four times that. */
#pragma once

#include <stdint.h>

struct wave {
        unsigned limit, least, most;
        unsigned in_flight;
        unsigned since;    /* starts ended since the limit was last changed */
        uint64_t slow_sum; /* their times together */
        uint64_t quickest; /* 0: none seen */
};

/* most 0: a sensible bound. */
void wave_init(struct wave *wave, unsigned processors, unsigned most);
/* How many more may be started now. */
unsigned wave_room(const struct wave *wave);
void wave_begin(struct wave *wave);
void wave_end(struct wave *wave, uint64_t took_us);
/* A start that was refused: it tells nothing about the host. */
void wave_cancel(struct wave *wave);
