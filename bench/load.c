/* What controller/core says of a load, for the benches redis-eta and redis-rewrite.
 *
 *   bench_load left BASE TOTAL BASE-RATE MORE-RATE     samples "us bytes" by line from stdin; a line "low
 * high" in us for each, or "-" while nothing can be said bench_load promise BASE MORE MEMORY BASE-RATE
 * MORE-RATE loading as it is and after a rewrite: four figures in us
 *
 * Bytes, and bytes a second; a rate of 0 is not learned. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/text.h"
#include "controller/core/load_eta.h"
#include "controller/core/plan_internal.h"

static int say_left(const uint64_t number[static 4])
{
        struct plan_rate rate = {.base_bytes_per_s = (double)number[2],
                                 .incremental_bytes_per_s = (double)number[3],
                                 .loads = number[2] > 0};
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
        return 0;
}

static int say_promise(const uint64_t number[static 5])
{
        struct service_state state = {.kind = SERVICE_REDIS,
                                      .redis = {.aof_enabled = true,
                                                .base_bytes = number[0],
                                                .incremental_bytes = number[1],
                                                .used_memory = number[2]}};
        struct plan_rate rate = {.base_bytes_per_s = (double)number[3],
                                 .incremental_bytes_per_s = (double)number[4],
                                 .loads = number[3] > 0};

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
        uint64_t number[5];
        int expected = argc > 1 && text_equal(argv[1], "left") ? 4 : 5;

        if (argc == 2 + expected && (expected == 4 || text_equal(argv[1], "promise"))) {
                for (int i = 0; i < expected; i++)
                        if (text_to_u64(argv[2 + i], &number[i]) < 0)
                                argc = 0;
                if (argc)
                        return expected == 4 ? say_left(number) : say_promise(number);
        }
        fprintf(stderr, "usage: bench_load left BASE TOTAL BASE-RATE MORE-RATE\n"
                        "       bench_load promise BASE MORE MEMORY BASE-RATE MORE-RATE\n");
        return 2;
}
