/* Hosts and what stands on them: power, boots, processes that load and are ready at last. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define LOAD_BYTES 1000000000ull

static void changed(struct sim *sim, size_t host)
{
        agent_tell_state(sim, host);
}

/* --- services --- */

bool service_is_ready(const struct sim *sim, size_t index)
{
        const struct sim_service *service = &sim->services[index];

        return sim->hosts[service->host].up && service->instance && !service->loading;
}

static void no_longer_ready(struct sim *sim, size_t index)
{
        struct sim_service *service = &sim->services[index];

        if (service->last_ready_us == UINT64_MAX)
                service->last_ready_us = sim->now_us;
}

static void load_ends(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        size_t index = tag & 0xffff;
        struct sim_service *service = &sim->services[index];

        if (!service->instance || service->life != tag >> 16)
                return;
        service->loading = service->by_run = service->left_down = false;
        service->ready_since_us = sim->now_us;
        service->last_ready_us = UINT64_MAX;
        if (service->instance != service->batch_instance)
                service->batch_ready = true;
        sim_say(sim, "  h%zu: %s is ready (process %u)", host, sim->fleet_services[index].spec.name,
                service->instance);
        changed(sim, host);
}

static void begin_load(struct sim *sim, size_t index)
{
        struct sim_service *service = &sim->services[index];
        enum service_kind kind = sim->fleet_services[index].spec.kind;
        bool is_store = kind == SERVICE_REDIS || kind == SERVICE_TILE38;
        uint64_t stall_us = sim_fault(sim, sim->odds.stall) ? sim_between(sim, 1, 1000) * USEC_PER_SEC : 0;

        service->loading = true;
        service->life++;
        service->load_begun_us = sim->now_us;
        service->load_from_us = sim->now_us + stall_us;
        service->load_us =
                is_store ? sim_between(sim, 0, 200 * USEC_PER_SEC) : sim_between(sim, 0, USEC_PER_SEC);
        sim_later(sim, stall_us + service->load_us, load_ends, service->host,
                  (uint64_t)service->life << 16 | index, NULL);
}

static void service_falls(struct sim *sim, size_t host, uint64_t tag, void *data);

void service_start(struct sim *sim, size_t index)
{
        struct sim_service *service = &sim->services[index];

        if (service->instance || !sim->hosts[service->host].up)
                return;
        service->instance = ++service->last_instance;
        service->apps = SIM_APPS;
        service->undone_us = 0;
        sim_say(sim, "  h%zu: %s starts (process %u)", service->host, sim->fleet_services[index].spec.name,
                service->instance);
        begin_load(sim, index);
        changed(sim, service->host);
        if (sim->fleet_services[index].spec.kind == SERVICE_PM2 && sim_fault(sim, sim->odds.service_crash))
                sim_later(sim, sim_between(sim, 0, 300) * USEC_PER_SEC, service_falls, service->host, index,
                          NULL);
}

void service_stop(struct sim *sim, size_t index)
{
        struct sim_service *service = &sim->services[index];

        no_longer_ready(sim, index);
        service->instance = 0;
        service->by_run = false;
        service->life++;
        changed(sim, service->host);
}

/* Nobody starts it again but the run, once its apps were verified: before that its verification fails, and
 * whoever looks after the run has to. */
static void pm2_falls(struct sim *sim, size_t index)
{
        struct sim_service *service = &sim->services[index];
        struct sim_host *host = &sim->hosts[service->host];

        if (!service->verified || sim->now_us > FAULTS_UNTIL)
                return;
        sim_say(sim, "! the daemon of %s dies", sim->fleet_services[index].spec.name);
        sim->last_fault_us = sim->now_us;
        service_stop(sim, index);
        for (size_t i = 0; i < host->ledger_count; i++)
                host->ledger[i].undone |= host->ledger[i].kind == OPERATION_PM2_RESTORE &&
                                          host->ledger[i].service == (int)index;
}

static void service_falls(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        size_t index = tag;
        struct sim_service *service = &sim->services[index];
        bool loads_again = sim_random(sim, 2);

        if (!service_is_ready(sim, index))
                return;
        if (sim->fleet_services[index].spec.kind == SERVICE_PM2) {
                pm2_falls(sim, index);
                return;
        }
        sim_say(sim, "! %s %s", sim->fleet_services[index].spec.name,
                loads_again ? "goes back to loading" : "crashes and is started again");
        no_longer_ready(sim, index);
        if (!loads_again)
                service->instance = ++service->last_instance;
        begin_load(sim, index);
        changed(sim, service->host);
}

