/* See load_eta.h. */
#include "controller/core/load_eta.h"

#include <errno.h>
#include <string.h>

#include "common/base/time.h"

/* What counts as "of late": loads waver beside a host's other work and change their speed as the data grows.
 */
#define WINDOW_US    (2 * USEC_PER_SEC)
#define WINDOW_SHARE 4
/* Shorter observations say more about when we looked than about the load. */
#define LEAST_US (50 * USEC_PER_MSEC)
/* What was learned counts as much as an observation of this length. */
#define TRUST_US    ((double)(300 * USEC_PER_MSEC))
#define TRUST_SHARE 0.2 /* of the whole load */
/* Seen to be off by so much, as a share and for as long, it counts half. */
#define DOUBT 0.5
/* How fast the base went says something of how fast the host is with the rest, but less than the rest does.
 */
#define OTHER_FILE 0.3

/* The spread of a measured pace at its least, and what is added while little was seen. */
#define SPREAD_LEAST 0.2
#define SPREAD_YOUNG 0.4
#define SPREAD_MOST  0.9
/* An incremental file of which nothing is known: a third of the base's rate to three times it were seen. */
#define GUESS_SHARE    0.7
#define GUESS_SPREAD   0.8
#define LEARNED_SPREAD 0.3

/* Files that took less time to load teach nothing. */
#define LEARN_LEAST_US    (300 * USEC_PER_MSEC)
#define LEARN_LEAST_BYTES 1000000u
#define LEARN_NEWEST      3u
#define RATE_MOST         1e15

/* The share of a base's time after each quarter of its bytes, where it was not learned: small tables are
 * fast. */
static const double course_usual[LOAD_COURSE] = {0.20, 0.46, 0.73};

/* What is expected of the two files: us for all of each. unit: not learned, only the course means something.
 */
struct expected {
        double base_us, more_us;
        bool base_unit, more_unit;
        const double *course;
};

/* Seen and expected us of the same stretch of a load. */
struct stretch {
        double seen, expected;
};

/* How many times longer than expected it takes, and how far that may be off, as a share. times 0: not known.
 */
struct factor {
        double times, spread;
};

uint64_t load_base(const struct service_state *state)
{
        const struct redis_state *redis = &state->redis;
        bool files = state->kind == SERVICE_REDIS && redis->aof_enabled &&
                     redis->base_bytes + redis->incremental_bytes == state->progress_total;

        return files ? redis->base_bytes : state->progress_total;
}

bool load_is_own(const struct service_state *state)
{
        const struct redis_state *redis = &state->redis;

        if (state->kind == SERVICE_REDIS && redis->sync_in_progress)
                return false;
        return state->kind != SERVICE_REDIS || !redis->aof_enabled ||
               redis->base_bytes + redis->incremental_bytes == state->progress_total ||
               redis->base_bytes + redis->incremental_bytes == 0;
}

bool load_is_received(const struct service_state *state)
{
        return state->kind == SERVICE_REDIS && state->redis.sync_in_progress && !state->redis.loading;
}

static double least_of(double a, double b)
{
        return a < b ? a : b;
}

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
        const struct load_point point = {at_us, bytes > eta->total_bytes ? eta->total_bytes : bytes};
        const struct load_point *last = eta->count ? &eta->samples[eta->count - 1] : NULL;
        struct load_point *file = point.bytes < eta->base_bytes ? eta->base : eta->more;

        if (last && (point.bytes < last->bytes || at_us < last->at_us)) {
                eta->count = 0;
                memset(eta->base, 0, sizeof(eta->base));
                memset(eta->more, 0, sizeof(eta->more));
        } else if (last && at_us == last->at_us) {
                eta->count--;
        }
        if (eta->count == LOAD_ETA_SAMPLES)
                thin_out(eta);
        eta->samples[eta->count++] = point;
        if (!file[0].at_us)
                file[0] = point;
        file[1] = point;
}

/* --- what is expected ----------------------------------------------------------------------------------- */

static struct expected expected_of(const struct load_eta *eta)
{
        double base = eta->rate.base_bytes_per_s / (double)USEC_PER_SEC;
        double more = eta->rate.incremental_bytes_per_s / (double)USEC_PER_SEC;
        struct expected expected = {.base_unit = base <= 0, .more_unit = more <= 0, .course = course_usual};

