/* The fleet of the incident, as data: three hosts, what stands on them, and what their agents would say. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/plan.h"

enum { DB1, DB2, APP1, HOSTS };
enum { BDS, BDS_COPY, GEO, BULL00, BULL01, BULL02, ROUTER, APPS, SERVICES };

struct incident {
        struct fleet fleet;
        struct fleet_host hosts[HOSTS];
        struct fleet_service services[SERVICES];
        struct agent_state states[HOSTS];
        struct service_state said[HOSTS][SERVICES];
        struct plan_host_fact facts[HOSTS];
        struct plan_rate rates[SERVICES];
        bool scope_hosts[HOSTS], scope_services[SERVICES];
        struct plan_options options;
};

static inline struct fleet_service *incident_service(struct incident *in, size_t index, const char *name,
                                                     enum service_kind kind, size_t host, const char *unit)
{
        struct fleet_service *service = &in->services[index];

        *service = (struct fleet_service){
                .host = host,
                .of = -1,
                .same_as = -1,
                .at_least = 1,
                .hold_us = 2 * USEC_PER_SEC,
                .start_limit_us = 120 * USEC_PER_SEC,
                .reload_limit_us = 600 * USEC_PER_SEC,
        };
        service->spec.kind = kind;
        TEXT_COPY(service->spec.name, name);
        TEXT_COPY(service->spec.unit, unit);
        TEXT_COPY(service->spec.address, "127.0.0.1");
        service->spec.port = (uint16_t)(6300 + index);
        return service;
}

static inline struct service_state *incident_said(struct incident *in, size_t service)
{
        return &in->said[in->services[service].host][service];
}

/* Copies what was said of services into the hosts' states. */
static inline void incident_states(struct incident *in)
{
        for (size_t h = 0; h < HOSTS; h++) {
                in->states[h].services = in->said[h];
                in->states[h].service_count = SERVICES;
        }
}

static inline void incident_say(struct incident *in, size_t service)
{
        struct service_state *said = incident_said(in, service);
        const struct service_spec *spec = &in->services[service].spec;

        *said = (struct service_state){.kind = spec->kind, .phase = PHASE_READY, .ready_for_ms = 3600000};
        TEXT_COPY(said->name, spec->name);
        said->unit.present = spec->unit[0] != '\0';
        said->unit.main_pid = 100 + (uint32_t)service;
        said->unit.active_enter_us = 1;
        said->unit.timeout_stop_us = 90 * USEC_PER_SEC;
        said->unit.timeout_start_us = 90 * USEC_PER_SEC;
        if (spec->kind == SERVICE_REDIS) {
                snprintf(said->redis.run_id, sizeof(said->redis.run_id), "run-%zu-1", service);
                TEXT_COPY(said->redis.role, spec->role == REDIS_REPLICA ? "slave" : "master");
                said->redis.aof_enabled = true;
                said->redis.used_memory = 14000000000;
                said->redis.base_bytes = 3000000000;
                said->redis.incremental_bytes = 9000000000;
                said->redis.aof_current_size = 12000000000;
        } else if (spec->kind == SERVICE_TILE38) {
                said->tile38.aof_size = 400000000;
        } else if (spec->kind == SERVICE_PM2) {
                said->pm2.reachable = true;
                said->pm2.online = 127;
        }
        if (service == ROUTER)
                TEXT_COPY(said->redis.run_id, "run-0-1");
}