/* --- power --- */

static void comes_up(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        if (!sim->hosts[host].up && sim->hosts[host].boot == tag)
                host_power_on(sim, host);
}

static void readable_again(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        sim->hosts[host].boot_readable = true;
        changed(sim, host);
}

/* How long until it is up again: as usual, or far beyond the deadline of a reboot. */
static uint64_t draw_boot_us(struct sim *sim, size_t index, uint64_t low_s, uint64_t high_s)
{
        if (!sim_fault(sim, sim->odds.slow_boot))
                return sim_between(sim, low_s, high_s) * USEC_PER_SEC;
        sim_say(sim, "! h%zu takes its time to come back", index);
        return sim_between(sim, 60, 2400) * USEC_PER_SEC;
}

void host_power_on(struct sim *sim, size_t index)
{
        struct sim_host *host = &sim->hosts[index];

        host->up = true;
        host->lost = host->stopping = false;
        host->boot = host->soft ? host->boot + 1 : (host->boot / BOOTS_OF_KERNEL + 1) * BOOTS_OF_KERNEL;
        host->soft = false;
        host->booted_us = sim->now_us;
        host->boot_readable = !sim_fault(sim, sim->odds.unreadable);
        if (!host->boot_readable)
                sim_later(sim, sim_between(sim, 1, 300) * USEC_PER_SEC, readable_again, index, 0, NULL);
        sim_say(sim, "  h%zu is up, boot %u", index, host->boot);
        for (size_t s = 0; s < sim->fleet.service_count; s++) {
                struct sim_service *service = &sim->services[s];

                if (service->host != index)
                        continue;
                if (service->enabled && sim->fleet_services[s].spec.kind != SERVICE_PM2)
                        service_start(sim, s);
                if (sim_fault(sim, sim->odds.service_crash))
                        sim_later(sim, sim_between(sim, 0, 300) * USEC_PER_SEC, service_falls, index, s,
                                  NULL);
        }
        agent_begin(sim, index);
}

static void goes_down(struct sim *sim, size_t index)
{
        for (size_t s = 0; s < sim->fleet.service_count; s++) {
                struct sim_service *service = &sim->services[s];

                if (service->host != index)
                        continue;
                no_longer_ready(sim, s);
                if (service->instance && service->stopped_by_run)
                        service->undone_us = sim->now_us;
                service->instance = 0;
                service->by_run = service->verified = false;
                service->life++;
        }
        sim->hosts[index].up = false;
        agent_kill(sim, index, false);
}

void host_power_cut(struct sim *sim, size_t index, bool comes_back)
{
        struct sim_host *host = &sim->hosts[index];

        sim_say(sim, "! h%zu loses power%s", index, comes_back ? "" : ", for good");
        link_cut(sim, index, sim_between(sim, 0, 15 * USEC_PER_SEC));
        goes_down(sim, index);
        host->soft = false;
        host->lost = !comes_back;
        if (comes_back)
                sim_later(sim, draw_boot_us(sim, index, 2, 120), comes_up, index, host->boot, NULL);
}

static void shut_down_ends(struct sim *sim, size_t index, uint64_t tag, void *data)
{
        struct sim_host *host = &sim->hosts[index];

        if (!host->up || !host->stopping || host->boot != tag)
                return;
        sim_say(sim, "  h%zu goes down", index);
        link_cut(sim, index, sim_between(sim, 0, 2 * USEC_PER_SEC));
        goes_down(sim, index);
        host->lost = sim_fault(sim, sim->odds.never_back);
        host->soft = sim->soft && !host->lost;
        if (host->lost)
                sim_say(sim, "! h%zu does not come back", index);
        else
                sim_later(sim, draw_boot_us(sim, index, 1, 90), comes_up, index, host->boot, NULL);
}

void host_shut_down(struct sim *sim, size_t index)
{
        struct sim_host *host = &sim->hosts[index];
        bool slow = sim_fault(sim, sim->odds.slow_shutdown);

        if (!host->up || host->stopping)
                return;
        host->stopping = true;
        changed(sim, index);
        sim_later(sim,
                  slow ? sim_between(sim, 60, 1200) * USEC_PER_SEC : sim_between(sim, 0, 5 * USEC_PER_SEC),
                  shut_down_ends, index, host->boot, NULL);
}

static void no_longer_held(struct sim *sim, size_t index, uint64_t tag, void *data)
{
        if (!sim->hosts[index].up || sim->hosts[index].boot != tag)
                return;
        sim_say(sim, "! the reboot of h%zu comes after all", index);
        sim->last_fault_us = sim->now_us;
        host_shut_down(sim, index);
}

