/* What must hold, whatever fails. Checked against the world itself, not against what the controller knows. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tests/sim/sim.h"

static bool needs(const struct sim *sim, size_t service, size_t other)
{
        const struct fleet_service *s = &sim->fleet_services[service];

        for (size_t i = 0; i < s->need_count; i++)
                if (s->needs[i] == other)
                        return true;
        return s->of == (int)other || s->same_as == (int)other;
}

static const char *name(const struct sim *sim, size_t service)
{
        return sim->fleet_services[service].spec.name;
}

/* Whether the batch under way is to take the service down: by its host, or with what it stands on. */
static bool is_down_in_batch(const struct sim *sim, size_t service)
{
        return sim->services[service].batch_stopped ||
               sim->batch_of[sim->services[service].host] == sim->batch;
}

/* Nothing starts before what it needs was ready: on a process of after the stop, now or as lately as the
 * controller can have seen it. */
void check_before_start(struct sim *sim, size_t service)
{
        for (size_t need = 0; need < service; need++) {
                const struct sim_service *other = &sim->services[need];
                bool in_sight = other->last_ready_us == UINT64_MAX ||
                                (other->last_ready_us && sim->now_us - other->last_ready_us <= SIGHT_US);

                if (!needs(sim, service, need) || other->passed_over)
                        continue;
                /* Apps that an aborted run never stopped, and a power cut did, are not the run's to restore.
                 */
                if (sim->fleet_services[need].spec.kind == SERVICE_PM2)
                        in_sight |= other->instance != 0 || sim->has_aborted || sim->has_policy;
                if (!in_sight)
                        sim_fail(sim, "%s is started, and %s, which it needs, is not ready",
                                 name(sim, service), name(sim, need));
                if (is_down_in_batch(sim, need) && !other->batch_ready && !sim->has_aborted &&
                    !sim->has_policy)
                        sim_fail(sim,
                                 "%s is started, and %s, which it needs, has not been ready since its stop",
                                 name(sim, service), name(sim, need));
        }
}

static bool is_untouched(const struct sim *sim, size_t service)
{
        return sim->services[service].instance &&
               sim->services[service].instance == sim->services[service].batch_instance;
}

/* A replica on a host of another batch stays up while its master is away. */
static bool serves_on(const struct sim *sim, size_t service, size_t master)
{
        const struct fleet_service *s = &sim->fleet_services[service];

        for (size_t i = 0; i < s->need_count; i++)
                if (s->needs[i] == master)
                        return false;
        return s->of == (int)master && sim->batch_of[s->host] != sim->batch;
}

/* Nor is anything taken down before what it needs, and what the batch leaves alone, was seen to be ready: no
 * policy passes that over. */
static void check_before_down(struct sim *sim, size_t service)
{
        for (size_t i = 0; i < sim->plan->step_count; i++) {
                const struct step *step = &sim->plan->steps[i];
                int need = fleet_service_find(&sim->fleet, step->service.name);

                if (step->phase == PHASE_CHECK && step->batch == sim->batch &&
                    needs(sim, service, (size_t)need) && !sim->services[need].passed_over &&
                    sim->services[need].checked != step->batch)
                        sim_fail(sim, "%s is stopped, and %s, which it needs, was not there to begin with",
                                 name(sim, service), name(sim, (size_t)need));
        }
}

/* Dependants first: nothing is stopped under a process that nobody has stopped yet. */
void check_before_stop(struct sim *sim, size_t service)
{
        for (size_t d = service + 1; d < sim->fleet.service_count; d++)
                if (needs(sim, d, service) && is_untouched(sim, d) && !serves_on(sim, d, service) &&
                    !sim->services[d].passed_over)
                        sim_fail(sim, "%s is stopped, and %s, which needs it, is still up",
                                 name(sim, service), name(sim, d));
}

/* A host is touched in its batch, and not before all earlier ones have been. */
static void check_batch(struct sim *sim, size_t host)
{
        if (sim->batch_of[host] != sim->batch)
                sim_fail(sim, "h%zu of batch %u is rebooted in batch %u", host, sim->batch_of[host],
                         sim->batch);
        for (size_t h = 0; h < sim->fleet.host_count; h++)
                if (sim->batch_of[h] < sim->batch && !sim->hosts[h].passed_over &&
                    sim->hosts[h].boot == sim->hosts[h].first_boot)
                        sim_fail(sim, "h%zu is rebooted before h%zu, of an earlier batch", host, h);
}

