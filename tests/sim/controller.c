/* The controller around the core: what the runner does, with a journal of lines that are durable or not yet,
 * and an end between any two effects. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static void free_lines(char **lines, size_t *count)
{
        while (*count > 0)
                free(lines[--*count]);
}

bool controller_announced(const struct sim *sim, const char *operation)
{
        const struct sim_controller *controller = &sim->controller;

        for (size_t i = controller->durable; i-- > 0;)
                if (strstr(controller->journal[i], "\"intent\"") && strstr(controller->journal[i], operation))
                        return true;
        return false;
}

/* --- life and death --- */

static run *fold_journal(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        struct error error = {0};
        struct plan *plan;
        run *folded;

        if (plan_from_json(&plan, controller->plan_json, &error) < 0 ||
            run_new(&folded, "r1", plan, sim->now_us, &error) < 0)
                sim_fail(sim, "the plan cannot be read again: %s", error.text);
        for (size_t i = 0; i < controller->durable; i++) {
                struct run_event event;

                if (run_event_from_json(&event, controller->journal[i], &error) < 0 ||
                    run_fold(folded, &event, &error) < 0)
                        sim_fail(sim, "event %zu of the journal: %s: %s", i + 1, error.text,
                                 controller->journal[i]);
        }
        if (run_check(folded, &error) < 0)
                sim_fail(sim, "folded from its journal: %s", error.text);
        return folded;
}

/* Without room for the journal it waits, lets nobody in and begins nothing. */
static void rises(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        struct sim_controller *controller = &sim->controller;

        if (sim->now_us < controller->full_until_us) {
                sim_later(sim, controller->full_until_us - sim->now_us, rises, 0, 0, NULL);
                return;
        }
        controller->alive = true;
        controller->life++;
        controller->wake_us = UINT64_MAX;
        controller->run = fold_journal(sim);
        sim_say(sim, "  the controller is up again, %zu events", controller->durable);
        /* Its end and its state are of one turn: a run whose end was kept is not taken up again. */
        if (run_finished(controller->run)) {
                controller->finished = true;
                return;
        }
        if (controller->durable == 0)
                controller_feed(sim, &(struct run_input){
                                             .kind = INPUT_START, .user = "sim", .seed = "0123456789abcdef"});
        else
                controller_feed(sim, &(struct run_input){.kind = INPUT_TICK});
}

static void dies(struct sim *sim, const char *when)
{
        struct sim_controller *controller = &sim->controller;

        sim_say(sim, "! the controller is killed %s", when);
        free_lines(controller->pending, &controller->pending_count);
        controller->run = run_free(controller->run);
        controller->alive = false;
        controller->crashes++;
        memset(controller->streams, 0, sizeof(controller->streams));
        for (size_t h = 0; h < sim->fleet.host_count; h++) {
                sim->hosts[h].link_drains = sim->hosts[h].link_alive && sim_random(sim, 2);
                link_cut(sim, h, 0);
                sim->hosts[h].link_open = false;
        }
        sim_later(sim, sim_between(sim, USEC_PER_SEC / 10, 60 * USEC_PER_SEC), rises, 0, 0, NULL);
}

/* --- a turn --- */

static void write_event(struct sim *sim, const struct run_effect *effect)
{
        struct sim_controller *controller = &sim->controller;
        char *json;

        if (effect->number != controller->durable + controller->pending_count + 1)
                sim_fail(sim, "event %llu follows event %zu", (unsigned long long)effect->number,
                         controller->durable + controller->pending_count);
        if (effect->number > SIM_JOURNAL)
                sim_fail(sim, "the journal does not end");
        if (run_event_to_json(effect->event, &json) < 0)
                abort();
        controller->pending[controller->pending_count++] = json;
        sim_say(sim, "%4llu %-8s %s", (unsigned long long)effect->number,
                run_event_kind_name(effect->event->kind), effect->event->text);
        check_event(sim, effect->event);
}

/* False: the disk failed, and the controller has ended with nothing of the turn sent. Of a write that could
 * not be synced, what the next life reads is there or it is not: all of a turn, or nothing. */
static bool commit(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        unsigned further = 0;
        bool full = controller->pending_count > 0 && sim_fault(sim, sim->odds.disk_full);
        bool unsynced = !full && controller->pending_count > 0 && sim_fault(sim, sim->odds.sync_fails);

        if (full) {
                controller->full_until_us = sim->now_us + sim_between(sim, 1, 1200) * USEC_PER_SEC;
                dies(sim, "by a disk that is full");
                return false;
        }
        if (unsynced && sim_random(sim, 2)) {
                dies(sim, "by an fsync that fails, its write lost");
                return false;
        }
        for (size_t i = 0; i < controller->pending_count; i++) {
                controller->journal[controller->durable++] = controller->pending[i];
                further += strstr(controller->pending[i], "\"kind\":\"batch\"") != NULL;
        }
        controller->pending_count = 0;
        while (further-- > 0)
                check_batch_begins(sim);
        if (unsynced)
                dies(sim, "by an fsync that fails, its write kept");
        return !unsynced;
}

