/* What controller/core says of a load, for the benches redis-eta and redis-rewrite. RATE is BASE-RATE
 * MORE-RATE LOADS COURSE...: bytes a second, 0 not learned, and a million times the shares of the course.
 *
 *   bench_load left BASE TOTAL RATE      samples "us bytes" by line from stdin; a line "low high" in us for
 *                                        each, or "-" while nothing can be said; last of all "RATE", with
 * what this load taught added to what was learned before bench_load promise BASE MORE MEMORY RATE    loading
 * as it is and after a rewrite: four figures in us */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/text.h"
#include "controller/core/load_eta.h"
#include "controller/core/plan_estimate.h"

#define RATE_NUMBERS (3 + LOAD_COURSE)
#define SHARE        1e6

static struct plan_rate read_rate(const uint64_t number[static RATE_NUMBERS])
{
        struct plan_rate rate = {.base_bytes_per_s = (double)number[0],
                                 .incremental_bytes_per_s = (double)number[1],
                                 .loads = (unsigned)number[2]};

        for (size_t i = 0; i < LOAD_COURSE; i++)
                rate.course[i] = (double)number[3 + i] / SHARE;
        return rate;
}

static int say_left(const uint64_t number[static 2 + RATE_NUMBERS])
{
        struct plan_rate rate = read_rate(number + 2), seen;
        struct load_eta eta;
        uint64_t at, bytes;

        load_eta_begin(&eta, number[0], number[1], &rate);
        while (scanf("%" SCNu64 " %" SCNu64, &at, &bytes) == 2) {
                struct load_left left;

                load_eta_sample(&eta, at, bytes);
                if (load_eta_left(&eta, &left) < 0)
                        puts("-");
                else
                        printf("%" PRIu64 " %" PRIu64 "\n", left.low_us, left.high_us);
        }
        if (load_eta_learn(&eta, &seen))
                load_rate_add(&rate, &seen);
        printf("%.0f %.0f %u", rate.base_bytes_per_s, rate.incremental_bytes_per_s, rate.loads);
        for (size_t i = 0; i < LOAD_COURSE; i++)
                printf(" %.0f", rate.course[i] * SHARE);
        puts("");
        return 0;
}

static int say_promise(const uint64_t number[static 3 + RATE_NUMBERS])
{
        struct service_state state = {.kind = SERVICE_REDIS,
                                      .redis = {.aof_enabled = true,
                                                .base_bytes = number[0],
                                                .incremental_bytes = number[1],
                                                .used_memory = number[2]}};
        struct plan_rate rate = read_rate(number + 3);

        for (int compacted = 0; compacted < 2; compacted++) {
                struct step step = {.phase = PHASE_LOAD, .kind = STEP_GATE};

                step.service.kind = SERVICE_REDIS;
                plan_estimate_gate(&step, &state, &rate, compacted);
                printf("%s_low=%" PRIu64 " %s_high=%" PRIu64 "%s", compacted ? "then" : "now", step.low_us,
                       compacted ? "then" : "now", step.high_us, compacted ? "\n" : " ");
        }
        return 0;
}

int main(int argc, char **argv)
{
        uint64_t number[3 + RATE_NUMBERS];
        bool left = argc > 1 && text_equal(argv[1], "left");
        int expected = (left ? 2 : 3) + RATE_NUMBERS;

        if (argc == 2 + expected && (left || text_equal(argv[1], "promise"))) {
                for (int i = 0; i < expected; i++)
                        if (text_to_u64(argv[2 + i], &number[i]) < 0)
                                argc = 0;
                if (argc)
                        return left ? say_left(number) : say_promise(number);
        }
        fprintf(stderr,
                "usage: bench_load left BASE TOTAL RATE\n"
                "       bench_load promise BASE MORE MEMORY RATE\n"
                "RATE: BASE-RATE MORE-RATE LOADS and %d numbers of the course\n",
                LOAD_COURSE);
        return 2;
}