static bool is_loader(const struct sim *sim, size_t service)
{
        enum service_kind kind = sim->fleet_services[service].spec.kind;

        return kind == SERVICE_REDIS || kind == SERVICE_TILE38;
}

/* No more loads of a disk at a time than it bears, of those that the run begins. One that has been at it for
 * as long as a gate may wait at least is nothing that others wait for. */
static void check_before_load(struct sim *sim, size_t service)
{
        struct sim_service *s = &sim->services[service];
        uint32_t most = sim->fleet_hosts[s->host].loads_per_disk, count = 0;

        if (s->instance || !is_loader(sim, service))
                return;
        s->by_run = true;
        for (size_t o = 0; o < sim->fleet.service_count; o++)
                count += o != service && sim->services[o].host == s->host && is_loader(sim, o) &&
                         o % 2 == service % 2 && sim->services[o].by_run && sim->services[o].instance &&
                         !sim->services[o].passed_over &&
                         sim->now_us - sim->services[o].load_begun_us < 60 * USEC_PER_SEC;
        if (most && count >= most)
                sim_fail(sim, "%s is started while %u others load from its disk, %u at most are to",
                         name(sim, service), count, most);
}

/* A batch begins with all of the earlier ones up: ready now, or as lately as the controller can have seen it.
 * Of a turn whose write was kept though its fsync failed, only the controller's next life tells. */
void check_batch_begins(struct sim *sim)
{
        uint64_t decided_us = sim->controller.heard_us;

        sim->batch++;
        for (size_t s = 0; s < sim->fleet.service_count; s++) {
                struct sim_service *service = &sim->services[s];
                bool in_sight = service->last_ready_us == UINT64_MAX ||
                                (service->last_ready_us && service->last_ready_us + SIGHT_US >= decided_us);

                if (sim->fleet_services[s].spec.kind == SERVICE_PM2)
                        in_sight |= service->instance != 0;
                if (!in_sight && sim->batch_of[service->host] < sim->batch && !service->passed_over)
                        sim_fail(sim, "batch %u begins and %s is not ready", sim->batch, name(sim, s));
                service->batch_instance = service->instance;
                service->batch_stopped = service->batch_ready = false;
        }
}

void check_before_reboot(struct sim *sim, size_t host)
{
        check_batch(sim, host);
        for (size_t s = 0; s < sim->fleet.service_count; s++) {
                const struct sim_service *service = &sim->services[s];

                if (service->host != host || service->passed_over)
                        continue;
                if (sim->fleet_services[s].spec.kind == SERVICE_PM2 && !service->saved)
                        sim_fail(sim, "h%zu is rebooted, and what ran in %s was never saved", host,
                                 name(sim, s));
                if (is_untouched(sim, s))
                        sim_fail(sim, "h%zu is rebooted, and %s on it was never stopped", host, name(sim, s));
        }
}

/* An attempt's id has its step's number in the middle. */
static bool is_same_step(const char *a, const char *b)
{
        return strncmp(a + SEED_SIZE - 1, b + SEED_SIZE - 1, 8) == 0;
}

/* As the run is to take it: done, or enough of it. */
static bool is_done(const struct sim *sim, const struct ledger_entry *entry)
{
        return entry->state == OPERATION_DONE ||
               (entry->state == OPERATION_FAILED && entry->counts &&
                entry->as_saved >= sim->fleet_services[entry->service].at_least * SIM_APPS);
}

/* None that was done on this boot, but to verify is to look once more, and apps whose daemon has died since
 * are restored again; and none while one of before is at it. */
static void check_once(struct sim *sim, const struct sim_host *host, const struct ledger_entry *entry)
{
        for (size_t i = 0; i < host->ledger_count; i++) {
                const struct ledger_entry *earlier = &host->ledger[i];

                if (earlier != entry && earlier->state == OPERATION_ACCEPTED &&
                    is_same_step(earlier->id, entry->id))
                        sim_fail(sim, "%s is done by %s, and %s does it too",
                                 operation_type(entry->kind)->name, earlier->id, entry->id);
                if (earlier != entry && is_done(sim, earlier) && earlier->boot == entry->boot &&
                    entry->kind != OPERATION_PM2_VERIFY && !earlier->undone &&
                    is_same_step(earlier->id, entry->id))
                        sim_fail(sim, "%s was done by %s and is done again by %s",
                                 operation_type(entry->kind)->name, earlier->id, entry->id);
        }
}

