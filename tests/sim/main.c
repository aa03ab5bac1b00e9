/* sim --seeds N --start S [--trace]: runs N worlds; prints and exits 1 at the first that fails. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define SHOWN 150

struct totals {
        unsigned long long inputs, events, crashes, faults, batches, states[RUN_ABORTED + 1];
};

static void clear(struct sim *sim)
{
        controller_clear(sim);
        for (size_t i = 0; i < sim->heap_count; i++)
                free(sim->heap[i].data);
        free(sim->heap);
        free(sim->current);
        for (size_t i = 0; sim->lines && i < 4000; i++)
                free(sim->lines[i]);
        free(sim->lines);
}

static struct happening take_first(struct sim *sim)
{
        struct happening first = sim->heap[0], last = sim->heap[--sim->heap_count];
        size_t at = 0;

        for (;;) {
                size_t child = at * 2 + 1;

                if (child >= sim->heap_count)
                        break;
                if (child + 1 < sim->heap_count &&
                    (sim->heap[child + 1].time_us < sim->heap[child].time_us ||
                     (sim->heap[child + 1].time_us == sim->heap[child].time_us &&
                      sim->heap[child + 1].order < sim->heap[child].order)))
                        child++;
                if (last.time_us < sim->heap[child].time_us ||
                    (last.time_us == sim->heap[child].time_us && last.order < sim->heap[child].order))
                        break;
                sim->heap[at] = sim->heap[child];
                at = child;
        }
        sim->heap[at] = last;
        return first;
}

static void begin(struct sim *sim)
{
        struct plan *plan;

        sim_make_fleet(sim);
        for (size_t s = 0; s < sim->fleet.service_count; s++) {
                sim->services[s].instance = sim->services[s].last_instance = sim->services[s].first_instance =
                        1;
                sim->services[s].last_ready_us = UINT64_MAX;
                sim->services[s].batch_instance = 1;
        }
        sim->now_us = 100 * USEC_PER_SEC;
        for (size_t h = 0; h < sim->fleet.host_count; h++) {
                sim->hosts[h].up = sim->hosts[h].boot_readable = true;
                sim->hosts[h].boot = sim->hosts[h].first_boot = 1;
        }
        sim->batch = 1;
        sim_make_plan(sim, &plan);
        for (size_t i = 0; i < plan->step_count; i++)
                sim_say(sim, "step %zu %s", i, plan->steps[i].name);
        controller_begin(sim, plan);
        for (size_t h = 0; h < sim->fleet.host_count; h++)
                agent_begin(sim, h);
        people_begin(sim);
        faults_begin(sim);
}

static void live(struct sim *sim)
{
        uint64_t end_us = 0;

        while (sim->heap_count > 0) {
                struct happening next = take_first(sim);

                sim->now_us = next.time_us;
                sim->current = next.data;
                if (sim->now_us > HORIZON)
                        sim_fail(sim, "the run does not end");
                if (sim->controller.finished && !end_us) {
                        check_end(sim);
                        end_us = sim->now_us + 60 * USEC_PER_SEC; /* nothing may follow */
                }
                if (end_us && sim->now_us > end_us)
                        return;
                next.action(sim, next.host, next.tag, next.data);
                free(next.data);
                sim->current = NULL;
        }
        if (!sim->controller.finished)
                sim_fail(sim, "nothing happens any more and the run has not ended");
}

static void show(const struct sim *sim)
{
        size_t first = sim->line_count > SHOWN ? sim->line_count - SHOWN : 0;

        for (size_t i = first; i < sim->line_count; i++)
                puts(sim->lines[i % 4000]);
        for (size_t i = 0; sim->controller.run && i < run_plan(sim->controller.run)->step_count; i++) {
                struct step_view view;

                run_step(sim->controller.run, i, &view);
                if (view.state < STEP_DONE)
                        printf("open: step %zu %s, %s: %s\n", i, run_plan(sim->controller.run)->steps[i].name,
                               step_state_name(view.state), view.text);
        }
        printf("seed %llu: %s\nalone, with all of it: sim --seeds 1 --start %llu --trace\n",
               (unsigned long long)sim->seed, sim->failure, (unsigned long long)sim->seed);
}

static bool run_seed(uint64_t seed, bool trace, struct totals *totals)
{
        struct sim *sim = calloc(1, sizeof(*sim));
        bool failed;

        if (!sim)
                abort();
        sim->seed = sim->random = seed;
        sim->trace = trace;
        failed = setjmp(sim->failed) != 0;
        if (!failed) {
                begin(sim);
                live(sim);
        } else {
                show(sim);
        }
        totals->inputs += sim->controller.inputs;
        totals->events += sim->controller.durable;
        totals->crashes += sim->controller.crashes;
        totals->faults += sim->faults;
        totals->batches += sim->batch - 1;
        if (!failed)
                totals->states[run_state(sim->controller.run)]++;
        clear(sim);
        free(sim);
        return !failed;
}

static uint64_t number(const char *text)
{
        uint64_t value;

        if (text_to_u64(text, &value) < 0) {
                fprintf(stderr, "sim: '%s' is not a number\n", text);
                exit(2);
        }
        return value;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                {"seeds", required_argument, NULL, 'n'},
                {"start", required_argument, NULL, 's'},
                {"trace", no_argument, NULL, 't'},
                {0},
        };
        uint64_t seeds = 200, start = 1;
        struct totals totals = {0};
        bool trace = false;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option == 'n')
                        seeds = number(optarg);
                else if (option == 's')
                        start = number(optarg);
                else if (option == 't')
                        trace = true;
                else
                        return 2;
        }
        for (uint64_t seed = start; seed < start + seeds; seed++)
                if (!run_seed(seed, trace, &totals))
                        return 1;
        printf("%llu seeds: %llu events, %llu inputs, %llu further batches, %llu faults, %llu ends of the "
               "controller; done %llu, "
               "part %llu, "
               "failed %llu, aborted %llu\n",
               (unsigned long long)seeds, totals.events, totals.inputs, totals.batches, totals.faults,
               totals.crashes, totals.states[RUN_DONE], totals.states[RUN_PART], totals.states[RUN_FAILED],
               totals.states[RUN_ABORTED]);
        return 0;
}
