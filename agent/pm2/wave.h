/* How many apps may be starting at once. Pure arithmetic.
 *
 * Starting is bound by the processors: more at once than they can carry makes each start slower, until
 * time-outs inside the apps pass; fewer leave a processor idle while apps come to rest. The limit begins at
 * four a processor; it grows by one while starts take less than twice the quickest seen, and halves, to
 * three a processor at least, when they take more than four times that. */
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
/* A start that was refused, or ended at once: it tells nothing about the host. */
void wave_cancel(struct wave *wave);