/* An agent refuses it, but what runs is known: only what was passed over may be at work still, or what an
 * abort lets end, or be a reboot that has been called failed. */
void check_conflict(struct sim *sim, const struct ledger_entry *running,
                    const struct operation_request *request)
{
        if (running->kind == OPERATION_HOST_REBOOT)
                return;
        if (is_same_step(running->id, request->id))
                sim_fail(sim, "%s is sent while %s is at it", request->id, running->id);
        if (!sim->services[running->service].passed_over && !sim->has_aborted && !sim->has_policy)
                sim_fail(sim, "%s is sent for %s while %s is at work on it", request->id,
                         name(sim, (size_t)running->service), running->id);
}

void check_execution(struct sim *sim, size_t index, const struct ledger_entry *entry)
{
        struct sim_host *host = &sim->hosts[index];

        check_once(sim, host, entry);
        switch (entry->kind) {
        case OPERATION_HOST_REBOOT:
                if (agent_reboots(sim, index) > host->reboots_asked)
                        sim_fail(sim, "h%zu is rebooted %u times, %u were asked for", index,
                                 agent_reboots(sim, index), host->reboots_asked);
                check_before_reboot(sim, index);
                return;
        case OPERATION_UNIT_STOP:
        case OPERATION_PM2_STOP:
                check_before_stop(sim, (size_t)entry->service);
                check_before_down(sim, (size_t)entry->service);
                sim->services[entry->service].batch_stopped = true;
                return;
        case OPERATION_UNIT_START:
        case OPERATION_PM2_RESTORE:
                check_before_start(sim, (size_t)entry->service);
                check_before_load(sim, (size_t)entry->service);
                return;
        default:
                return;
        }
}

/* A reboot that is called done was a boot. */
static void check_booted(struct sim *sim, const struct step *plan, const struct run_event *event)
{
        char boot[BOOT_ID_SIZE];
        int host = fleet_host_find(&sim->fleet, plan->host);

        boot_name(boot, (size_t)host, sim->hosts[host].first_boot);
        if (text_equal(boot, event->boot_id))
                sim_fail(sim, "h%d is called rebooted and is on its first boot", host);
        for (unsigned b = sim->hosts[host].first_boot + 1; b <= sim->hosts[host].boot; b++) {
                boot_name(boot, (size_t)host, b);
                if (text_equal(boot, event->boot_id) &&
                    (plan->soft || b / BOOTS_OF_KERNEL > sim->hosts[host].first_boot / BOOTS_OF_KERNEL))
                        return;
        }
        sim_fail(sim, "h%d is called rebooted by a boot that was never", host);
}

/* The newest attempt of a step that its agent knows of. */
static const struct ledger_entry *newest_attempt(const struct sim_host *host, size_t step)
{
        char digits[9];

        snprintf(digits, sizeof(digits), "%08x", (unsigned)step);
        for (size_t i = host->ledger_count; i-- > 0;)
                if (strncmp(host->ledger[i].id + SEED_SIZE - 1, digits, 8) == 0)
                        return &host->ledger[i];
        return NULL;
}

/* What does not survive a boot is called done only if it was done on the one that the controller knows of. */
static void check_done(struct sim *sim, const struct step *plan, const struct run_event *event)
{
        const struct sim_host *host = &sim->hosts[fleet_host_find(&sim->fleet, plan->host)];
        const struct ledger_entry *entry = newest_attempt(host, (size_t)event->step);

        if (plan->phase <= PHASE_REBOOT && plan->phase != PHASE_STOP)
                return;
        if (!entry || !is_done(sim, entry))
                sim_fail(sim, "%s is called done, and is not", plan->name);
        if (entry->boot != host->told_boot)
                sim_fail(sim, "%s is called done, and was done on boot %u; the host is on boot %u",
                         plan->name, entry->boot, host->told_boot);
}

