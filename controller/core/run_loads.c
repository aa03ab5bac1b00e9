/* Steps that wait for loads: what loads is not stopped, no more services load from one disk at a time than it
 * was told to bear, and a load that always begins anew is not waited for. */
#include <stdio.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

/* Only what goes beyond the furthest is progress. Bytes that fall back, and those of another process, are of
 * a load that has begun anew: where something kills the server half way and something else starts it again,
 * they move for ever and lead nowhere. */
static bool load_gets_on(struct run_load *load, const char *instance, unsigned stage, uint64_t done)
{
        bool is_same = text_equal(load->instance, instance), is_next = is_same && stage > load->stage;
        bool begins = !is_same || stage < load->stage || (stage == load->stage && done < load->furthest);

        if (begins) {
                load->begun++;
                load->by_another = !is_same;
                text_copy_cut(load->instance, sizeof(load->instance), instance);
        } else if (!is_next && done == load->furthest) {
                return false;
        }
        load->stage = stage;
        load->furthest = done;
        return true;
}

/* What this life of the controller has seen move moved just now; of what it sees first its agent says how
 * long it has not moved. */
void load_note(struct run_service *service, const struct service_state *state, const char *identity,
               uint64_t now_us)
{
        const char *instance = identity[0] ? identity : "?"; /* nothing tells one from the next */
        uint64_t still_us = state->progress_still_ms * USEC_PER_MSEC;
        uint64_t seen_us = now_us > still_us ? now_us - still_us : 0;
        bool moved, sync = state->kind == SERVICE_REDIS && state->redis.sync_in_progress;

        if (state->unit.result[0] && !text_equal(state->unit.result, "success"))
                text_copy_cut(service->load.result, sizeof(service->load.result), state->unit.result);
        if (state->phase != PHASE_LOADING || (!state->progress_total && !sync))
                return;
        moved = load_gets_on(&service->load, instance, sync ? 1 + state->redis.loading : 0,
                             state->progress_done);
        if (service->known && moved)
                service->moved_us = now_us;
        else if (!service->known && (moved || seen_us < service->moved_us))
                service->moved_us = seen_us;
}

void load_wait_begins(struct run_step *step, struct run_service *service)
{
        bool is_under_way = service->known && service->phase == PHASE_LOADING;

        step->loads = service->load.begun + !is_under_way;
        service->load.result[0] = '\0';
}

bool load_is_hopeless(const struct run_step *step, const struct run_service *service, char *why, size_t size)
{
        const struct run_load *load = &service->load;
        unsigned anew = load->begun > step->loads ? load->begun - step->loads : 0;
        char line[2 * TEXT_SIZE];

        if (anew < LOADS_ANEW_MAX)
                return false;
        snprintf(line, sizeof(line),
                 "%s has been started anew %u times%s%s%s, and each time it loads all again: %s",
                 service->name, anew, load->result[0] ? " (result of its unit: " : "", load->result,
                 load->result[0] ? ")" : "", service->detail);
        if (!load->by_another)
                snprintf(line, sizeof(line), "%s has begun its load anew %u times: %s", service->name, anew,
                         service->detail);
        text_copy_cut(why, size, line);
        return true;
}

/* What loads is not stopped: it would begin anew. Its agent says when it has ended. */
int step_cuts_load(const run *run, size_t index)
{
        const struct run_step *step = &run->steps[index];
        const struct run_host *host = &run->hosts[step->host];
        enum operation_kind operation = run->plan->steps[index].operation;
        size_t first = host->first_service, end = first + host->service_count;

        if (operation == OPERATION_UNIT_STOP && step->service >= 0)
                first = (size_t)step->service, end = first + 1;
        else if (operation != OPERATION_HOST_REBOOT)
                return -1;
        for (size_t s = first; s < end; s++)
                if (run->services[s].known && run->services[s].phase == PHASE_LOADING)
                        return (int)s;
        return -1;
}

/* How long a load may stand still: as long as its gate lets it. */
static uint64_t patience_us(const run *run, const struct run_service *service)
{
        return service->gate >= 0 ? run->plan->steps[step_now(run, (size_t)service->gate)].deadline_us
                                  : UNREACHABLE_US;
}

