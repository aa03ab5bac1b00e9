/* A random fleet: services of every kind, each with needs among those before it. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

/* Mostly a person is waited for. */
static enum failure_policy draw_on_failure(struct sim *sim, uint64_t of)
{
        uint64_t drawn = sim_random(sim, of);

        return drawn == 0 ? ON_FAILURE_CONTINUE : drawn == 1 ? ON_FAILURE_ABORT : ON_FAILURE_PAUSE;
}

/* Some kinds of steps are tried more often, at other times, for longer or shorter, or may fail. */
static void draw_policies(struct sim *sim, enum service_kind kind, struct step_policy *policies)
{
        for (unsigned step = 1; step < POLICY_KIND_END; step++) {
                struct step_policy *policy = &policies[step];

                if (sim_random(sim, 8) || !(policy_kinds_of(kind) & (1u << step)))
                        continue;
                policy->set = (unsigned)sim_random(sim, 16) & policy_keys_of(step);
                policy->retries = (uint32_t)sim_random(sim, 5);
                policy->backoff_us = sim_random(sim, 90) * USEC_PER_SEC;
                policy->deadline_us = sim_between(sim, 60, 1800) * USEC_PER_SEC;
                policy->on_failure = draw_on_failure(sim, 4);
        }
}

static void make_service(struct sim *sim, size_t index)
{
        struct fleet_service *service = &sim->fleet_services[index];
        static const enum service_kind kinds[] = {SERVICE_REDIS, SERVICE_REDIS, SERVICE_TILE38,
                                                  SERVICE_UNIT,  SERVICE_UNIT,  SERVICE_PM2};
        enum service_kind kind = kinds[sim_random(sim, index < 2 ? 3 : 6)];

        *service = (struct fleet_service){
                .host = sim_random(sim, sim->fleet.host_count),
                .of = -1,
                .same_as = -1,
                .at_least = sim_random(sim, 2) ? 1 : 0.5,
                .hold_us = sim_random(sim, 4) * USEC_PER_SEC,
                .start_limit_us = sim_between(sim, 60, 300) * USEC_PER_SEC,
        };
        service->spec.kind = kind;
        snprintf(service->spec.name, NAME_SIZE, "%s%zu", service_kind_name(kind), index);
        if (kind == SERVICE_PM2) {
                TEXT_COPY(service->spec.user, "apps");
                TEXT_COPY(service->spec.home, "/home/apps/.pm2");
        } else {
                snprintf(service->spec.unit, UNIT_SIZE, "s%zu.service", index);
        }
        if (kind != SERVICE_UNIT && kind != SERVICE_PM2)
                service->spec.port = (uint16_t)(6000 + index);
        for (size_t need = 0; need < index; need++)
                if (sim_random(sim, 100) < 30)
                        service->needs[service->need_count++] = need;
        for (size_t other = 0; other < index; other++) {
                const struct fleet_service *master = &sim->fleet_services[other];

                if (master->spec.kind != SERVICE_REDIS || master->of >= 0 || sim_random(sim, 100) >= 30)
                        continue;
                if (kind == SERVICE_REDIS) {
                        service->spec.role = REDIS_REPLICA;
                        service->of = (int)other;
                } else if (kind == SERVICE_UNIT) {
                        service->same_as = (int)other;
                        service->spec.probe_port = 6400;
                }
                break;
        }
        service->on_failure = draw_on_failure(sim, 30);
        draw_policies(sim, service->spec.kind, service->policies);
        sim->services[index].host = service->host;
        sim->services[index].enabled = sim_random(sim, 4) > 0;
}

/* A reboot that takes longer than the run waits for it, which then goes on without. */
static void draw_haste(struct sim *sim, struct step_policy *reboot)
{
        sim->hasty = sim_random(sim, 8) == 0;
        if (sim->hasty)
                *reboot = (struct step_policy){
                        .set = POLICY_DEADLINE | POLICY_ON_FAILURE,
                        .deadline_us = sim_between(sim, 60, 300) * USEC_PER_SEC,
                        .on_failure = draw_on_failure(sim, 2),
                };
}