/* What must hold need not hold of that service any more, or of the host and all that stands on it. */
static void pass_over(struct sim *sim, int host, int service)
{
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                sim->services[s].passed_over |=
                        service >= 0 ? (int)s == service : (int)sim->services[s].host == host;
        sim->hosts[host].passed_over |= service < 0;
}

void check_event(struct sim *sim, const struct run_event *event)
{
        const struct step *plan = event->step >= 0 ? &sim->plan->steps[event->step] : NULL;
        int service = plan ? fleet_service_find(&sim->fleet, plan->service.name) : -1;

        if (event->kind == EVENT_DONE && plan->operation == OPERATION_HOST_REBOOT)
                check_booted(sim, plan, event);
        else if (event->kind == EVENT_DONE && plan->kind == STEP_OPERATION)
                check_done(sim, plan, event);
        if (plan && plan->operation == OPERATION_PM2_VERIFY)
                sim->services[service].verified = event->kind == EVENT_DONE;
        if (event->kind == EVENT_DONE && plan->phase == PHASE_CHECK)
                sim->services[service].checked = plan->batch;
        if (event->kind == EVENT_SKIPPED ||
            (event->kind == EVENT_FAILED && plan->on_failure != ON_FAILURE_PAUSE))
                pass_over(sim, fleet_host_find(&sim->fleet, plan->host), service);
        sim->has_policy |= event->kind == EVENT_FAILED && plan->on_failure != ON_FAILURE_PAUSE;
}

/* Which boot it is may be for a person to say. */
static bool is_in_doubt(const struct sim *sim, const char *host)
{
        struct step_view view;

        for (size_t i = 0; i < sim->plan->step_count; i++) {
                run_step(controller_run(sim), i, &view);
                if (sim->plan->steps[i].operation == OPERATION_HOST_REBOOT && view.state == STEP_DOUBT &&
                    text_equal(sim->plan->steps[i].host, host))
                        return true;
        }
        return false;
}

/* What was brought up before a boot that the controller knows of does not count as up after it. */
void check_held(struct sim *sim)
{
        struct step_view view;

        for (size_t i = 0; i < sim->plan->step_count && !sim->has_left; i++) {
                const struct step *plan = &sim->plan->steps[i];
                const struct sim_host *host = &sim->hosts[fleet_host_find(&sim->fleet, plan->host)];
                const struct ledger_entry *entry;

                run_step(controller_run(sim), i, &view);
                if (plan->kind != STEP_OPERATION || plan->phase <= PHASE_REBOOT || view.state != STEP_DONE ||
                    view.again || !host->link_open || !host->introduced || !host->boot_is_heard)
                        continue;
                entry = newest_attempt(host, i);
                if (entry && entry->boot != host->told_boot && !is_in_doubt(sim, plan->host))
                        sim_fail(sim, "%s counts as done, a boot has undone it, and it is not done again",
                                 plan->name);
        }
}

static void check_all_up(struct sim *sim, bool only_what_was_stopped)
{
        for (size_t s = 0; s < sim->fleet.service_count; s++) {
                const struct sim_service *service = &sim->services[s];
                bool is_pm2 = sim->fleet_services[s].spec.kind == SERVICE_PM2;

                if (service->passed_over || (only_what_was_stopped && !service->stopped_by_run))
                        continue;
                if (!service->instance || (!is_pm2 && !service_is_ready(sim, s)))
                        sim_fail(sim, "the run has ended (%s) and %s is not up",
                                 run_state_name(run_state(controller_run(sim))), name(sim, s));
                if (!only_what_was_stopped && service->instance == service->first_instance)
                        sim_fail(sim, "the run is done and %s was not restarted", name(sim, s));
        }
}

/* No more was passed over than the error budget forgives. */
static void check_budget(struct sim *sim)
{
        const struct plan *plan = sim->plan;
        uint32_t failed = 0;

        for (size_t i = 0; i < plan->step_count; i++) {
                struct step_view view;

                run_step(controller_run(sim), i, &view);
                failed += view.state == STEP_FAILED;
        }
        if (failed > plan->error_budget)
                sim_fail(sim, "%u steps failed and were passed over, the error budget is %u", failed,
                         plan->error_budget);
}