static inline void incident_init(struct incident *in)
{
        static const char *const hosts[] = {"db1", "db2", "app1"};
        struct fleet_service *s;

        memset(in, 0, sizeof(*in));
        in->fleet = (struct fleet){"staging", in->hosts, HOSTS, in->services, SERVICES};
        for (size_t h = 0; h < HOSTS; h++) {
                TEXT_COPY(in->hosts[h].name, hosts[h]);
                snprintf(in->states[h].host.boot_id, ID_SIZE, "%032zx", 0x1000 + h);
                in->states[h].host.uptime_ms = 40ull * 24 * 3600 * 1000;
                in->facts[h] = (struct plan_host_fact){true, &in->states[h]};
                in->scope_hosts[h] = true;
        }
        s = incident_service(in, BDS, "bds", SERVICE_REDIS, DB1, "redis-stack-server@bds00.service");
        s->spec.role = REDIS_MASTER;
        s = incident_service(in, BDS_COPY, "bds-copy", SERVICE_REDIS, DB1,
                             "redis-stack-server@bds01.service");
        s->spec.role = REDIS_REPLICA;
        s->of = BDS;
        incident_service(in, GEO, "geo", SERVICE_TILE38, DB1, "tile38@beamdevlive.service");
        incident_service(in, BULL00, "bull00", SERVICE_REDIS, DB2, "redis-stack-server@bull00.service");
        incident_service(in, BULL01, "bull01", SERVICE_REDIS, DB2, "redis-stack-server@bull01.service");
        incident_service(in, BULL02, "bull02", SERVICE_REDIS, DB2, "redis-stack-server@bull02.service");
        s = incident_service(in, ROUTER, "router", SERVICE_UNIT, APP1, "redis-router.service");
        s->needs[s->need_count++] = BDS;
        s->same_as = BDS;
        s->spec.probe_port = 6400;
        s = incident_service(in, APPS, "apps", SERVICE_PM2, APP1, "");
        TEXT_COPY(s->spec.user, "beamdevlive");
        TEXT_COPY(s->spec.home, "/var/www/beamdevlive/.pm2");
        s->at_least = 0.95;
        for (size_t need = GEO; need <= ROUTER; need++)
                s->needs[s->need_count++] = need;
        for (size_t i = 0; i < SERVICES; i++) {
                in->scope_services[i] = true;
                incident_say(in, i);
        }
        incident_states(in);
}

/* A soft reboot is asked for, and all hosts offer it. */
static inline void incident_soft(struct incident *in)
{
        in->options.soft = true;
        for (size_t h = 0; h < HOSTS; h++) {
                TEXT_COPY(in->states[h].host.systemd, "254.26-1~bpo12+1");
                in->states[h].host.tells_soft = true;
        }
}

static inline int incident_plan(struct incident *in, enum plan_kind kind, struct plan **ret,
                                struct error *error)
{
        struct scope scope = {in->scope_hosts, in->scope_services};
        struct plan_facts facts = {in->facts, in->rates};

        *ret = NULL;
        return plan_build(ret, kind, &in->fleet, &scope, "", &in->options, &facts, error);
}

static inline int step_find(const struct plan *plan, const char *name)
{
        for (size_t i = 0; i < plan->step_count; i++)
                if (text_equal(plan->steps[i].name, name))
                        return (int)i;
        return -1;
}

static inline int step_named(const struct plan *plan, const char *name)
{
        int step = step_find(plan, name);

        if (step < 0)
                fail_msg("the plan has no step '%s'", name);
        return step;
}

/* Whether later waits for earlier, directly or through others. */
static inline bool waits_for(const struct plan *plan, size_t later, size_t earlier)
{
        const struct step *step = &plan->steps[later];

        for (size_t i = 0; i < step->after_count; i++)
                if (step->after[i] == earlier || waits_for(plan, step->after[i], earlier))
                        return true;
        return false;
}

static inline void assert_after(const struct plan *plan, const char *later, const char *earlier)
{
        if (!waits_for(plan, (size_t)step_named(plan, later), (size_t)step_named(plan, earlier)))
                fail_msg("'%s' does not wait for '%s'", later, earlier);
}

static inline void assert_free_of(const struct plan *plan, const char *later, const char *earlier)
{
        if (waits_for(plan, (size_t)step_named(plan, later), (size_t)step_named(plan, earlier)))
                fail_msg("'%s' waits for '%s' without need", later, earlier);
}