static struct stream *stream_find(struct sim *sim, const char *operation)
{
        for (size_t i = 0; i < SIM_STREAMS; i++)
                if (sim->controller.streams[i].open &&
                    text_equal(sim->controller.streams[i].operation, operation))
                        return &sim->controller.streams[i];
        return NULL;
}

/* Returns false if there was no link to send it on. */
static bool send_operate(struct sim *sim, const struct run_effect *effect, size_t host)
{
        struct message message = {.kind = TO_AGENT_OPERATE};
        struct stream *free_stream = NULL;

        if (!sim->hosts[host].link_open || !sim->hosts[host].introduced)
                return false;
        run_request(sim->controller.run, (size_t)effect->step, &message.request);
        if (!text_equal(message.request.id, effect->operation))
                return true;
        if (!controller_announced(sim, message.request.id))
                sim_fail(sim, "operation %s is sent before its intent is durable", message.request.id);
        if (operation_request_check(&message.request, NULL) < 0)
                sim_fail(sim, "an unsound request was sent");
        for (size_t i = 0; i < SIM_STREAMS && !free_stream; i++)
                if (!sim->controller.streams[i].open)
                        free_stream = &sim->controller.streams[i];
        if (!free_stream)
                sim_fail(sim, "more than %d streams are open", SIM_STREAMS);
        *free_stream = (struct stream){.open = true, .host = host, .link = sim->hosts[host].link};
        TEXT_COPY(free_stream->operation, effect->operation);
        link_to_agent(sim, host, &message);
        return true;
}

static bool send_question(struct sim *sim, size_t host, const char *name)
{
        struct message message = {.kind = TO_AGENT_LEDGER};

        if (!sim->hosts[host].link_open || !sim->hosts[host].introduced)
                return false;
        message.id_count = run_pending(sim->controller.run, name, message.ids, 16);
        link_to_agent(sim, host, &message);
        return true;
}

static void send_all(struct sim *sim, const struct run_effects *effects)
{
        unsigned life = sim->controller.life;

        for (size_t i = 0; i < effects->count && sim->controller.alive && sim->controller.life == life; i++) {
                const struct run_effect *effect = &effects->items[i];
                int host = effect->host[0] ? fleet_host_find(&sim->fleet, effect->host) : -1;

                if (effect->kind == EFFECT_FINISHED)
                        sim->controller.finished = true;
                if (effect->kind != EFFECT_OPERATE && effect->kind != EFFECT_LEDGER)
                        continue;
                if (sim->controller.finished)
                        sim_fail(sim, "something is sent by a run that has ended");
                if (sim_fault(sim, sim->odds.crash)) {
                        dies(sim, "between its commit and a send");
                        return;
                }
                if (effect->kind == EFFECT_OPERATE ? !send_operate(sim, effect, (size_t)host)
                                                   : !send_question(sim, (size_t)host, effect->host)) {
                        struct run_input input = {
                                .kind = effect->kind == EFFECT_OPERATE ? INPUT_ENDED : INPUT_LEDGER_ENDED,
                                .operation = effect->operation,
                                .host = effect->host,
                        };

                        controller_feed(sim, &input);
                }
        }
}

static void ticks(struct sim *sim, size_t host, uint64_t life, void *data)
{
        struct sim_controller *controller = &sim->controller;

        if (!controller->alive || controller->life != life || controller->finished)
                return;
        if (run_wake_us(controller->run) > sim->now_us)
                return;
        controller_feed(sim, &(struct run_input){.kind = INPUT_TICK});
        if (controller->alive && controller->life == life && run_wake_us(controller->run) <= sim->now_us)
                sim_fail(sim, "it would wake up for ever");
}

