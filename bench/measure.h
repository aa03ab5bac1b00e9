/* What every client of the call benches does with its calls: leave a warm-up out, count, time, print one
 * line. C and C++, so that ours and the peers are measured by the same lines. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MEASURE_PAYLOAD     64u
#define MEASURE_WARM_UP_NS  300000000ull
#define MEASURE_SAMPLES_MAX (8u << 20)

struct measure {
        uint64_t from, until, last; /* ns */
        uint32_t *samples;          /* ns a call took; owned until printed */
        size_t count;
};

static inline uint64_t measure_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static inline void measure_start(struct measure *measure, double seconds)
{
        measure->from = measure->last = measure_now() + MEASURE_WARM_UP_NS;
        measure->until = measure->from + (uint64_t)(seconds * 1e9);
        measure->count = 0;
        measure->samples = (uint32_t *)malloc(MEASURE_SAMPLES_MAX * sizeof(uint32_t));
        if (!measure->samples) {
                fprintf(stderr, "measure: out of memory\n");
                exit(1);
        }
}

/* A call that began at began has ended now. False when the time is over: start no more. */
static inline bool measure_call(struct measure *measure, uint64_t began)
{
        uint64_t now = measure_now();

        if (now >= measure->until)
                return false;
        if (now >= measure->from && measure->count < MEASURE_SAMPLES_MAX) {
                measure->samples[measure->count++] = (uint32_t)(now - began);
                measure->last = now;
        }
        return true;
}

static inline int measure_compare(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

/* Prints the result, frees, and returns the exit status. */
static inline int measure_print(struct measure *measure)
{
        double seconds = (double)(measure->last - measure->from) / 1e9;
        size_t count = measure->count;

        if (count < 100) {
                fprintf(stderr, "measure: only %zu calls ended in time\n", count);
                free(measure->samples);
                return 1;
        }
        qsort(measure->samples, count, sizeof(uint32_t), measure_compare);
        printf("calls=%zu seconds=%.4f per_second=%.0f p50_us=%.2f p99_us=%.2f\n", count, seconds,
               (double)count / seconds, measure->samples[count / 2] / 1e3,
               measure->samples[count * 99 / 100] / 1e3);
        free(measure->samples);
        measure->samples = NULL;
        return 0;
}
