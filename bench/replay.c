/* For the bench replay: a journal as a real run of the core writes it, and reading it back as a controller
 * that starts does.
 *
 *     bench_replay make FILE HOSTS EVENTS
 *     bench_replay fold FILE HOSTS
 *     bench_replay read FILE HOSTS
 *
 * make plans a reboot of HOSTS hosts with ten services each and runs it through the core until EVENTS events
 * are in the store; fold opens that store and takes up the run; read, the floor, only reads the same rows.
 * The hosts here do what they are asked; one operation in five fails at first, and a person says "again" to
 * what fails for good. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bench/measure.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/runner.h"

#define RUN          "r20260101-000000-0000"
#define PER_HOST     10u
#define HOSTS_MOST   800u
#define COMMIT_EVERY 1000u

enum { REDIS_LAST = 7, UNIT = 8, PM2 = 9 };

struct order {
        STAILQ_ENTRY(order) next;
        int step;
        char operation[ID_SIZE];
};

struct world {
        struct fleet fleet;
        struct agent_state *states;
        struct plan_host_fact *facts;
        unsigned *boots; /* a host's */
        store *store;
        run *run;
        STAILQ_HEAD(, order) orders;
        uint64_t now_us, events, asked;
};

static void stop(const char *what, const struct error *error, int code)
{
        fprintf(stderr, "bench_replay: %s: %s\n", what, error_text(error, code));
        exit(1);
}

static void *must(void *memory)
{
        if (!memory)
                stop("making the world", NULL, -ENOMEM);
        return memory;
}

/* --- the fleet ----------------------------------------------------------------------------------------- */

static void service_make(struct world *world, size_t index)
{
        struct fleet_service *service = &world->fleet.services[index];
        size_t of_host = index % PER_HOST;

        *service = (struct fleet_service){.host = index / PER_HOST,
                                          .of = -1,
                                          .same_as = -1,
                                          .at_least = 1,
                                          .hold_us = 2 * USEC_PER_SEC,
                                          .start_limit_us = 120 * USEC_PER_SEC};
        snprintf(service->spec.name, NAME_SIZE, "service%zu", index);
        TEXT_COPY(service->spec.address, "127.0.0.1");
        service->spec.kind = of_host <= REDIS_LAST ? SERVICE_REDIS
                             : of_host == UNIT     ? SERVICE_UNIT
                                                   : SERVICE_PM2;
        if (of_host == PM2) {
                TEXT_COPY(service->spec.user, "apps");
                TEXT_COPY(service->spec.home, "/home/apps/.pm2");
                service->needs[service->need_count++] = index - 1;
                return;
        }
        snprintf(service->spec.unit, UNIT_SIZE, "redis@%zu.service", of_host);
        service->spec.port = (uint16_t)(6000 + of_host);
        if (of_host == UNIT)
                service->needs[service->need_count++] = index - UNIT;
        else if (of_host % 2) { /* a replica of the one before */
                service->spec.role = REDIS_REPLICA;
                service->of = (int)index - 1;
        }
}

/* What the agent says of a service that is up; a boot makes another process of it. */
static void service_say(struct world *world, size_t index)
{
        const struct fleet_service *service = &world->fleet.services[index];
        struct service_state *said = &world->states[service->host].services[index % PER_HOST];
        unsigned boot = world->boots[service->host];

        *said = (struct service_state){
                .kind = service->spec.kind, .phase = PHASE_READY, .ready_for_ms = 60000};
        TEXT_COPY(said->name, service->spec.name);
        said->unit.present = service->spec.unit[0] != '\0';
        said->unit.main_pid = 100 + boot;
        said->unit.active_enter_us = boot;
        TEXT_COPY(said->unit.unit_file_state, "enabled");
        said->pm2.reachable = true;
        if (said->kind != SERVICE_REDIS)
                return;
        snprintf(said->redis.run_id, sizeof(said->redis.run_id), "%zu-%u", index, boot);
        TEXT_COPY(said->redis.role, service->of >= 0 ? "slave" : "master");
        said->redis.aof_enabled = true;
        said->redis.base_bytes = 100000000;
        said->redis.incremental_bytes = 200000000;
}

static void host_boot(struct world *world, size_t host)
{
        struct agent_state *state = &world->states[host];

        world->boots[host]++;
        snprintf(state->host.boot_id, ID_SIZE, "%016zx%016x", host, world->boots[host]);
        state->host.uptime_ms = 60000;
        for (size_t s = 0; s < PER_HOST; s++)
                service_say(world, host * PER_HOST + s);
}

static void fleet_make(struct world *world, size_t hosts)
{
        struct fleet *fleet = &world->fleet;

        *fleet = (struct fleet){.name = "bench", .host_count = hosts, .service_count = hosts * PER_HOST};
        fleet->hosts = must(calloc(hosts, sizeof(*fleet->hosts)));
        fleet->services = must(calloc(fleet->service_count, sizeof(*fleet->services)));
        world->states = must(calloc(hosts, sizeof(*world->states)));
        world->facts = must(calloc(hosts, sizeof(*world->facts)));
        world->boots = must(calloc(hosts, sizeof(*world->boots)));
        for (size_t s = 0; s < fleet->service_count; s++)
                service_make(world, s);
        for (size_t h = 0; h < hosts; h++) {
                snprintf(fleet->hosts[h].name, NAME_SIZE, "host%zu", h);
                world->states[h].services = must(calloc(PER_HOST, sizeof(struct service_state)));
                world->states[h].service_count = PER_HOST;
                world->facts[h] = (struct plan_host_fact){true, &world->states[h]};
                host_boot(world, h);
        }
}

