/* Agents: a ledger that survives everything, operations that take time, and death at any point in between. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define ATTEMPT_AT 24 /* digits of an operation id before its attempt: the run's seed, the step */

struct work {
        size_t entry;
        unsigned life, boot;
};

/* For another happening: the old one's data end with it. */
static struct work *work_again(const struct work *work)
{
        struct work *again = malloc(sizeof(*again));

        if (!again)
                abort();
        *again = *work;
        return again;
}

static struct ledger_entry *ledger_find(struct sim_host *host, const char *id)
{
        for (size_t i = 0; i < host->ledger_count; i++)
                if (text_equal(host->ledger[i].id, id))
                        return &host->ledger[i];
        return NULL;
}

static struct brief report_of(const struct ledger_entry *entry)
{
        struct brief report = {.state = entry->state, .counts = entry->counts, .as_saved = entry->as_saved};

        TEXT_COPY(report.id, entry->id);
        return report;
}

static void late_copy(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        /* As no link would carry it: whatever its link, whatever was decided since. */
        calls_take(sim, host, data);
}

static void answer(struct sim *sim, size_t host, const struct ledger_entry *entry)
{
        struct message message = {.kind = FROM_AGENT_REPORT, .report_count = 1};
        bool doubled = sim_fault(sim, sim->odds.doubled);

        message.reports[0] = report_of(entry);
        TEXT_COPY(message.operation, entry->id);
        if (sim_fault(sim, sim->odds.late)) {
                struct message *copy = malloc(sizeof(*copy));

                if (!copy)
                        abort();
                *copy = message;
                sim_later(sim, sim_between(sim, 1, 600) * USEC_PER_SEC, late_copy, host, 0, copy);
        }
        if (sim_fault(sim, sim->odds.lost_answer)) {
                bool with_host = sim_random(sim, 4) == 0;

                sim_say(sim, "! the answer of h%zu about %.32s is lost with its %s", host, entry->id,
                        with_host ? "power" : "link");
                if (with_host)
                        host_power_cut(sim, host, true);
                else
                        link_cut(sim, host, sim_between(sim, 0, 15 * USEC_PER_SEC));
                return;
        }
        link_from_agent(sim, host, &message);
        if (doubled)
                link_from_agent(sim, host, &message);
}

/* Done is what has all of them; whether less is enough is not its agent's to say. */
static bool count_apps(struct ledger_entry *entry, unsigned as_saved)
{
        entry->counts = true;
        entry->as_saved = as_saved;
        return entry->as_saved == SIM_APPS;
}

/* Apps that run already are left alone. */
static bool restore_apps(struct sim *sim, struct ledger_entry *entry)
{
        struct sim_service *service = &sim->services[entry->service];
        bool may_fail = sim->fleet_services[entry->service].at_least < 1;
        bool some_fail = sim_fault(sim, may_fail ? 4 * sim->odds.some_apps : sim->odds.some_apps);
        unsigned up = service->instance ? service->apps : 0;
        unsigned come = some_fail ? 1 + (unsigned)sim_random(sim, SIM_APPS - 1) : SIM_APPS;

        service->verified = false;
        if (!service->saved)
                return false;
        service_start(sim, (size_t)entry->service);
        service->apps = come > up ? come : up;
        return count_apps(entry, service->apps);
}

/* What an operation does to the world, all at once at its end. */
static bool take_effect(struct sim *sim, size_t host, struct ledger_entry *entry)
{
        struct sim_service *service = entry->service >= 0 ? &sim->services[entry->service] : NULL;

        switch (entry->kind) {
        case OPERATION_UNIT_STOP:
        case OPERATION_PM2_STOP:
                service->stopped_by_run = service->left_down = true;
                service->verified = false;
                service_stop(sim, (size_t)entry->service);
                return true;
        case OPERATION_UNIT_START:
                service_start(sim, (size_t)entry->service);
                return true;
        case OPERATION_PM2_SAVE:
                service->saved = true;
                return true;
        case OPERATION_PM2_RESTORE:
                return restore_apps(sim, entry);
        case OPERATION_PM2_VERIFY:
                return count_apps(entry, service_is_ready(sim, (size_t)entry->service) ? service->apps : 0);
        case OPERATION_HOST_REBOOT:
                host_reboot(sim, host);
                return true;
        default:
                return true;
        }
}

static void restarted(struct sim *sim, size_t host, uint64_t life, void *data)
{
        if (sim->hosts[host].up && !sim->hosts[host].agent_up && sim->hosts[host].agent_life == life)
                agent_begin(sim, host);
}