int step_wait_for_load(struct turn *turn, size_t index, bool *ret_waits)
{
        struct run_step *step = &turn->run->steps[index];
        int loading = step_cuts_load(turn->run, index);
        struct run_service *service = loading >= 0 ? &turn->run->services[loading] : NULL;
        char text[WHY_SIZE], limit[64];
        uint64_t since_us, patience;

        *ret_waits = service != NULL;
        if (!service) {
                step->held_us = 0;
                return 0;
        }
        if (!step->held_us) {
                step->held_us = turn->now_us;
                load_wait_begins(step, service);
        }
        if (load_is_hopeless(step, service, text, sizeof(text)))
                return decide_failed(turn, index, false, text, NULL);
        since_us = service->moved_us > step->held_us ? service->moved_us : step->held_us;
        patience = patience_us(turn->run, service);
        if (!turn_is_due(turn, since_us + patience))
                return 0;
        time_duration_text(limit, sizeof(limit), patience);
        snprintf(text, sizeof(text), "%s is loading, and there was no progress for %s: %s", service->name,
                 limit, service->detail);
        return decide_failed(turn, index, false, text, NULL);
}

/* What was there before its stop may still be what its agent spoke of last. */
static bool is_of_before(const run *run, const struct run_step *step, const struct run_service *service)
{
        const struct run_step *stop = step->stop >= 0 ? &run->steps[step->stop] : NULL;

        return stop && stop->state == STEP_DONE && stop->identity[0] &&
               text_equal(stop->identity, service->identity);
}

/* Too lately for its agent to have said whether it loads. */
static bool was_just_started(const run *run, const struct run_service *service)
{
        return service->started_us && run->now_us - service->started_us < DOWN_GRACE_US;
}

/* Whether the service reads its disk, or is about to: the run has started it and it has not come up yet. What
 * a person has skipped is nothing that others wait for, nor is one whose gate has failed unless it is seen to
 * load or was started again since. Of two whose start is to be tried again the one that
 * comes first in the plan goes first. */
static bool reads_disk(const run *run, const struct run_service *service, unsigned disk, size_t for_step)
{
        size_t gate = service->gate >= 0 ? step_now(run, (size_t)service->gate) : SIZE_MAX;
        size_t start = service->start >= 0 ? step_now(run, (size_t)service->start) : SIZE_MAX;
        const struct run_step *g, *s;

        if (gate == SIZE_MAX || run->plan->steps[gate].disk != disk)
                return false;
        g = &run->steps[gate];
        if (g->state == STEP_SKIPPED || g->state == STEP_CANCELLED)
                return false;
        if (service->known && service->phase == PHASE_LOADING)
                return true;
        if (start == SIZE_MAX || run->plan->steps[start].batch != run->plan->steps[gate].batch)
                return false;
        s = &run->steps[start];
        if (s->state == STEP_RUNNING || (s->state == STEP_RETRYING && start < for_step))
                return true;
        if (s->state != STEP_DONE ||
            (service->known && service->phase == PHASE_READY && !is_of_before(run, g, service)))
                return false;
        return g->state == STEP_WAITING || g->state == STEP_RUNNING || was_just_started(run, service);
}

/* Whether it reads its disk already, or has done so: to start it adds nothing to what the disk bears. A
 * server that has just ended may look like one that begins; what answers tells the two apart by its name. */
static bool is_up_already(const run *run, const struct run_step *step)
{
        const struct run_service *service = &run->services[step->service];

        return service->known && (service->phase == PHASE_LOADING || service->phase == PHASE_READY) &&
               !is_of_before(run, step, service);
}

bool step_awaits_disk(const run *run, size_t index, char *why, size_t size)
{
        const struct run_step *step = &run->steps[index];
        const struct step *plan = &run->plan->steps[index];
        const struct run_host *host = &run->hosts[step->host];
        char line[2 * TEXT_SIZE], names[TEXT_SIZE] = "";
        size_t count = 0, used = 0;

        if (!plan->loads_most || plan->operation != OPERATION_UNIT_START || is_up_already(run, step))
                return false;
        for (size_t s = host->first_service; s < host->first_service + host->service_count; s++) {
                if (s == (size_t)step->service || !reads_disk(run, &run->services[s], plan->disk, index))
                        continue;
                if (used < sizeof(names))
                        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                                 count ? ", " : "", run->services[s].name);
                count++;
        }
        if (count < plan->loads_most)
                return false;
        snprintf(line, sizeof(line), "%s %s loading from its disk, at most %u at a time", names,
                 count == 1 ? "is" : "are", plan->loads_most);
        if (why)
                text_copy_cut(why, size, line);
        return true;
}