static void world_clear(struct world *world)
{
        struct order *order;

        while ((order = STAILQ_FIRST(&world->orders))) {
                STAILQ_REMOVE_HEAD(&world->orders, next);
                free(order);
        }
        for (size_t h = 0; h < world->fleet.host_count; h++)
                free(world->states[h].services);
        free(world->states);
        free(world->facts);
        free(world->boots);
        free(world->fleet.hosts);
        free(world->fleet.services);
        run_free(world->run);
        store_close(world->store);
}

/* --- running ------------------------------------------------------------------------------------------- */

static void commit(struct world *world)
{
        struct error error = {0};
        int r = store_commit(world->store, &error);

        if (r < 0)
                stop("committing", &error, r);
}

static void write_event(struct world *world, const struct run_effect *effect)
{
        cleanup_free char *json = NULL;
        int r = run_event_to_json(effect->event, &json);

        if (r == 0)
                r = store_journal_append(world->store, RUN, effect->number, effect->event->clock_us, json);
        if (r < 0)
                stop("writing an event", NULL, r);
        if (++world->events % COMMIT_EVERY == 0)
                commit(world);
}

static void feed(struct world *world, struct run_input input)
{
        struct run_effects effects = {0};
        struct error error = {0};
        int r;

        input.now_us = world->now_us;
        input.clock_us = 1700000000000000 + world->now_us;
        r = run_apply(world->run, &input, &effects, &error);
        if (r < 0)
                stop("the run", &error, r);
        for (size_t i = 0; i < effects.count; i++) {
                const struct run_effect *effect = &effects.items[i];

                if (effect->kind == EFFECT_JOURNAL) {
                        write_event(world, effect);
                } else if (effect->kind == EFFECT_OPERATE) {
                        struct order *order = must(calloc(1, sizeof(*order)));

                        order->step = effect->step;
                        TEXT_COPY(order->operation, effect->operation);
                        STAILQ_INSERT_TAIL(&world->orders, order, next);
                }
        }
        run_effects_clear(&effects);
}

static void feed_host(struct world *world, enum run_input_kind kind, size_t host)
{
        feed(world, (struct run_input){.kind = kind,
                                       .host = world->fleet.hosts[host].name,
                                       .state = &world->states[host]});
}

/* A host does what it was asked; a reboot's answer is the new boot. */
static void obey(struct world *world, const struct order *order)
{
        const struct step *step = &run_plan(world->run)->steps[order->step];
        bool is_reboot = step->operation == OPERATION_HOST_REBOOT;
        bool fails = !is_reboot && step->operation != OPERATION_PM2_VERIFY && world->asked++ % 5 == 0;
        struct operation_report report = {.state = fails ? OPERATION_FAILED : OPERATION_DONE};
        int host = fleet_host_find(&world->fleet, step->host);

        TEXT_COPY(report.id, order->operation);
        TEXT_COPY(report.text, fails ? "it was not ready to be asked; tried again, this goes well"
                                     : "done as asked, 300.0 MB -> 100.0 MB, and looked at afterwards");
        feed(world,
             (struct run_input){
                     .kind = INPUT_REPORT, .operation = report.id, .reports = &report, .report_count = 1});
        if (!is_reboot || host < 0)
                return;
        feed_host(world, INPUT_HOST_DOWN, (size_t)host);
        host_boot(world, (size_t)host);
        feed_host(world, INPUT_HOST_UP, (size_t)host);
}

/* An operation that fails for good waits for a person, who says: again. */
static void steer(struct world *world)
{
        const struct plan *plan = run_plan(world->run);

        for (size_t i = 0; i < plan->step_count; i++) {
                struct step_view view;

                run_step(world->run, i, &view);
                if (view.state == STEP_FAILED)
                        feed(world, (struct run_input){.kind = INPUT_STEER,
                                                       .action = STEER_RETRY,
                                                       .step = (int)i,
                                                       .user = "bench",
                                                       .text = ""});
        }
}

/* The end is left out: a finished run is not taken up again. */
static void live(struct world *world, uint64_t events)
{
        while (world->events < events) {
                struct order *order = STAILQ_FIRST(&world->orders);
                uint64_t before = world->events;

                if (order) {
                        STAILQ_REMOVE_HEAD(&world->orders, next);
                        obey(world, order);
                        free(order);
                        continue;
                }
                steer(world);
                if (run_wake_us(world->run) != UINT64_MAX) {
                        if (world->now_us < run_wake_us(world->run))
                                world->now_us = run_wake_us(world->run);
                        feed(world, (struct run_input){.kind = INPUT_TICK});
                } else if (world->events == before && STAILQ_EMPTY(&world->orders)) {
                        break;
                }
        }
        if (run_finished(world->run) || world->events < events) {
                fprintf(stderr, "bench_replay: the run was over after %llu events: more hosts are needed\n",
                        (unsigned long long)world->events);
                exit(1);
        }
}