void agent_kill(struct sim *sim, size_t index, bool comes_back)
{
        struct sim_host *host = &sim->hosts[index];

        if (host->agent_up)
                host->agent_life++;
        host->agent_up = false;
        link_cut(sim, index, sim_between(sim, 0, USEC_PER_SEC));
        if (comes_back)
                sim_later(sim, sim_between(sim, USEC_PER_SEC / 2, 20 * USEC_PER_SEC), restarted, index,
                          host->agent_life, NULL);
}

static bool dies(struct sim *sim, size_t index, const char *when)
{
        if (!sim_fault(sim, sim->odds.agent_kill))
                return false;
        sim_say(sim, "! the agent of h%zu is killed %s", index, when);
        agent_kill(sim, index, true);
        return true;
}

/* The agent accepts nothing that it cannot write down, and tells no result that it has not written down. */
static bool ledger_is_full(struct sim *sim, size_t index)
{
        struct sim_host *host = &sim->hosts[index];

        if (sim->now_us >= host->full_until_us && sim_fault(sim, sim->odds.ledger_full))
                host->full_until_us = sim->now_us + sim_between(sim, 1, 600) * USEC_PER_SEC;
        return sim->now_us < host->full_until_us;
}

static void records(struct sim *sim, size_t index, uint64_t done, void *data)
{
        const struct work *work = data;
        struct sim_host *host = &sim->hosts[index];
        struct ledger_entry *entry = &host->ledger[work->entry];

        if (!host->up || host->boot != work->boot || !host->agent_up || host->agent_life != work->life)
                return;
        if (ledger_is_full(sim, index)) {
                sim_later(sim, USEC_PER_SEC, records, index, done, work_again(work));
                return;
        }
        entry->state = done ? OPERATION_DONE : OPERATION_FAILED;
        sim_say(sim, "  h%zu: %s %.32s %s", index, operation_type(entry->kind)->name, entry->id,
                operation_state_name(entry->state));
        if (dies(sim, index, "after its result is written, before it answers"))
                return;
        answer(sim, index, entry);
}

static void finishes(struct sim *sim, size_t index, uint64_t tag, void *data)
{
        const struct work *work = data;
        struct sim_host *host = &sim->hosts[index];
        struct ledger_entry *entry = &host->ledger[work->entry];
        bool done;

        if (!host->up || host->boot != work->boot)
                return;
        if (!host->agent_up || host->agent_life != work->life) {
                bool looks = operation_type(entry->kind)->settle == SETTLE_LOOK;

                /* systemd's job or Redis's child goes on without the agent, or it does not. */
                if ((!host->agent_up || looks) && entry->kind != OPERATION_HOST_REBOOT && sim_random(sim, 2))
                        entry->took = take_effect(sim, index, entry);
                entry->over = true;
                return;
        }
        if (dies(sim, index, "at the end of an operation, before what it does")) {
                entry->over = true;
                return;
        }
        done = !sim_fault(sim, sim->odds.failed) && take_effect(sim, index, entry);
        entry->over = true;
        entry->took = done;
        if (dies(sim, index, "after an operation, before its result is written"))
                return;
        if (done && entry->kind == OPERATION_HOST_REBOOT) { /* only the next boot can tell; if none comes: */
                sim_later(sim, entry->deadline_us, records, index, false, work_again(work));
                return;
        }
        records(sim, index, done, data);
}

static uint64_t length_of(struct sim *sim, enum operation_kind kind)
{
        switch (kind) {
        case OPERATION_REDIS_REWRITE:
        case OPERATION_TILE38_SHRINK:
                return sim_between(sim, 0, 300 * USEC_PER_SEC);
        case OPERATION_HOST_REBOOT:
                return sim_between(sim, 0, USEC_PER_SEC);
        default:
                return sim_between(sim, 0, 15 * USEC_PER_SEC);
        }
}

unsigned agent_reboots(const struct sim *sim, size_t index)
{
        const struct sim_host *host = &sim->hosts[index];
        unsigned count = 0;

        for (size_t i = 0; i < host->ledger_count; i++) {
                const struct ledger_entry *entry = &host->ledger[i];

                count +=
                        entry->kind == OPERATION_HOST_REBOOT && entry->begun && (!entry->over || entry->took);
        }
        return count;
}

/* What was done, and can be seen to have been, is not done again by another attempt of the same step. */
static void check_settled(struct sim *sim, const struct sim_host *host, const struct ledger_entry *entry)
{
        for (const struct ledger_entry *other = host->ledger; other < entry; other++)
                if (other->took && other->boot == entry->boot && other->kind == entry->kind &&
                    strncmp(other->id, entry->id, ATTEMPT_AT) == 0)
                        sim_fail(sim, "operation %s does again what %s has done", entry->id, other->id);
}

