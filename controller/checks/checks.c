/* See checks.h. The table of checks, and what they share. */
#include "controller/checks/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/checks/check.h"
#include "controller/core/plan_estimate.h"

#define UNIT   (1u << SERVICE_UNIT)
#define REDIS  (1u << SERVICE_REDIS)
#define TILE38 (1u << SERVICE_TILE38)
#define PM2    (1u << SERVICE_PM2)

static const struct check checks[] = {
        {"connected", 0, true, check_connected},
        {"boot-id", 0, false, check_boot_id},
        {"boot-constant", 0, false, check_boot_constant},
        {"agent-autostart", 0, false, check_agent_autostart},
        {"agent-version", 0, false, check_agent_version},
        {"clock", 0, false, check_clock},
        {"disk", 0, false, check_disk},
        {"memory", 0, false, check_memory},
        {"failed-units", 0, false, check_failed_units},
        {"two-machines", 0, true, check_two_machines},
        {"inhibitors", 0, false, check_inhibitors},
        {"reported", UNIT | REDIS | TILE38 | PM2, true, check_reported},
        {"unit", UNIT | REDIS | TILE38, false, check_unit},
        {"autostart", UNIT | REDIS | TILE38, false, check_autostart},
        {"ready", UNIT | REDIS | TILE38, false, check_ready},
        {"role", REDIS, false, check_role},
        {"replica-link", REDIS, false, check_replica_link},
        {"config", REDIS, false, check_config},
        {"persistence", REDIS, false, check_persistence},
        {"last-write", REDIS, false, check_last_write},
        {"aof-growth", REDIS, false, check_aof_growth},
        {"rewrite-disk", REDIS, false, check_rewrite_disk},
        {"rewrite-memory", REDIS, false, check_rewrite_memory},
        {"tile38-aof", TILE38, false, check_tile38_aof},
        {"tile38-leftover", TILE38, false, check_tile38_leftover},
        {"reload-time", REDIS | TILE38, false, check_reload_time},
        {"stop-budget", REDIS, false, check_stop_budget},
        {"start-budget", REDIS | TILE38, false, check_start_budget},
        {"pm2-reachable", PM2, false, check_pm2_reachable},
        {"pm2-errored", PM2, false, check_pm2_errored},
        {"pm2-restarting", PM2, false, check_pm2_restarting},
        {"pm2-boot-unit", PM2, false, check_pm2_boot_unit},
        {"pm2-boot-unit-held", PM2, false, check_pm2_boot_unit_held},
        {"pm2-snapshot", PM2, false, check_pm2_snapshot},
        {"pm2-dump", PM2, false, check_pm2_dump},
};

struct finding *finding_add(struct checking *checking, enum severity severity)
{
        struct finding *finding = &checking->spare;

        if (checking->count == checking->room) {
                size_t room = checking->room ? 2 * checking->room : 16;
                struct finding *larger = reallocarray(checking->items, room, sizeof(*larger));

                if (larger) {
                        checking->items = larger;
                        checking->room = room;
                } else {
                        checking->result = -ENOMEM;
                }
        }
        if (checking->count < checking->room)
                finding = &checking->items[checking->count++];
        *finding = (struct finding){.severity = severity};
        TEXT_COPY(finding->id, checking->id);
        TEXT_COPY(finding->host, checking->host->name);
        TEXT_COPY(finding->service, checking->service ? checking->service->spec.name : "");
        return finding;
}

static void write_text(char *out, size_t size, const char *format, va_list arguments)
        __attribute__((format(printf, 3, 0)));
