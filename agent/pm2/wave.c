/* See wave.h. */
#include "agent/pm2/wave.h"

#define MOST        64
#define LEAST       3 /* a processor */
#define FIRST       4 /* a processor */
#define SLOW_FACTOR 4
#define FAIR_FACTOR 2

static unsigned at_most(const struct wave *wave, unsigned limit)
{
        return limit < wave->most ? limit : wave->most;
}

void wave_init(struct wave *wave, unsigned processors, unsigned most)
{
        if (processors == 0)
                processors = 1;
        *wave = (struct wave){.most = most ? most : MOST};
        wave->least = at_most(wave, processors * LEAST);
        wave->limit = at_most(wave, processors * FIRST);
}

unsigned wave_room(const struct wave *wave)
{
        return wave->in_flight < wave->limit ? wave->limit - wave->in_flight : 0;
}

void wave_begin(struct wave *wave)
{
        wave->in_flight++;
}

void wave_end(struct wave *wave, uint64_t took_us)
{
        uint64_t mean;

        if (wave->in_flight > 0)
                wave->in_flight--;
        if (took_us == 0)
                took_us = 1;
        if (wave->quickest == 0 || took_us < wave->quickest)
                wave->quickest = took_us;
        wave->slow_sum += took_us;
        if (++wave->since < wave->limit)
                return;
        mean = wave->slow_sum / wave->since;
        if (mean > wave->quickest * SLOW_FACTOR)
                wave->limit = wave->limit / 2 < wave->least ? wave->least : wave->limit / 2;
        else if (mean < wave->quickest * FAIR_FACTOR && wave->limit < wave->most)
                wave->limit++;
        wave->since = 0;
        wave->slow_sum = 0;
}

void wave_cancel(struct wave *wave)
{
        if (wave->in_flight > 0)
                wave->in_flight--;
}
