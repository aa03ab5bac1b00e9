/* What agents say of their hosts and services, and when a gate may open. A gate opens on what was observed in
 * the present session on the present boot: ready, for as long as asked, a process of after the stop, and for
 * a probe the very instance that it has to lead to. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

/* The instance: a Redis names itself; other processes are known by their id and when they began. */
static void identity_of(const struct service_state *state, char out[IDENTITY_SIZE])
{
        out[0] = '\0';
        if (state->kind == SERVICE_REDIS && state->redis.run_id[0])
                snprintf(out, IDENTITY_SIZE, "run %s", state->redis.run_id);
        else if (state->unit.main_pid)
                snprintf(out, IDENTITY_SIZE, "pid %" PRIu32 " of %" PRIu64, state->unit.main_pid,
                         state->unit.active_enter_us);
}

/* Follows a load through the base file and the incremental files, each with its own rate. */
static void sample_load(struct run_service *service, uint64_t now_us)
{
        if (service->phase != PHASE_LOADING || !service->progress_total || service->receives)
                return;
        if (service->eta && service->moved_us != now_us)
                return; /* bytes that stand still say nothing of how fast they go */
        if (!service->eta) {
                service->eta = malloc(sizeof(*service->eta));
                if (service->eta) /* without it the plan's estimate stands */
                        load_eta_begin(service->eta, service->base_bytes, service->progress_total,
                                       service->rate);
        }
        if (service->eta)
                load_eta_sample(service->eta, now_us, service->progress_done);
}

static void forget_load(struct run_service *service)
{
        free(service->eta);
        service->eta = NULL;
}

static void service_observe(struct run_service *service, const struct service_state *state, uint64_t now_us)
{
        uint64_t total = state->progress_total;
        char identity[IDENTITY_SIZE];

        identity_of(state, identity);
        if (service->eta &&
            (state->phase == PHASE_READY || (total && (total != service->eta->total_bytes ||
                                                       state->progress_done < service->progress_done))))
                forget_load(service);
        load_note(service, state, identity, now_us);
        service->known = true;
        service->receives = load_is_received(state);
        service->phase = state->phase;
        service->gone = state->kind == SERVICE_PM2 &&
                        (state->phase == PHASE_STOPPED || state->phase == PHASE_FAILED) &&
                        (!state->pm2.reachable || !state->pm2.app_count);
        service->ready_for_us = state->ready_for_ms * USEC_PER_MSEC;
        service->progress_done = state->progress_done;
        service->progress_total = total;
        service->base_bytes = load_base(state);
        text_copy_cut(service->run_id, sizeof(service->run_id), state->redis.run_id);
        role_text(service->role, state);
        text_copy_cut(service->replication_id, sizeof(service->replication_id), state->redis.replication_id);
        service->master_offset = state->redis.master_offset;
        service->replica_offset = state->redis.replica_offset;
        text_copy_cut(service->identity, sizeof(service->identity), identity);
        text_copy_cut(service->detail, sizeof(service->detail), state->detail);
        sample_load(service, now_us);
}

void host_observe(struct turn *turn, size_t index, const struct agent_state *state)
{
        struct run_host *host = &turn->run->hosts[index];

        host->stopping = state->host.stopping;
        host->uptime_us = state->host.uptime_ms * USEC_PER_MSEC;
        text_copy_cut(host->boot_now, sizeof(host->boot_now), state->host.boot_id);
        text_copy_cut(host->boot_error, sizeof(host->boot_error), state->host.boot_error);
        host_look(turn, index, &state->host);
        host_note_shutdown(turn, index, &state->host);
        for (size_t s = 0; s < host->service_count; s++) {
                struct run_service *service = &turn->run->services[host->first_service + s];
                const struct service_state *seen = agent_state_service(state, service->name);

                if (seen)
                        service_observe(service, seen, turn->now_us);
                else
                        service->known = false;
        }
}

void host_forget(run *run, size_t index, uint64_t now_us)
{
        struct run_host *host = &run->hosts[index];

        if (host->connected) {
                host->down_since_us = now_us;
                host->was_seen = true;
        }
        host->connected = host->stopping = host->asked = false;
        host->boot_now[0] = '\0';
        host->looked_us = 0;
        for (size_t s = 0; s < host->service_count; s++) {
                run->services[host->first_service + s].known = false;
                forget_load(&run->services[host->first_service + s]);
        }
}