void controller_feed(struct sim *sim, struct run_input *input)
{
        struct sim_controller *controller = &sim->controller;
        struct run_effects effects = {0};
        struct error error = {0};
        unsigned life = controller->life;
        int r;

        if (!controller->alive || controller->finished)
                return;
        if (++controller->inputs > INPUTS_MAX)
                sim_fail(sim, "%u inputs and no end", INPUTS_MAX);
        input->now_us = sim->now_us;
        input->clock_us = 1700000000000000ull + sim->now_us + sim->clock_offset_us;
        r = run_apply(controller->run, input, &effects, &error);
        if (r < 0 && !(r == -EINVAL && input->kind == INPUT_STEER))
                sim_fail(sim, "input %d: %s", (int)input->kind, error.text);
        if (run_check(controller->run, &error) < 0)
                sim_fail(sim, "%s", error.text);
        for (size_t i = 0; i < effects.count; i++)
                if (effects.items[i].kind == EFFECT_JOURNAL)
                        write_event(sim, &effects.items[i]);
        if (effects.count > 0 && sim_fault(sim, sim->odds.crash)) {
                dies(sim, "before its commit");
        } else if (commit(sim)) {
                send_all(sim, &effects);
        }
        run_effects_clear(&effects);
        if (controller->alive && controller->life == life &&
            run_wake_us(controller->run) != controller->wake_us) {
                controller->wake_us = run_wake_us(controller->run);
                if (controller->wake_us != UINT64_MAX)
                        sim_later(sim,
                                  controller->wake_us > sim->now_us ? controller->wake_us - sim->now_us : 0,
                                  ticks, 0, life, NULL);
        }
}

void controller_begin(struct sim *sim, struct plan *plan)
{
        struct sim_controller *controller = &sim->controller;

        if (plan_to_json(plan, &controller->plan_json) < 0)
                abort();
        plan_free(plan);
        rises(sim, 0, 0, NULL);
}

void controller_clear(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;

        run_free(controller->run);
        free(controller->plan_json);
        free_lines(controller->journal, &controller->durable);
        free_lines(controller->pending, &controller->pending_count);
}

/* --- what comes in --- */

/* As the core takes reports. Valid until the next call. */
static const struct operation_report *reports_of(struct sim *sim, const struct message *message)
{
        for (size_t i = 0; i < message->report_count; i++) {
                struct operation_report *report = &sim->reports[i];

                TEXT_COPY(report->id, message->reports[i].id);
                report->state = message->reports[i].state;
                TEXT_COPY(report->text, operation_state_name(report->state));
        }
        return sim->reports;
}

static void take_report(struct sim *sim, const struct message *message)
{
        struct stream *stream = stream_find(sim, message->operation);
        struct run_input input = {
                .kind = message->kind == FROM_AGENT_REPORT ? INPUT_REPORT : INPUT_ENDED,
                .operation = message->operation,
                .reports = reports_of(sim, message),
                .report_count = message->report_count,
                .refused = message->kind == FROM_AGENT_ENDED,
                .text = message->kind == FROM_AGENT_ENDED ? "refused: it was meant for another boot"
                                                          : "no room",
        };

        if (stream)
                stream->open = false;
        controller_feed(sim, &input);
}

static void take_state(struct sim *sim, size_t index, const struct message *message)
{
        struct sim_host *host = &sim->hosts[index];
        struct run_input input = {
                .kind = host->introduced ? INPUT_HOST_CHANGED : INPUT_HOST_UP,
                .host = sim->fleet_hosts[index].name,
                .state = host_state_of(sim, index, message),
        };

        if (!host->introduced)
                sim_say(sim, "  h%zu is connected, boot %u", index, message->boot);
        host->introduced = true;
        controller_feed(sim, &input);
}

void controller_take(struct sim *sim, size_t host, uint64_t link, const struct message *message)
{
        struct run_input input = {
                .kind = INPUT_LEDGER,
                .host = sim->fleet_hosts[host].name,
                .asked = message->ids,
                .asked_count = message->id_count,
                .reports = reports_of(sim, message),
                .report_count = message->report_count,
        };

        if (!sim->controller.alive)
                return;
        switch (message->kind) {
        case FROM_AGENT_STATE:
                take_state(sim, host, message);
                return;
        case FROM_AGENT_REPORT:
        case FROM_AGENT_ENDED:
        case FROM_AGENT_NOT_NOW:
                take_report(sim, message);
                return;
        default:
                controller_feed(sim, &input);
        }
}

void controller_lost_link(struct sim *sim, size_t index)
{
        struct sim_controller *controller = &sim->controller;
        struct sim_host *host = &sim->hosts[index];
        unsigned life = controller->life;

        sim_say(sim, "  h%zu is no longer connected", index);
        host->link_open = false;
        for (size_t i = 0; i < SIM_STREAMS && controller->alive && controller->life == life; i++) {
                struct stream stream = controller->streams[i];

                if (!stream.open || stream.host != index)
                        continue;
                controller->streams[i].open = false;
                controller_feed(sim, &(struct run_input){.kind = INPUT_ENDED, .operation = stream.operation});
        }
        if (host->introduced && controller->alive && controller->life == life)
                controller_feed(sim, &(struct run_input){.kind = INPUT_HOST_DOWN,
                                                         .host = sim->fleet_hosts[index].name});
}
