/* sim --seeds N --start S [--jobs J] [--trace]: runs N worlds, J at a time (a core each); of one that fails
 * it shows the end, and exits 1. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "tests/sim/sim.h"

#define SHOWN     150
#define JOBS_MOST 64

struct totals {
        unsigned long long seeds, inputs, events, crashes, faults, batches, states[RUN_ABORTED + 1];
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
                sim->services[s].apps = SIM_APPS;
                if (sim->fleet_services[s].spec.kind != SERVICE_PM2 && sim_random(sim, 40) == 0)
                        sim->services[s].instance = sim->services[s].last_ready_us =
                                0; /* it was down before */
        }
        sim->now_us = 100 * USEC_PER_SEC;
        for (size_t h = 0; h < sim->fleet.host_count; h++) {
                sim->hosts[h].up = sim->hosts[h].boot_readable = true;
                sim->hosts[h].boot = sim->hosts[h].first_boot = BOOTS_OF_KERNEL;
                sim->hosts[h].reboots_asked = 1;
        }
        sim->batch = 1;
        sim_make_plan(sim, &plan);
        for (size_t i = 0; i < plan->step_count; i++)
                sim_say(sim, "step %zu %s", i, plan->steps[i].name);
        controller_begin(sim, plan);
        controller_turn_ends(sim);
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
                        if (sim_random(sim, 4) == 0)
                                controller_kill(sim, "when all is over");
                        end_us = sim->now_us + 120 * USEC_PER_SEC; /* nothing may follow */
                }
                if (end_us && sim->now_us > end_us)
                        return;
                next.action(sim, next.host, next.tag, next.data);
                controller_turn_ends(sim);
                free(next.data);
                sim->current = NULL;
        }
        if (!sim->controller.finished)
                sim_fail(sim, "nothing happens any more and the run has not ended");
}

static void show(const struct sim *sim)
{
        size_t first = sim->line_count > SHOWN ? sim->line_count - SHOWN : 0;
        const run *run = controller_run(sim);

        for (size_t i = first; i < sim->line_count; i++)
                puts(sim->lines[i % 4000]);
        for (size_t i = 0; run && i < sim->plan->step_count; i++) {
                struct step_view view;

                run_step(run, i, &view);
                if (view.state < STEP_DONE)
                        printf("open: step %zu %s, %s: %s\n", i, sim->plan->steps[i].name,
                               step_state_name(view.state), view.text);
        }
        printf("seed %llu: %s\nalone, with all of it: sim --seeds 1 --start %llu --trace\n",
               (unsigned long long)sim->seed, sim->failure, (unsigned long long)sim->seed);
}

/* A world that fails is shown, and left as it is: the program ends. */
static bool run_seed(uint64_t seed, bool quiet, bool trace, struct totals *totals)
{
        struct sim *sim = calloc(1, sizeof(*sim));

        if (!sim)
                abort();
        sim->seed = sim->random = seed;
        sim->quiet = quiet;
        sim->trace = trace;
        sim_deal(sim);
        if (setjmp(sim->failed) != 0) {
                if (!quiet)
                        show(sim);
                return false;
        }
        begin(sim);
        live(sim);
        totals->seeds++;
        totals->inputs += sim->controller.inputs;
        totals->events += sim->controller.durable;
        totals->crashes += sim->controller.crashes;
        totals->faults += sim->faults;
        totals->batches += sim->batch - 1;
        totals->states[run_state(sim->controller.ended)]++;
        clear(sim);
        free(sim);
        return true;
}

/* --- on all cores -------------------------------------------------------------------------------------- */

/* Shared with the processes that do the work: each takes every so many-th seed. */
struct worker {
        struct totals totals;
        uint64_t seed; /* the one that it is at */
        enum { WORKING, FAILED, DONE } state;
};

static void work(struct worker *workers, unsigned count, unsigned index, uint64_t start, uint64_t seeds)
{
        struct worker *self = &workers[index];

        for (uint64_t i = index; i < seeds; i += count) {
                for (unsigned w = 0; w < count; w++)
                        if (workers[w].state == FAILED)
                                return;
                self->seed = start + i;
                if (!run_seed(self->seed, true, false, &self->totals)) {
                        self->state = FAILED;
                        return;
                }
        }
        self->state = DONE;
}

static void begin_worker(struct worker *workers, unsigned count, unsigned index, uint64_t start,
                         uint64_t seeds)
{
        pid_t pid = fork();

        if (pid < 0)
                abort();
        if (pid > 0)
                return;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        work(workers, count, index, start, seeds);
        exit(workers[index].state == FAILED);
}

static void add_totals(struct totals *totals, const struct totals *more)
{
        const unsigned long long *from = (const unsigned long long *)more;
        unsigned long long *to = (unsigned long long *)totals;

        for (size_t i = 0; i < sizeof(*totals) / sizeof(*to); i++)
                to[i] += from[i];
}

/* 0: all is well; else the first seed of those that failed, or at which a worker was killed by what it found.
 */
static uint64_t run_all(unsigned count, uint64_t start, uint64_t seeds, struct totals *totals)
{
        struct worker *workers = mmap(NULL, count * sizeof(*workers), PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        uint64_t failed = 0;
        bool is_bad = false;
        int status;

        if (workers == MAP_FAILED)
                abort();
        for (unsigned w = 0; w < count; w++)
                begin_worker(workers, count, w, start, seeds);
        while (wait(&status) > 0)
                is_bad |= status != 0;
        for (unsigned w = 0; w < count; w++) {
                add_totals(totals, &workers[w].totals);
                if (is_bad && workers[w].state != DONE && workers[w].seed &&
                    (!failed || workers[w].state == FAILED))
                        failed = workers[w].seed;
        }
        (void)munmap(workers, count * sizeof(*workers));
        return failed;
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

static void print_totals(const struct totals *totals)
{
        printf("%llu seeds: %llu events, %llu inputs, %llu further batches, %llu faults, %llu ends of the "
               "controller; done %llu, part %llu, failed %llu, aborted %llu\n",
               totals->seeds, totals->events, totals->inputs, totals->batches, totals->faults,
               totals->crashes, totals->states[RUN_DONE], totals->states[RUN_PART],
               totals->states[RUN_FAILED], totals->states[RUN_ABORTED]);
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                {"seeds", required_argument, NULL, 'n'}, {"start", required_argument, NULL, 's'},
                {"jobs", required_argument, NULL, 'j'},  {"lying-disk", no_argument, NULL, 'l'},
                {"trace", no_argument, NULL, 't'},       {0},
        };
        uint64_t seeds = 200, start = 1, jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), failed = 0;
        struct totals totals = {0};
        bool trace = false, lies = false;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option == 'n')
                        seeds = number(optarg);
                else if (option == 's')
                        start = number(optarg);
                else if (option == 'j')
                        jobs = number(optarg);
                else if (option == 'l')
                        lies = true;
                else if (option == 't')
                        trace = true;
                else
                        return 2;
        }
        log_set_level(LOG_ERR);
        disk_begin(lies);
        if (trace || jobs <= 1 || seeds <= 1) {
                for (uint64_t seed = start; seed < start + seeds; seed++)
                        if (!run_seed(seed, false, trace, &totals))
                                return 1;
        } else {
                failed = run_all(jobs < JOBS_MOST ? (unsigned)jobs : JOBS_MOST, start, seeds, &totals);
        }
        if (failed) {
                if (run_seed(failed, false, false, &totals))
                        printf("seed %llu failed, and alone it does not\n", (unsigned long long)failed);
                return 1;
        }
        print_totals(&totals);
        return 0;
}