        expected.base_us = (double)eta->base_bytes / (base > 0 ? base : 1);
        expected.more_us = (double)(eta->total_bytes - eta->base_bytes) / (more > 0 ? more : 1);
        if (eta->rate.course[0] > 0)
                expected.course = eta->rate.course;
        return expected;
}

/* The share of its time that a base has taken after a share of its bytes. */
static double course_at(const double course[static LOAD_COURSE], double share)
{
        double parts = share * (LOAD_COURSE + 1), from, to;
        size_t part = parts < LOAD_COURSE ? (size_t)parts : LOAD_COURSE;

        from = part == 0 ? 0 : course[part - 1];
        to = part == LOAD_COURSE ? 1 : course[part];
        return from + (to - from) * (parts - (double)part);
}

/* Expected us of the base up to there. */
static double base_until(const struct load_eta *eta, const struct expected *expected, uint64_t bytes)
{
        if (bytes >= eta->base_bytes)
                return expected->base_us;
        return expected->base_us * course_at(expected->course, (double)bytes / (double)eta->base_bytes);
}

/* Expected us of the incremental files up to there. */
static double more_until(const struct load_eta *eta, const struct expected *expected, uint64_t bytes)
{
        uint64_t more = eta->total_bytes - eta->base_bytes;

        if (bytes <= eta->base_bytes || more == 0)
                return 0;
        return expected->more_us * ((double)(bytes - eta->base_bytes) / (double)more);
}

/* --- what is seen --------------------------------------------------------------------------------------- */

static bool is_base(const struct load_eta *eta, size_t index)
{
        return eta->samples[index].bytes < eta->base_bytes;
}

static size_t window_begin(const struct load_eta *eta)
{
        uint64_t last_us = eta->samples[eta->count - 1].at_us, elapsed = last_us - eta->samples[0].at_us;
        uint64_t window = elapsed / WINDOW_SHARE > WINDOW_US ? elapsed / WINDOW_SHARE : WINDOW_US;
        size_t first = eta->count - 1;

        while (first > 0 && last_us - eta->samples[first - 1].at_us <= window)
                first--;
        return first;
}

static struct stretch stretch_between(const struct load_eta *eta, const struct expected *expected,
                                      size_t first, size_t last)
{
        const struct load_point *a = &eta->samples[first], *b = &eta->samples[last];
        struct stretch stretch = {.seen = (double)(b->at_us - a->at_us)};

        if (is_base(eta, last))
                stretch.expected = base_until(eta, expected, b->bytes) - base_until(eta, expected, a->bytes);
        else
                stretch.expected = more_until(eta, expected, b->bytes) - more_until(eta, expected, a->bytes);
        return stretch;
}

/* How far the window's two halves are from the whole. */
static double unsteadiness(const struct load_eta *eta, const struct expected *expected, size_t first,
                           struct stretch whole)
{
        size_t last = eta->count - 1, middle = first + (last - first) / 2;
        struct stretch half[2] = {stretch_between(eta, expected, first, middle),
                                  stretch_between(eta, expected, middle, last)};
        double times = whole.seen / whole.expected, most = 0;

        for (int i = 0; i < 2; i++) {
                double part = half[i].expected > 0 ? half[i].seen / half[i].expected : times, off;

                off = part <= 0 ? SPREAD_MOST : part > times ? 1 - times / part : 1 - part / times;
                if (off > most)
                        most = off;
        }
        return most;
}

/* All that was seen of files of which something was learned. */
static struct stretch seen_so_far(const struct load_eta *eta, const struct expected *expected)
{
        struct stretch so_far = {0};

        if (!expected->base_unit && eta->base[0].at_us) {
                so_far.seen += (double)(eta->base[1].at_us - eta->base[0].at_us);
                so_far.expected += base_until(eta, expected, eta->base[1].bytes) -
                                   base_until(eta, expected, eta->base[0].bytes);
        }
        if (!expected->more_unit && eta->more[0].at_us) {
                so_far.seen += (double)(eta->more[1].at_us - eta->more[0].at_us);
                so_far.expected += more_until(eta, expected, eta->more[1].bytes) -
                                   more_until(eta, expected, eta->more[0].bytes);
        }
        return so_far;
}