static void write_text(char *out, size_t size, const char *format, va_list arguments)
{
        char text[4 * TEXT_SIZE];

        vsnprintf(text, sizeof(text), format, arguments);
        text_copy_cut(out, size, text);
        for (char *c = out; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = '?';
}

void finding_evidence(struct finding *finding, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        write_text(finding->evidence, sizeof(finding->evidence), format, arguments);
        va_end(arguments);
}

void finding_advice(struct finding *finding, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        write_text(finding->advice, sizeof(finding->advice), format, arguments);
        va_end(arguments);
}

void finding_fix(struct finding *finding, const struct checking *checking, enum operation_kind fix)
{
        finding->fix = fix;
        finding->fix_service = checking->service->spec;
}

void check_load_estimate(const struct checking *checking, bool compacted, uint64_t *ret_low_us,
                         uint64_t *ret_high_us)
{
        struct step step = {.phase = PHASE_LOAD, .kind = STEP_GATE, .service = checking->service->spec};

        /* The load alone: what follows a replica's own load is its master's affair. */
        step.service.role = REDIS_ANY_ROLE;
        plan_estimate_gate(&step, checking->state, checking->rate, compacted);
        *ret_low_us = step.low_us;
        *ret_high_us = step.high_us;
}

struct check_text check_bytes(uint64_t bytes)
{
        struct check_text text;

        text_bytes(text.text, sizeof(text.text), bytes);
        return text;
}

struct check_text check_span(uint64_t us)
{
        struct check_text text;

        time_duration_text(text.text, sizeof(text.text), us);
        return text;
}

struct check_text check_range(uint64_t low_us, uint64_t high_us)
{
        struct check_text text;

        snprintf(text.text, sizeof(text.text), "%.30s to %.30s", CHECK_SPAN(low_us), CHECK_SPAN(high_us));
        return text;
}

struct check_text check_moment(uint64_t realtime_us)
{
        struct check_text moment;
        char text[TIME_TEXT_SIZE];

        time_text(text, realtime_us);
        snprintf(moment.text, sizeof(moment.text), "%.10s %.8s UTC", text, text + 11);
        return moment;
}

const char *check_plain(const char *word, const char *instead)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._@:+-";

        return word[0] && word[0] != '-' && strspn(word, plain) == strlen(word) ? word : instead;
}

static void run_all(struct checking *checking)
{
        unsigned kind = checking->service ? 1u << checking->service->spec.kind : 0;
        bool known = checking->service ? checking->state != NULL : checking->agent != NULL;

        for (size_t i = 0; i < ELEMENTS(checks); i++) {
                if (checking->service ? !(checks[i].kinds & kind) : checks[i].kinds != 0)
                        continue;
                if (!known && !checks[i].always)
                        continue;
                checking->id = checks[i].id;
                checks[i].run(checking);
        }
}

static const struct service_state *master_of(const struct fleet *fleet, const struct plan_facts *facts,
                                             const struct fleet_service *service)
{
        const struct fleet_service *master = service->of >= 0 ? &fleet->services[service->of] : NULL;
        const struct plan_host_fact *fact = master ? &facts->hosts[master->host] : NULL;

        return fact && fact->connected && fact->state ? agent_state_service(fact->state, master->spec.name)
                                                      : NULL;
}

static void check_host(struct checking *checking, const struct scope *scope, const struct plan_facts *facts,
                       size_t host)
{
        const struct fleet *fleet = checking->fleet;

        checking->host = &fleet->hosts[host];
        checking->fact = &facts->hosts[host];
        checking->agent = checking->fact->connected ? checking->fact->state : NULL;
        checking->service = NULL;
        run_all(checking);
        for (size_t i = 0; checking->agent && i < fleet->service_count; i++) {
                if (fleet->services[i].host != host || !scope->services[i])
                        continue;
                checking->service = &fleet->services[i];
                checking->state = agent_state_service(checking->agent, checking->service->spec.name);
                if (checking->state && checking->state->kind != checking->service->spec.kind)
                        checking->state = NULL;
                checking->rate = facts->rates ? &facts->rates[i] : NULL;
                checking->pm2 = facts->pm2 ? &facts->pm2[i] : NULL;
                checking->master = master_of(fleet, facts, checking->service);
                run_all(checking);
        }
}

int checks_run(const struct fleet *fleet, const struct scope *scope, const struct plan_facts *facts,
               uint64_t now_us, struct finding **ret, size_t *ret_count)
{
        struct checking checking = {.fleet = fleet, .facts = facts, .now_us = now_us};

        for (size_t i = 0; i < fleet->host_count; i++)
                if (scope->hosts[i])
                        check_host(&checking, scope, facts, i);
        if (checking.result < 0) {
                free(checking.items);
                return checking.result;
        }
        *ret = checking.items;
        *ret_count = checking.count;
        return 0;
}
