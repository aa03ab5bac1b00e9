/* A sound fleet, in which no check finds anything, and what checks are expected to find once something in it
 * is wrong. For the tests of checks. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/checks/checks.h"

#define GB  1000000000ull
#define MB  1000000ull
#define NOW (1800000000ull * USEC_PER_SEC)

enum { ROUTER, BDS, COPY, GEO, APPS, SERVICES };

static struct {
        struct fleet_host hosts[2];
        struct fleet_service services[SERVICES];
        struct fleet fleet;
        struct service_state states[2][SERVICES];
        struct agent_state agents[2];
        struct plan_host_fact hosts_known[2];
        struct plan_rate rates[SERVICES];
        struct plan_pm2_look pm2[SERVICES];
        struct disk_state disks[2];
        char failed[7][UNIT_SIZE];
        struct pm2_app_state apps[7];
        bool scope_hosts[2], scope_services[SERVICES];
        struct finding *found;
        size_t count;
} w;

static struct service_state *state_of(int service)
{
        return &w.states[service == ROUTER || service == APPS][service];
}

static void add_service(int i, const char *name, enum service_kind kind, size_t host, uint16_t port)
{
        struct fleet_service *service = &w.services[i];

        *service = (struct fleet_service){.host = host, .of = -1, .same_as = -1, .at_least = 1, .line = 10};
        service->max_lag = 64 * MB;
        service->spec = (struct service_spec){.kind = kind, .port = port, .address = "127.0.0.1"};
        service->reload_limit_us = 600 * USEC_PER_SEC;
        TEXT_COPY(service->spec.name, name);
        *state_of(i) = (struct service_state){.kind = kind, .phase = PHASE_READY};
        TEXT_COPY(state_of(i)->name, name);
        if (kind == SERVICE_PM2)
                return;
        snprintf(service->spec.unit, sizeof(service->spec.unit), "u@%s.service", name);
        state_of(i)->unit = (struct unit_state){.present = true,
                                                .load_state = "loaded",
                                                .unit_file_state = "enabled",
                                                .type = "simple",
                                                .timeout_stop_us = 90 * USEC_PER_SEC,
                                                .timeout_start_us = 90 * USEC_PER_SEC};
}

static void sound_redis(int i, const char *role)
{
        state_of(i)->redis = (struct redis_state){.answering = true,
                                                  .pong = true,
                                                  .master_link_up = true,
                                                  .used_memory = 2 * GB,
                                                  .max_memory = 3 * GB,
                                                  .keys = 1000,
                                                  .aof_enabled = true,
                                                  .base_bytes = GB,
                                                  .incremental_bytes = 100 * MB,
                                                  .aof_last_rewrite_status = "ok",
                                                  .aof_last_write_status = "ok",
                                                  .rdb_last_save_status = "ok",
                                                  .directory = "/data",
                                                  .directory_available = 50 * GB};
        TEXT_COPY(state_of(i)->redis.role, role);
        w.rates[i] = (struct plan_rate){50e6, 20e6, 3};
}

static int sound_fleet(void **state)
{
        free(w.found);
        memset(&w, 0, sizeof(w));
        strcpy(w.hosts[0].name, "db1");
        strcpy(w.hosts[1].name, "app1");
        add_service(ROUTER, "router", SERVICE_UNIT, 1, 0);
        add_service(BDS, "bds", SERVICE_REDIS, 0, 6379);
        add_service(COPY, "copy", SERVICE_REDIS, 0, 6380);
        add_service(GEO, "geo", SERVICE_TILE38, 0, 9851);
        add_service(APPS, "apps", SERVICE_PM2, 1, 0);
        w.services[BDS].spec.role = REDIS_MASTER;
        w.services[COPY].spec.role = REDIS_REPLICA;
        strcpy(w.services[APPS].spec.user, "www");
        strcpy(w.services[APPS].spec.home, "/var/www/.pm2");
        sound_redis(BDS, "master");
        sound_redis(COPY, "slave");
        state_of(GEO)->tile38 = (struct tile38_state){.ready = true, .aof_size = 100 * MB, .objects = MB};
        w.rates[GEO] = (struct plan_rate){20e6, 0, 1};
        state_of(APPS)->pm2 = (struct pm2_state){.reachable = true, .online = 3};
        for (size_t h = 0; h < 2; h++) {
                w.agents[h].host = (struct host_state){.boot_id = "0123456789abcdef0123456789abcdef",
                                                       .clock_us = NOW - 3 * USEC_PER_SEC,
                                                       .memory_total = 16 * GB,
                                                       .memory_available = 8 * GB,
                                                       .agent_version = MUSTER_VERSION,
                                                       .agent_enabled = "enabled",
                                                       .overcommit = true};
                w.agents[h].host.boot_id[0] = (char)('1' + h);
                w.agents[h].services = w.states[h];
                w.agents[h].service_count = SERVICES;
                w.hosts_known[h] = (struct plan_host_fact){true, &w.agents[h], NOW, false};
                w.scope_hosts[h] = true;
        }
        w.disks[0] = (struct disk_state){"/", 100 * GB, 50 * GB};
        w.agents[0].host.disks = w.disks;
        w.agents[0].host.disk_count = 1;
        for (size_t i = 0; i < SERVICES; i++)
                w.scope_services[i] = true;
        w.fleet = (struct fleet){"f", w.hosts, 2, w.services, SERVICES};
        return 0;
}

static int end(void **state)
{
        free(w.found);
        w.found = NULL;
        return 0;
}

static void run_checks(void)
{
        struct scope scope = {w.scope_hosts, w.scope_services, NULL};
        struct plan_facts facts = {w.hosts_known, w.rates, w.pm2};

        free(w.found);
        w.found = NULL;
        assert_int_equal(checks_run(&w.fleet, &scope, &facts, NOW, &w.found, &w.count), 0);
}

/* Exactly these many findings, and the index-th is this one; evidence and advice hold these texts. */
static const struct finding *expect_nth(size_t count, size_t index, const char *id, enum severity severity,
                                        const char *evidence, const char *advice)
{
        const struct finding *finding;

        run_checks();
        for (size_t i = 0; w.count != count && i < w.count; i++)
                print_message("%s %s/%s: %s\n", w.found[i].id, w.found[i].host, w.found[i].service,
                              w.found[i].evidence);
        assert_int_equal(w.count, count);
        finding = &w.found[index];
        assert_string_equal(finding->id, id);
        if (finding->severity != severity)
                fail_msg("%s %s", severity_name(finding->severity), finding->evidence);
        if (!strstr(finding->evidence, evidence))
                fail_msg("evidence: %s, not: %s", finding->evidence, evidence);
        if (!strstr(finding->advice, advice))
                fail_msg("advice: %s, not: %s", finding->advice, advice);
        return finding;
}

static const struct finding *expect(const char *id, enum severity severity, const char *evidence,
                                    const char *advice)
{
        return expect_nth(1, 0, id, severity, evidence, advice);
}

static void expect_nothing(void)
{
        run_checks();
        if (w.count)
                fail_msg("%s: %s", w.found[0].id, w.found[0].evidence);
        assert_null(w.found);
}