static struct plan *plan_all(struct world *world)
{
        cleanup_free bool *all = must(malloc(world->fleet.service_count));
        struct scope scope = {all, all};
        struct plan_facts facts = {world->facts, NULL};
        struct error error = {0};
        struct plan *plan;
        int r;

        memset(all, true, world->fleet.service_count);
        r = plan_build(&plan, PLAN_REBOOT, &world->fleet, &scope, "", NULL, &facts, &error);
        if (r < 0)
                stop("planning", &error, r);
        return plan;
}

static int make(struct world *world, uint64_t events)
{
        struct store_run stored = {.kind = "reboot", .user = "bench", .state = "running", .started_us = 1};
        struct plan *plan = plan_all(world);
        cleanup_free const char **hosts = NULL;
        cleanup_free char *json = NULL;
        char holder[NAME_SIZE];
        struct error error = {0};
        size_t count, steps = plan->step_count;
        int r = plan_to_json(plan, &json);

        TEXT_COPY(stored.id, RUN);
        if (r == 0)
                r = plan_hosts(plan, &hosts, &count);
        if (r == 0)
                r = store_run_add(world->store, &stored, json, hosts, count, holder);
        if (r == 0)
                r = run_new(&world->run, RUN, plan, world->now_us, &error);
        if (r < 0)
                stop("beginning the run", &error, r);
        for (size_t h = 0; h < world->fleet.host_count; h++)
                feed_host(world, INPUT_HOST_UP, h);
        feed(world, (struct run_input){.kind = INPUT_START, .user = "bench", .seed = "0123456789abcdef"});
        live(world, events);
        commit(world);
        printf("events=%llu steps=%zu plan_bytes=%zu\n", (unsigned long long)world->events, steps,
               strlen(json));
        return 0;
}

/* --- reading back -------------------------------------------------------------------------------------- */

/* What a controller does with its store when it starts. */
static int fold(struct world *world)
{
        cleanup_with(sd_event_unrefp) sd_event *event = NULL;
        struct run_summary summary;
        struct error error = {0};
        agents *agents = NULL;
        runner *runner = NULL;
        uint64_t began, took;
        int r = sd_event_new(&event);

        if (r >= 0)
                r = agents_new(&agents, event, &world->fleet);
        if (r < 0)
                stop("starting", NULL, r);
        began = measure_now();
        r = runner_new(&runner, event, world->store, agents, &error);
        took = measure_now() - began;
        if (r == 0)
                r = runner_summary(runner, RUN, &summary);
        if (r < 0)
                stop("taking up the run", &error, r);
        printf("ms=%.3f steps_done=%u\n", (double)took / 1e6, summary.steps_done);
        r = text_equal(summary.state, "running") || text_equal(summary.state, "paused") ? 0 : 1;
        if (r)
                fprintf(stderr, "bench_replay: the run is %s, not taken up\n", summary.state);
        runner_free(runner);
        agents_free(agents);
        return r;
}

struct reading {
        uint64_t events, bytes;
};

static int read_one(uint64_t event, uint64_t time_us, const char *json, void *userdata)
{
        struct reading *reading = userdata;

        reading->events++;
        reading->bytes += strlen(json);
        return 0;
}

static int read_only(struct world *world)
{
        cleanup_free char *json = NULL;
        struct reading reading = {0};
        struct store_run stored;
        uint64_t began = measure_now();
        int r = store_run_get(world->store, RUN, &stored, &json);

        if (r == 0)
                r = store_journal_read(world->store, RUN, 1, read_one, &reading);
        if (r < 0)
                stop("reading", NULL, r);
        printf("ms=%.3f events=%llu bytes=%llu\n", (double)(measure_now() - began) / 1e6,
               (unsigned long long)reading.events, (unsigned long long)reading.bytes);
        return 0;
}

int main(int argc, char **argv)
{
        struct world world = {.now_us = 1000 * USEC_PER_SEC};
        struct error error = {0};
        uint64_t hosts = 0, events = 0;
        int r, exit_code;

        if (argc < 4 || text_to_u64(argv[3], &hosts) < 0 || hosts < 1 || hosts > HOSTS_MOST ||
            (argc > 4 && text_to_u64(argv[4], &events) < 0)) {
                fprintf(stderr, "usage: bench_replay make FILE HOSTS EVENTS | fold|read FILE HOSTS\n");
                return 2;
        }
        log_set_level(LOG_WARNING);
        STAILQ_INIT(&world.orders);
        r = store_open(&world.store, argv[2], &error);
        if (r < 0)
                stop("opening the store", &error, r);
        fleet_make(&world, hosts);
        if (text_equal(argv[1], "make"))
                exit_code = make(&world, events);
        else
                exit_code = text_equal(argv[1], "fold") ? fold(&world) : read_only(&world);
        world_clear(&world);
        return exit_code;
}