void sim_make_fleet(struct sim *sim)
{
        sim->fleet = (struct fleet){
                .name = "sim",
                .hosts = sim->fleet_hosts,
                .host_count = 1 + sim_random(sim, SIM_HOSTS),
                .services = sim->fleet_services,
                .service_count = 2 + sim_random(sim, SIM_SERVICES - 1),
        };
        for (size_t h = 0; h < sim->fleet.host_count; h++) {
                snprintf(sim->fleet_hosts[h].name, NAME_SIZE, "h%zu", h);
                sim->fleet_hosts[h].loads_said = true;
                sim->fleet_hosts[h].loads_per_disk = (uint32_t)sim_random(sim, 3); /* 0: all */
        }
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                make_service(sim, s);
        draw_policies(sim, SERVICE_NONE, sim->fleet.policies);
        draw_haste(sim, &sim->fleet.policies[OPERATION_HOST_REBOOT]);
}

/* All at once, or in batches of any size, with or without a canary. The hosts' batches are worked out here
 * once more, so that what the plan makes of them can be checked. */
static void make_rollout(struct sim *sim, struct rollout *ret)
{
        size_t hosts = 0, canary = 0, size;
        unsigned batch = 0;

        *ret = (struct rollout){.batch = (uint32_t)sim_random(sim, 4),
                                .canary = (uint32_t)sim_random(sim, 3)};
        if (sim_random(sim, 3) == 0)
                *ret = (struct rollout){.share = 0.5};
        for (size_t h = 0; h < sim->fleet.host_count; h++) {
                sim->batch_of[h] = 0;
                for (size_t s = 0; s < sim->fleet.service_count; s++)
                        sim->batch_of[h] |= sim->kind == PLAN_REBOOT || sim->services[s].host == h;
                hosts += sim->batch_of[h];
        }
        size = ret->share > 0 ? (hosts / 2 ? hosts / 2 : 1) : ret->batch ? ret->batch : hosts;
        for (size_t h = 0, left = ret->canary, filled = size; h < sim->fleet.host_count; h++) {
                if (!sim->batch_of[h])
                        continue;
                if (left > 0) {
                        left--;
                        batch = 1;
                        canary = 1;
                } else if (filled == size) {
                        batch++;
                        filled = 0;
                }
                filled += canary == 0 || batch > 1;
                sim->batch_of[h] = batch;
        }
}

void sim_make_plan(struct sim *sim, struct plan **ret)
{
        struct plan_options options = {0};

        bool hosts[SIM_HOSTS], services[SIM_SERVICES];
        struct plan_host_fact facts[SIM_HOSTS];
        struct scope scope = {hosts, services};
        struct error error = {0};

        for (size_t h = 0; h < sim->fleet.host_count; h++) {
                struct message seen;

                hosts[h] = true;
                host_glimpse(sim, h, &seen);
                facts[h] = (struct plan_host_fact){true, host_state_of(sim, h, &seen)};
        }
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                services[s] = true;
        sim->kind = sim_random(sim, 3) ? PLAN_REBOOT : PLAN_RESTART;
        sim->soft = options.soft = sim->kind == PLAN_REBOOT && sim->seed % 4 == 3;
        if (sim_random(sim, 2))
                make_rollout(sim, &options.rollout);
        else
                for (size_t h = 0; h < SIM_HOSTS; h++)
                        sim->batch_of[h] = 1;
        if (sim->hasty || sim_random(sim, 2)) {
                options.rollout.has_budget = true;
                options.rollout.budget = (uint32_t)sim_random(sim, 3) + (sim->hasty ? 2 : 0);
        }
        if (sim_random(sim, 4) == 0)
                options.finish_by_us = 1700000000000000ull + sim_random(sim, 7200) * USEC_PER_SEC;
        if (plan_build(ret, sim->kind, &sim->fleet, &scope, "", &options, &(struct plan_facts){facts, NULL},
                       &error) < 0)
                sim_fail(sim, "no plan: %s", error.text);
}
