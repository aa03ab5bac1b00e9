/* A random fleet: services of every kind, each with needs among those before it. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

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
                .at_least = 1,
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
        switch (sim_random(sim, 30)) {
        case 0:
                service->on_failure = ON_FAILURE_CONTINUE;
                sim->has_policy = true;
                break;
        case 1:
                service->on_failure = ON_FAILURE_ABORT;
                sim->has_policy = true;
                break;
        default:
                service->on_failure = ON_FAILURE_PAUSE;
        }
        sim->services[index].host = service->host;
        sim->services[index].enabled = sim_random(sim, 4) > 0;
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
        for (size_t h = 0; h < sim->fleet.host_count; h++)
                snprintf(sim->fleet_hosts[h].name, NAME_SIZE, "h%zu", h);
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                make_service(sim, s);
}

void sim_make_plan(struct sim *sim, struct plan **ret)
{
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
        if (plan_build(ret, sim->kind, &sim->fleet, &scope, "", &(struct plan_facts){facts, NULL}, &error) <
            0)
                sim_fail(sim, "no plan: %s", error.text);
}