void check_lock(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        char other[NAME_SIZE];
        struct plan *plan;
        int r;

        if (!controller_hears(sim))
                return;
        if (plan_from_json(&plan, controller->plan_json, NULL) < 0)
                sim_fail(sim, "the plan cannot be read again");
        r = runner_start(controller->runner, &plan, "another", other, NULL);
        plan_free(plan);
        if (r != -EBUSY)
                sim_fail(sim, "another run of the same hosts begins while this one has them");
}

/* A run that has ended holds nothing, is not steered, and was shown whole. */
static void check_ended(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        struct store_run stored;
        char holder[NAME_SIZE];

        for (size_t h = 0; h < sim->fleet.host_count; h++)
                if (store_lock_holder(controller->store, sim->fleet_hosts[h].name, holder) != -ENOENT)
                        sim_fail(sim, "the run has ended and h%zu is still locked", h);
        if (store_run_get(controller->store, controller->id, &stored, NULL) < 0 ||
            !text_equal(stored.state, run_state_name(run_state(controller_run(sim)))) ||
            !run_finished(controller_run(sim)))
                sim_fail(sim, "the run ended as %s and is stored as %s",
                         run_state_name(run_state(controller_run(sim))), stored.state);
        controller_steer(sim, STEER_RESUME, -1);
        controller_steer(sim, STEER_ABORT, -1);
        if (controller->shown != controller->durable)
                sim_fail(sim, "who watched was shown %llu of %llu events",
                         (unsigned long long)controller->shown, (unsigned long long)controller->durable);
}

static int note_left(const struct step *step, size_t index, void *userdata)
{
        struct sim *sim = userdata;
        int service = fleet_service_find(&sim->fleet, step->service.name);

        if (service >= 0) { /* it is said */
                sim->services[service].left_down = false;
                sim->services[service].undone_us = 0;
        }
        return 0;
}

/* However the run ended: what it stopped and did not bring back, it names; and unless people or policies let
 * it, there is no such thing. Nor does it end over what it did bring back and a boot has undone since, but
 * for what the controller cannot have seen yet. */
static void check_left(struct sim *sim)
{
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                if (sim->services[s].left_down && !sim->has_left && !sim->services[s].passed_over)
                        sim_fail(sim, "the run has ended (%s) and has not brought up %s, which it stopped",
                                 run_state_name(run_state(controller_run(sim))), name(sim, s));
        if (runner_left(sim->controller.runner, sim->controller.id, note_left, sim) < 0)
                sim_fail(sim, "what the run has left cannot be asked");
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                if (sim->services[s].left_down)
                        sim_fail(sim, "the run has ended (%s), has stopped %s, and does not say so",
                                 run_state_name(run_state(controller_run(sim))), name(sim, s));
        for (size_t s = 0; s < sim->fleet.service_count; s++)
                if (sim->services[s].undone_us && !sim->has_left &&
                    sim->services[s].undone_us + SIGHT_US < sim->controller.heard_us)
                        sim_fail(sim,
                                 "the run has ended (%s), a boot of h%zu undid that %s was up again, and it "
                                 "does not say so",
                                 run_state_name(run_state(controller_run(sim))), sim->services[s].host,
                                 name(sim, s));
}

void check_end(struct sim *sim)
{
        enum run_state state = run_state(controller_run(sim));
        bool calm = sim->last_fault_us + 600 * USEC_PER_SEC < sim->now_us || sim->faults == 0;
        bool plain = !sim->has_aborted && !sim->has_skipped && !sim->has_policy;

        check_ended(sim);
        check_held(sim);
        check_left(sim);
        if (state == RUN_DONE || state == RUN_PART)
                check_budget(sim);
        if (plain && state != RUN_DONE)
                sim_fail(sim, "the run ended as %s", run_state_name(state));
        for (size_t h = 0; h < sim->fleet.host_count && state == RUN_DONE && sim->kind == PLAN_REBOOT; h++)
                if (sim->hosts[h].boot == sim->hosts[h].first_boot)
                        sim_fail(sim, "the run is done and h%zu was not rebooted", h);
        if (calm && state == RUN_DONE)
                check_all_up(sim, false);
        else if (calm && state == RUN_ABORTED && !sim->has_left)
                check_all_up(sim, true);
}