void host_reboot(struct sim *sim, size_t index)
{
        if (!sim_fault(sim, sim->odds.held)) {
                host_shut_down(sim, index);
                return;
        }
        sim_say(sim, "! the reboot of h%zu is held back", index);
        sim_later(sim, sim_between(sim, 60, 2400) * USEC_PER_SEC, no_longer_held, index,
                  sim->hosts[index].boot, NULL);
}

/* --- what can be seen --- */

static struct glimpse glimpse_of(const struct sim *sim, size_t index)
{
        const struct sim_service *service = &sim->services[index];
        const struct fleet_service *fleet = &sim->fleet_services[index];
        struct glimpse seen = {.phase = PHASE_STOPPED, .instance = service->instance};

        if (!service->instance)
                return seen;
        if (service->loading) {
                seen.phase = PHASE_LOADING;
                seen.total = LOAD_BYTES;
                if (sim->now_us > service->load_from_us && service->load_us)
                        seen.done = (uint64_t)((double)LOAD_BYTES *
                                               (double)(sim->now_us - service->load_from_us) /
                                               (double)service->load_us);
                return seen;
        }
        seen.phase = PHASE_READY;
        seen.ready_for_us = sim->now_us - service->ready_since_us;
        if (fleet->same_as >= 0) {
                /* A router is ready when what is behind it answers. */
                const struct sim_service *behind = &sim->services[fleet->same_as];

                seen.seen_instance = behind->instance;
                if (!service_is_ready(sim, (size_t)fleet->same_as))
                        seen.phase = PHASE_STARTING;
                else if (sim->now_us - behind->ready_since_us < seen.ready_for_us)
                        seen.ready_for_us = sim->now_us - behind->ready_since_us;
        }
        return seen;
}

void host_glimpse(const struct sim *sim, size_t host, struct message *ret)
{
        *ret = (struct message){
                .kind = FROM_AGENT_STATE,
                .boot = sim->hosts[host].boot,
                .boot_readable = sim->hosts[host].boot_readable,
                .stopping = sim->hosts[host].stopping,
                .uptime_us = sim->now_us - sim->hosts[host].booted_us,
        };
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                if (sim->services[s].host == host)
                        ret->glimpses[s] = glimpse_of(sim, s);
}

static void say_service(const struct sim *sim, size_t index, const struct glimpse *seen,
                        struct service_state *ret)
{
        const struct service_spec *spec = &sim->fleet_services[index].spec;

        ret->kind = spec->kind;
        ret->phase = seen->phase;
        ret->ready_for_ms = seen->phase == PHASE_READY ? seen->ready_for_us / 1000 : 0;
        ret->progress_done = seen->done;
        ret->progress_total = seen->total;
        TEXT_COPY(ret->name, spec->name);
        ret->unit.present = true;
        ret->unit.main_pid = seen->instance;
        ret->unit.active_enter_us = seen->instance;
        ret->redis.aof_enabled = true;
        ret->pm2.reachable = true;
        snprintf(ret->redis.disk, sizeof(ret->redis.disk), "8:%zu", index % 2);
        ret->tile38.aof_size = 100000000; /* worth a shrink */
        snprintf(ret->tile38.disk, sizeof(ret->tile38.disk), "8:%zu", index % 2);
        if (spec->kind == SERVICE_REDIS)
                snprintf(ret->redis.run_id, sizeof(ret->redis.run_id), "%zu-%u", index, seen->instance);
        else if (sim->fleet_services[index].same_as >= 0)
                snprintf(ret->redis.run_id, sizeof(ret->redis.run_id), "%d-%u",
                         sim->fleet_services[index].same_as, seen->seen_instance);
}

const struct agent_state *host_state_of(struct sim *sim, size_t host, const struct message *seen)
{
        struct agent_state *state = &sim->states[host];

        state->services = sim->said[host];
        state->service_count = 0;
        state->host.stopping = seen->stopping;
        state->host.uptime_ms = seen->uptime_us / USEC_PER_MSEC;
        state->host.tells_soft = true;
        TEXT_COPY(state->host.systemd, "254");
        state->host.boot_id[0] = '\0';
        TEXT_COPY(state->host.boot_error, seen->boot_readable ? "" : "unreadable");
        if (seen->boot_readable)
                boot_name(state->host.boot_id, host, seen->boot);
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                if (sim->services[s].host == host)
                        say_service(sim, s, &seen->glimpses[s], &state->services[state->service_count++]);
        return state;
}