static bool say(char *why, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool say(char *why, size_t size, const char *format, ...)
{
        char line[2 * TEXT_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        text_copy_cut(why, size, line);
        return false;
}

bool host_is_there(const run *run, size_t index, char *why, size_t size)
{
        const struct run_host *host = &run->hosts[index];
        bool in_doubt = host->reboot >= 0 && run->steps[host->reboot].state == STEP_DOUBT;

        if (!host->connected)
                return say(why, size, "%s is not connected", host->name);
        if (!host->boot_now[0])
                return say(why, size, "the boot id of %s cannot be read: %s", host->name, host->boot_error);
        if (host->stopping)
                return say(why, size, "%s is shutting down", host->name);
        if (host->boot_id[0] && !text_equal(host->boot_id, host->boot_now))
                return in_doubt ? say(why, size,
                                      "it is in doubt whether what answers is %s; if it is: muster run skip "
                                      "%s %d --why TEXT",
                                      host->name, run->id, host->reboot)
                                : say(why, size, "%s has been booted anew", host->name);
        return true;
}

static bool sees_the_same(const run *run, const struct run_service *service, int same_as, char *why,
                          size_t size)
{
        const struct run_service *other = &run->services[same_as];

        if (!host_is_there(run, other->host, why, size))
                return false;
        if (!other->known || other->phase != PHASE_READY)
                return say(why, size, "%s, which has to be seen through it, is not ready", other->name);
        if (!other->run_id[0] || !text_equal(other->run_id, service->run_id))
                return say(why, size, "it leads to the Redis with run_id '%s', %s is '%s'", service->run_id,
                           other->name, other->run_id);
        return true;
}

/* A replica's link being up says nothing of whose replica it is, nor of how much it still has to get: its
 * master's own word is needed for both. */
static bool follows(const run *run, const struct run_service *service, const struct run_service *master,
                    uint64_t max_lag, char *why, size_t size)
{
        char lag[32], limit[32];

        if (!host_is_there(run, master->host, why, size))
                return false;
        if (!master->known || master->phase != PHASE_READY)
                return say(why, size, "its master %s is not ready", master->name);
        if (!service->replication_id[0] || !master->replication_id[0])
                return true; /* older than Redis 4: its link is all there is */
        if (!text_equal(service->replication_id, master->replication_id))
                return say(why, size, "it is a %s, and does not follow %s: their replication ids differ",
                           service->role, master->name);
        if (master->master_offset <= service->replica_offset ||
            master->master_offset - service->replica_offset <= max_lag)
                return true;
        text_bytes(lag, sizeof(lag), master->master_offset - service->replica_offset);
        text_bytes(limit, sizeof(limit), max_lag);
        return say(why, size, "it is %s behind its master %s, %s at most are allowed", lag, master->name,
                   limit);
}

bool gate_is_ready(const run *run, size_t index, char *why, size_t size)
{
        const struct run_step *step = &run->steps[index];
        const struct run_service *service = &run->services[step->service];
        const struct run_step *stop = step->stop >= 0 ? &run->steps[step->stop] : NULL;
        uint64_t hold_us = run->plan->steps[index].hold_us;

        if (!host_is_there(run, step->host, why, size))
                return false;
        if (!service->known)
                return say(why, size, "its agent has not spoken of it yet");
        if (service->phase != PHASE_READY && service->progress_total)
                return say(why, size, "%s, %.1f %%: %s", service_phase_name(service->phase),
                           100.0 * (double)service->progress_done / (double)service->progress_total,
                           service->detail);
        if (service->phase != PHASE_READY)
                return say(why, size, "%s: %s", service_phase_name(service->phase), service->detail);
        if (stop && stop->state == STEP_DONE && stop->identity[0] &&
            text_equal(stop->identity, service->identity))
                return say(why, size, "the process of before the stop (%s) is still there",
                           service->identity);
        if (step->same_as >= 0 && run->plan->steps[index].service.kind == SERVICE_REDIS) {
                /* Two agents' looks are seconds apart: what was shown once is not taken back for that. */
                if (step->state != STEP_DONE && !follows(run, service, &run->services[step->same_as],
                                                         run->plan->steps[index].max_lag, why, size))
                        return false;
        } else if (step->same_as >= 0 && !sees_the_same(run, service, step->same_as, why, size)) {
                return false;
        }
        if (service->ready_for_us < hold_us)
                return say(why, size, GATE_IS_HELD);
        return true;
}

static void add_figure(struct operation_report *report, const char *name, const char *value)
{
        struct figure *figure = &report->figures[report->figure_count++];

        text_copy_cut(figure->name, sizeof(figure->name), name);
        text_copy_cut(figure->value, sizeof(figure->value), value);
}

bool gate_roles(const run *run, size_t index, struct operation_report *ret)
{
        const struct step *plan = &run->plan->steps[index];
        const struct run_service *service = &run->services[run->steps[index].service];

        *ret = (struct operation_report){0};
        if (plan->phase == PHASE_CHECK || !service->known || !service->role[0])
                return false;
        add_figure(ret, "role-declared", redis_role_name(plan->service.role));
        if (plan->role_before[0])
                add_figure(ret, "role-before", plan->role_before);
        add_figure(ret, "role-after", service->role);
        return true;
}
