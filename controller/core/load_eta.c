/* See load_eta.h. */
#include "controller/core/load_eta.h"

#include <errno.h>
#include <string.h>

#include "common/base/time.h"

/* Loads change their speed as the data grows, and waver beside a host's other work: the newest six seconds,
 * or the newest quarter of a longer load. */
#define WINDOW_US    (6 * USEC_PER_SEC)
#define WINDOW_SHARE 4
/* Shorter observations say more about when we looked than about the load. */
#define LEAST_US (50 * USEC_PER_MSEC)
/* A learned rate counts as much as an observation of this length. */
#define LEARNED_US ((double)(500 * USEC_PER_MSEC))

/* The spread of a measured rate at its least, and what is added while little was seen. */
#define SPREAD_LEAST 0.2
#define SPREAD_YOUNG 0.4
#define SPREAD_MOST  0.9
/* An incremental file of which nothing is known: slower than its base, which is denser and needs no parsing
 * of commands; a fifth of its rate to a little faster were seen. */
#define GUESS_SHARE    0.5
#define GUESS_SPREAD   0.8
#define LEARNED_SPREAD 0.3

/* Bytes a us, and how far it may be off, as a share of it. rate 0: not known. */
struct pace {
        double rate, spread;
};

void load_eta_begin(struct load_eta *eta, uint64_t base_bytes, uint64_t total_bytes,
                    const struct plan_rate *rate)
{
        *eta = (struct load_eta){.base_bytes = base_bytes < total_bytes ? base_bytes : total_bytes,
                                 .total_bytes = total_bytes,
                                 .rate = rate ? *rate : (struct plan_rate){0}};
}

static void thin_out(struct load_eta *eta)
{
        size_t kept = 0;

        for (size_t i = 0; i < eta->count; i += 2)
                eta->samples[kept++] = eta->samples[i];
        eta->count = kept;
}

void load_eta_sample(struct load_eta *eta, uint64_t at_us, uint64_t bytes)
{
        size_t last = eta->count - 1;

        if (bytes > eta->total_bytes)
                bytes = eta->total_bytes;
        if (eta->count > 0 && (bytes < eta->samples[last].bytes || at_us < eta->samples[last].at_us))
                eta->count = 0;
        if (eta->count > 0 && at_us == eta->samples[eta->count - 1].at_us)
                eta->count--;
        if (eta->count == LOAD_ETA_SAMPLES)
                thin_out(eta);
        eta->samples[eta->count].at_us = at_us;
        eta->samples[eta->count++].bytes = bytes;
}

static bool is_base(const struct load_eta *eta, size_t index)
{
        return eta->samples[index].bytes < eta->base_bytes;
}

static double rate_between(const struct load_eta *eta, size_t first, size_t last)
{
        uint64_t span_us = eta->samples[last].at_us - eta->samples[first].at_us;

        return span_us ? (double)(eta->samples[last].bytes - eta->samples[first].bytes) / (double)span_us : 0;
}

/* The first sample of the window that ends with last and does not leave its file. */
static size_t window_begin(const struct load_eta *eta, size_t last)
{
        uint64_t elapsed = eta->samples[last].at_us - eta->samples[0].at_us;
        uint64_t window = elapsed / WINDOW_SHARE > WINDOW_US ? elapsed / WINDOW_SHARE : WINDOW_US;
        size_t first = last;

        while (first > 0 && is_base(eta, first - 1) == is_base(eta, last) &&
               eta->samples[last].at_us - eta->samples[first - 1].at_us <= window)
                first--;
        return first;
}

/* How far the window's two halves are from the whole. */
static double unsteadiness(const struct load_eta *eta, size_t first, size_t last, double rate)
{
        double most = 0;

        for (int half = 0; half < 2; half++) {
                size_t middle = first + (last - first) / 2;
                double part = half ? rate_between(eta, middle, last) : rate_between(eta, first, middle);
                double off = part > rate ? part / rate - 1 : 1 - part / rate;

                if (off > most)
                        most = off;
        }
        return most;
}

/* The pace of the file that sample last is in, with what was learned of it in bytes a us. */
static struct pace measured(const struct load_eta *eta, size_t last, double learned)
{
        size_t first = window_begin(eta, last);
        double span_us = (double)(eta->samples[last].at_us - eta->samples[first].at_us), weight;
        struct pace pace = {.rate = rate_between(eta, first, last)};

        if (span_us < (double)LEAST_US || pace.rate <= 0)
                return (struct pace){.rate = learned, .spread = LEARNED_SPREAD};
        pace.spread = unsteadiness(eta, first, last, pace.rate) + SPREAD_YOUNG * (double)LEAST_US / span_us;
        if (learned > 0) {
                weight = LEARNED_US / (LEARNED_US + span_us);
                pace.rate = pace.rate * (1 - weight) + learned * weight;
        }
        if (pace.spread < SPREAD_LEAST)
                pace.spread = SPREAD_LEAST;
        if (pace.spread > SPREAD_MOST)
                pace.spread = SPREAD_MOST;
        return pace;
}

/* The pace of incremental files that have not been reached, from that of the base. */
static struct pace expected(const struct load_eta *eta, struct pace base, double learned_base,
                            double learned_more)
{
        if (learned_more > 0 && learned_base > 0 && base.rate > 0)
                return (struct pace){learned_more * base.rate / learned_base, LEARNED_SPREAD};
        if (learned_more > 0)
                return (struct pace){learned_more, LEARNED_SPREAD};
        return (struct pace){base.rate * GUESS_SHARE, GUESS_SPREAD};
}

int load_eta_left(const struct load_eta *eta, struct load_left *ret)
{
        double learned_base = eta->rate.base_bytes_per_s / (double)USEC_PER_SEC;
        double learned_more = eta->rate.incremental_bytes_per_s / (double)USEC_PER_SEC;
        double likely = 0, off = 0;
        struct pace base, more;
        size_t last = eta->count - 1;
        uint64_t bytes;

        *ret = (struct load_left){0};
        if (eta->count == 0)
                return -ENODATA;
        bytes = eta->samples[last].bytes;
        if (bytes == eta->total_bytes)
                return 0;
        if (is_base(eta, last)) {
                base = measured(eta, last, learned_base);
                more = expected(eta, base, learned_base, learned_more);
                if (base.rate <= 0)
                        return -ENODATA;
                likely = (double)(eta->base_bytes - bytes) / base.rate;
                off = likely * base.spread;
                bytes = eta->base_bytes;
        } else {
                more = measured(eta, last, learned_more);
        }
        if (bytes < eta->total_bytes) {
                double span = more.rate > 0 ? (double)(eta->total_bytes - bytes) / more.rate : 0;

                if (more.rate <= 0)
                        return -ENODATA;
                likely += span;
                off += span * more.spread;
        }
        ret->low_us = likely > off ? (uint64_t)(likely - off) : 0;
        ret->high_us = (uint64_t)(likely + off);
        return 0;
}