/* The learned one's weight, in us of observation: less, the longer and the more it is contradicted. */
static double trust(const struct load_eta *eta, const struct expected *expected)
{
        struct stretch seen = seen_so_far(eta, expected);
        double whole =
                (expected->base_unit ? 0 : expected->base_us) + (expected->more_unit ? 0 : expected->more_us);
        double us = TRUST_US + TRUST_SHARE * whole, off;

        if (seen.seen <= 0 || seen.expected <= 0)
                return us;
        off = (seen.seen > seen.expected ? seen.seen / seen.expected - 1 : seen.expected / seen.seen - 1) /
              DOUBT;
        return us / (1 + off * off * least_of(1, seen.seen / us));
}

/* Of the file that is being loaded. */
static struct factor factor_now(const struct load_eta *eta, const struct expected *expected)
{
        size_t last = eta->count - 1, first = window_begin(eta), own = first;
        bool learned = is_base(eta, last) ? !expected->base_unit : !expected->more_unit;
        struct factor factor = {.times = learned ? 1 : 0, .spread = LEARNED_SPREAD};
        struct stretch seen;
        double weight;

        while (is_base(eta, own) != is_base(eta, last))
                own++;
        seen = stretch_between(eta, expected, own, last);
        if (seen.seen >= (double)LEAST_US && seen.expected > 0) {
                factor.spread =
                        unsteadiness(eta, expected, own, seen) + SPREAD_YOUNG * (double)LEAST_US / seen.seen;
                factor.times = seen.seen / seen.expected;
        } else {
                seen = (struct stretch){0};
        }
        if (learned) {
                if (own > first && own > 0 && !expected->base_unit) {
                        struct stretch base = stretch_between(eta, expected, first, own - 1);

                        seen.seen += OTHER_FILE * base.seen;
                        seen.expected += OTHER_FILE * base.expected;
                }
                weight = trust(eta, expected);
                factor.times = (seen.seen + weight) / (seen.expected + weight);
                weight /= seen.seen + weight;
                factor.spread = factor.spread * (1 - weight) + LEARNED_SPREAD * weight;
        }
        factor.spread = least_of(factor.spread, SPREAD_MOST);
        if (factor.spread < SPREAD_LEAST)
                factor.spread = SPREAD_LEAST;
        return factor;
}

int load_eta_left(const struct load_eta *eta, struct load_left *ret)
{
        struct expected expected = expected_of(eta);
        struct factor now, more;
        double likely, off, rest;
        uint64_t bytes;

        *ret = (struct load_left){0};
        if (eta->count == 0)
                return -ENODATA;
        bytes = eta->samples[eta->count - 1].bytes;
        if (bytes == eta->total_bytes)
                return 0;
        now = more = factor_now(eta, &expected);
        if (now.times <= 0 && bytes >= eta->base_bytes && eta->base[1].bytes > eta->base[0].bytes)
                now.times = more.times = (double)(eta->base[1].at_us - eta->base[0].at_us) /
                                         (double)(eta->base[1].bytes - eta->base[0].bytes) / GUESS_SHARE;
        if (now.times <= 0)
                return -ENODATA;
        likely = (expected.base_us - base_until(eta, &expected, bytes)) * now.times;
        off = likely * now.spread;
        if (bytes < eta->base_bytes && expected.more_unit)
                more = (struct factor){expected.base_us * now.times / (double)eta->base_bytes / GUESS_SHARE,
                                       GUESS_SPREAD};
        else if (bytes < eta->base_bytes)
                more = (struct factor){expected.base_unit ? 1 : now.times, LEARNED_SPREAD};
        rest = (expected.more_us - more_until(eta, &expected, bytes)) * more.times;
        likely += rest;
        off += rest * more.spread;
        ret->low_us = likely > off ? (uint64_t)(likely - off) : 0;
        ret->high_us = (uint64_t)least_of(likely + off, (double)INT64_MAX);
        return 0;
}

double load_eta_pace(const struct load_eta *eta)
{
        const struct load_point *first, *last;

        if (eta->count == 0)
                return 0;
        first = &eta->samples[window_begin(eta)];
        last = &eta->samples[eta->count - 1];
        if (last->at_us - first->at_us < LEAST_US)
                return 0;
        return (double)(last->bytes - first->bytes) * (double)USEC_PER_SEC /
               (double)(last->at_us - first->at_us);
}