/* Why there is no result, now or ever. */
static void refuse(struct sim *sim, size_t index, const char *operation, enum rpc_status code,
                   const char *why)
{
        struct message message = {.kind = FROM_AGENT_ENDED, .code = code, .why = why};

        sim_say(sim, "  h%zu ends %.32s: %s", index, operation, why);
        TEXT_COPY(message.operation, operation);
        link_from_agent(sim, index, &message);
}

/* Nothing goes on beside a reboot, and no two operations on one service, as in agent/operations.c. */
static const struct ledger_entry *find_conflict(const struct sim *sim, const struct sim_host *host,
                                                const struct operation_request *request)
{
        int service = fleet_service_find(&sim->fleet, request->service.name);

        for (size_t i = 0; i < host->ledger_count; i++) {
                const struct ledger_entry *entry = &host->ledger[i];

                if (entry->state == OPERATION_ACCEPTED &&
                    (entry->kind == OPERATION_HOST_REBOOT ||
                     (service >= 0 && entry->service == service && !entry->over)))
                        return entry;
        }
        return NULL;
}

/* Half way, or not even that: now and then, and not always something new. */
static void progresses(struct sim *sim, size_t index, uint64_t done, void *data)
{
        const struct work *work = data;
        struct sim_host *host = &sim->hosts[index];
        struct ledger_entry *entry = &host->ledger[work->entry];
        struct message message = {.kind = FROM_AGENT_PROGRESS, .done = done, .total = 100};

        if (!host->agent_up || host->agent_life != work->life || entry->over)
                return;
        TEXT_COPY(message.operation, entry->id);
        link_from_agent(sim, index, &message);
}

static void begin_work(struct sim *sim, size_t index, const struct ledger_entry *entry)
{
        struct sim_host *host = &sim->hosts[index];
        struct work work = {(size_t)(entry - host->ledger), host->agent_life, host->boot};
        uint64_t length_us = length_of(sim, entry->kind);

        for (uint64_t left = sim_random(sim, 4); left > 0; left--)
                sim_later(sim, sim_random(sim, length_us + 1), progresses, index, sim_random(sim, 100),
                          work_again(&work));
        sim_later(sim, length_us, finishes, index, 0, work_again(&work));
}

static void execute(struct sim *sim, size_t index, const struct operation_request *request)
{
        struct sim_host *host = &sim->hosts[index];
        struct ledger_entry *entry = &host->ledger[host->ledger_count];

        if (host->ledger_count == SIM_LEDGER)
                sim_fail(sim, "h%zu was sent %d operations", index, SIM_LEDGER);
        if (dies(sim, index, "before it accepts"))
                return;
        if (ledger_is_full(sim, index)) {
                refuse(sim, index, request->id, RPC_RESOURCE_EXHAUSTED, "no room in the ledger");
                return;
        }
        *entry = (struct ledger_entry){
                .kind = request->kind,
                .service = fleet_service_find(&sim->fleet, request->service.name),
                .state = OPERATION_ACCEPTED,
                .boot = host->boot,
                .deadline_us = request->deadline_us,
        };
        TEXT_COPY(entry->id, request->id);
        host->ledger_count++;
        sim_say(sim, "  h%zu accepts %s %s %s", index, operation_type(entry->kind)->name,
                request->service.name, entry->id);
        if (dies(sim, index, "after it accepted, before it begins"))
                return;
        entry->begun = true;
        entry->noted = operation_type(entry->kind)->settle == SETTLE_LOOK;
        if (entry->noted)
                check_settled(sim, host, entry);
        check_execution(sim, index, entry);
        begin_work(sim, index, entry);
}

/* It looks again and again while what an earlier life began still runs; then it says how that ended. */
static void looks(struct sim *sim, size_t index, uint64_t tag, void *data)
{
        const struct work *work = data;
        struct sim_host *host = &sim->hosts[index];
        struct ledger_entry *entry = &host->ledger[work->entry];

        if (!host->up || host->boot != work->boot || !host->agent_up || host->agent_life != work->life)
                return;
        if (entry->over && !ledger_is_full(sim, index)) {
                entry->state = entry->took ? OPERATION_DONE : OPERATION_INTERRUPTED;
                entry->looked_for = entry->noted = false;
                sim_say(sim, "  h%zu: %s %.32s %s, by looking", index, operation_type(entry->kind)->name,
                        entry->id, operation_state_name(entry->state));
                answer(sim, index, entry);
                return;
        }
        sim_later(sim, USEC_PER_SEC, looks, index, 0, work_again(work));
}