/* --- what is learned ------------------------------------------------------------------------------------ */

static double rate_of(const struct load_point file[static 2])
{
        uint64_t span_us = file[1].at_us - file[0].at_us, bytes = file[1].bytes - file[0].bytes;

        if (span_us < LEARN_LEAST_US || bytes < LEARN_LEAST_BYTES)
                return 0;
        return (double)bytes * (double)USEC_PER_SEC / (double)span_us;
}

/* When the load had that many bytes, between the samples around it; what was before the first sample went
 * like what came first, what came after the last of the base like what was last. */
static double time_at(const struct load_eta *eta, double bytes)
{
        const struct load_point *a, *b;
        size_t i = 1;

        while (i < eta->count - 1 && (double)eta->samples[i].bytes < bytes)
                i++;
        while (i > 1 && !is_base(eta, i))
                i--;
        a = &eta->samples[i - 1];
        b = &eta->samples[i];
        if (b->bytes == a->bytes)
                return (double)b->at_us;
        return (double)a->at_us +
               (bytes - (double)a->bytes) * (double)(b->at_us - a->at_us) / (double)(b->bytes - a->bytes);
}

/* The course of the base, where enough of it was seen. */
static void learn_course(const struct load_eta *eta, struct plan_rate *rate)
{
        double part = (double)eta->base_bytes / (LOAD_COURSE + 1), at[LOAD_COURSE + 2];
        size_t seen = 0;

        while (seen < eta->count && is_base(eta, seen))
                seen++;
        if (seen < 2 * (LOAD_COURSE + 1) || (double)eta->base[0].bytes > part / 2 ||
            (double)eta->base[1].bytes < (double)eta->base_bytes - part / 2)
                return;
        for (size_t i = 0; i < LOAD_COURSE + 2; i++) {
                at[i] = time_at(eta, part * (double)i);
                if (i > 0 && at[i] <= at[i - 1])
                        return;
        }
        for (size_t i = 0; i < LOAD_COURSE; i++)
                rate->course[i] = (at[i + 1] - at[0]) / (at[LOAD_COURSE + 1] - at[0]);
}

bool load_eta_learn(const struct load_eta *eta, struct plan_rate *ret)
{
        *ret = (struct plan_rate){.base_bytes_per_s = rate_of(eta->base),
                                  .incremental_bytes_per_s = rate_of(eta->more),
                                  .loads = 1};
        if (ret->base_bytes_per_s > 0)
                learn_course(eta, ret);
        return ret->base_bytes_per_s > 0 || ret->incremental_bytes_per_s > 0;
}

bool load_rate_is_sound(const struct plan_rate *rate)
{
        double before = 0;

        /* Written so that what is not a number is not sound. */
        if (!(rate->base_bytes_per_s >= 0 && rate->base_bytes_per_s <= RATE_MOST) ||
            !(rate->incremental_bytes_per_s >= 0 && rate->incremental_bytes_per_s <= RATE_MOST))
                return false;
        for (size_t i = 0; i < LOAD_COURSE; before = rate->course[i++])
                if (!(rate->course[i] >= 0 && rate->course[i] < 1) ||
                    (rate->course[0] > 0 && !(rate->course[i] > before)))
                        return false;
        return true;
}

/* Of times, not of rates: times are what is foretold. */
static void mix(double *rate, double seen, double weight)
{
        if (seen > 0)
                *rate = *rate > 0 ? 1 / ((1 - weight) / *rate + weight / seen) : seen;
}

void load_rate_add(struct plan_rate *rate, const struct plan_rate *seen)
{
        double weight = 1.0 / (rate->loads + 1 < LEARN_NEWEST ? rate->loads + 1 : LEARN_NEWEST);

        mix(&rate->base_bytes_per_s, seen->base_bytes_per_s, weight);
        mix(&rate->incremental_bytes_per_s, seen->incremental_bytes_per_s, weight);
        for (size_t i = 0; i < LOAD_COURSE && seen->course[0] > 0; i++)
                rate->course[i] = rate->course[0] > 0 && (i == 0 || rate->course[i] > 0)
                                          ? rate->course[i] * (1 - weight) + seen->course[i] * weight
                                          : seen->course[i];
        if (rate->loads < UINT32_MAX)
                rate->loads++;
}