/* Whether it is to be settled by looking; then that has been begun. */
static bool settles(struct sim *sim, size_t index, struct ledger_entry *entry)
{
        struct sim_host *host = &sim->hosts[index];
        struct work work;

        if (entry->state != OPERATION_INTERRUPTED || !entry->noted || entry->boot != host->boot)
                return false;
        if (entry->looked_for)
                return true;
        work = (struct work){(size_t)(entry - host->ledger), host->agent_life, host->boot};
        entry->looked_for = true;
        sim_later(sim, 0, looks, index, 0, work_again(&work));
        return true;
}

static void take_operate(struct sim *sim, size_t index, const struct operation_request *request)
{
        struct sim_host *host = &sim->hosts[index];
        struct ledger_entry *known = ledger_find(host, request->id);
        const struct ledger_entry *conflict;
        char boot[BOOT_ID_SIZE];

        if (!controller_announced(sim, request->id))
                sim_fail(sim, "operation %s was sent before its intent was durable", request->id);
        if (known) {
                if (!settles(sim, index, known) && known->state != OPERATION_ACCEPTED)
                        answer(sim, index, known);
                return; /* attached: it answers at its end */
        }
        if (host->stopping) {
                refuse(sim, index, request->id, RPC_UNAVAILABLE, "the host is shutting down");
                return;
        }
        boot_name(boot, index, host->boot);
        if (!text_equal(boot, request->boot_id)) {
                refuse(sim, index, request->id, RPC_FAILED_PRECONDITION, "it was meant for another boot");
                return;
        }
        conflict = find_conflict(sim, host, request);
        if (!conflict) {
                execute(sim, index, request);
                return;
        }
        check_conflict(sim, conflict, request);
        refuse(sim, index, request->id, RPC_ABORTED, "another operation is under way");
}

static void take_ledger(struct sim *sim, size_t index, const struct message *asked)
{
        struct message reply = {.kind = FROM_AGENT_LEDGER, .call = asked->call, .id_count = asked->id_count};

        memcpy(reply.ids, asked->ids, sizeof(reply.ids));
        for (size_t i = 0; i < asked->id_count; i++) {
                const struct ledger_entry *entry = ledger_find(&sim->hosts[index], asked->ids[i]);

                if (entry)
                        reply.reports[reply.report_count++] = report_of(entry);
        }
        link_from_agent(sim, index, &reply);
}

void agent_take(struct sim *sim, size_t host, const struct message *message)
{
        if (message->kind == TO_AGENT_OPERATE)
                take_operate(sim, host, &message->request);
        else
                take_ledger(sim, host, message);
}

void agent_tell_state(struct sim *sim, size_t index)
{
        struct sim_host *host = &sim->hosts[index];
        bool old = sim->stale && host->view.boot == host->boot && sim->now_us - host->viewed_us < STALE_US;

        if (!host->agent_up || !host->link_alive)
                return;
        if (!old || sim_random(sim, 3) == 0) {
                host_glimpse(sim, index, &host->view);
                host->viewed_us = sim->now_us;
        }
        link_from_agent(sim, index, &host->view);
}

/* Once a second while something is not long ready, else every ten. */
static void tells_again(struct sim *sim, size_t index, uint64_t life, void *data)
{
        const struct sim_host *host = &sim->hosts[index];
        bool busy = false;

        if (!host->agent_up || host->agent_life != life || sim->controller.finished)
                return;
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                busy |= sim->services[s].host == index &&
                        (sim->services[s].loading ||
                         sim->now_us - sim->services[s].ready_since_us < 10 * USEC_PER_SEC);
        agent_tell_state(sim, index);
        sim_later(sim, (busy ? 1 : 10) * USEC_PER_SEC, tells_again, index, life, NULL);
}

void agent_begin(struct sim *sim, size_t index)
{
        struct sim_host *host = &sim->hosts[index];

        host->agent_up = true;
        host->agent_life++;
        for (size_t i = 0; i < host->ledger_count; i++) {
                host->ledger[i].looked_for = false;
                if (host->ledger[i].state == OPERATION_ACCEPTED)
                        host->ledger[i].state = OPERATION_INTERRUPTED;
        }
        link_open(sim, index);
        sim_later(sim, USEC_PER_SEC, tells_again, index, host->agent_life, NULL);
}
