/* What stands in for controller/agents.c: the runner's calls, over the links of here. They leave with the
 * commit of their turn and end once, as common/rpc has it: by an answer, by the end of their link, a question
 * to a ledger by its deadline. */
#include <errno.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "tests/sim/sim.h"

#define LEDGER_DEADLINE_US (10 * USEC_PER_SEC)

/* --- controller/agents.h ------------------------------------------------------------------------------- */

int agents_listen(agents *agents, const struct agents_listener *listener)
{
        agents->listener = *listener;
        return 0;
}

size_t agents_count(const agents *agents)
{
        return agents->sim->fleet.host_count;
}

static bool is_connected(const struct sim *sim, size_t host)
{
        return sim->hosts[host].link_open && sim->hosts[host].introduced;
}

void agents_view(const agents *agents, size_t index, struct agent_view *ret)
{
        struct sim *sim = agents->sim;

        *ret = (struct agent_view){
                .name = sim->fleet_hosts[index].name,
                .connected = is_connected(sim, index),
                .came_us = sim->hosts[index].came_us,
                .state = &sim->states[index],
                .another = "",
        };
}

static struct sim_call *call_new(struct sim *sim, const char *host)
{
        struct sim_controller *controller = &sim->controller;
        int index = fleet_host_find(&sim->fleet, host);
        struct sim_call *call = NULL;

        if (index < 0)
                sim_fail(sim, "a call to '%s', which is no host", host);
        if (!is_connected(sim, (size_t)index))
                return NULL;
        if (!live_find(controller->runner, controller->id))
                sim_fail(sim, "something is sent by a run that has ended");
        for (size_t i = 0; i < SIM_CALLS && !call; i++)
                if (!controller->calls[i].open) {
                        call = &controller->calls[i];
                        if (i >= controller->calls_used)
                                controller->calls_used = i + 1;
                }
        if (!call)
                sim_fail(sim, "more than %d calls are open", SIM_CALLS);
        *call = (struct sim_call){
                .open = true, .queued = true, .number = ++controller->call_count, .host = (size_t)index};
        call->message.call = call->number;
        return call;
}

int agents_operate_start(agents *agents, const char *host, const struct operation_request *request,
                         const struct agents_operate *callbacks)
{
        struct sim *sim = agents->sim;
        struct sim_call *call;

        if (operation_request_check(request, NULL) < 0)
                sim_fail(sim, "an unsound request is sent");
        call = call_new(sim, host);
        if (!call)
                return -ENOTCONN;
        call->operate = *callbacks;
        call->message.kind = TO_AGENT_OPERATE;
        call->message.request = *request;
        TEXT_COPY(call->message.operation, request->id);
        return 0;
}

int agents_ledger(agents *agents, const char *host, const char (*ids)[ID_SIZE], size_t count,
                  void (*on_end)(enum rpc_status code, const struct operation_report *reports,
                                 size_t report_count, void *userdata),
                  void *userdata)
{
        struct sim *sim = agents->sim;
        struct sim_call *call = call_new(sim, host);

        if (!call)
                return -ENOTCONN;
        call->is_question = true;
        call->on_ledger = on_end;
        call->userdata = userdata;
        call->message.kind = TO_AGENT_LEDGER;
        if (count > ELEMENTS(call->message.ids))
                sim_fail(sim, "%zu operations of one host are asked for", count);
        call->message.id_count = count;
        memcpy(call->message.ids, ids, count * sizeof(ids[0]));
        return 0;
}

/* --- their ends ---------------------------------------------------------------------------------------- */

static void end(struct sim_call *call, enum rpc_status code, const struct operation_report *reports,
                size_t count, const char *text)
{
        call->open = call->queued = false;
        if (call->is_question)
                call->on_ledger(code, reports, count, call->userdata);
        else
                call->operate.on_end(code, text, call->operate.userdata);
}

void calls_end(struct sim *sim, size_t host)
{
        for (size_t i = 0; i < sim->controller.calls_used; i++) {
                struct sim_call *call = &sim->controller.calls[i];

                if (call->open && (host == SIZE_MAX || call->host == host))
                        end(call, RPC_UNAVAILABLE, NULL, 0, "the link was lost");
        }
}

static void expires(struct sim *sim, size_t host, uint64_t number, void *data)
{
        for (size_t i = 0; i < sim->controller.calls_used && controller_hears(sim); i++) {
                struct sim_call *call = &sim->controller.calls[i];

                if (call->open && call->number == number)
                        end(call, RPC_DEADLINE_EXCEEDED, NULL, 0, "");
        }
}

void calls_post(struct sim *sim, struct sim_call *call)
{
        call->queued = false;
        if (!call->is_question && !controller_announced(sim, call->message.operation))
                sim_fail(sim, "operation %s is sent before its intent is durable", call->message.operation);
        if (call->is_question)
                sim_later(sim, LEDGER_DEADLINE_US, expires, call->host, call->number, NULL);
        link_to_agent(sim, call->host, &call->message);
}

/* --- what comes in ------------------------------------------------------------------------------------- */

static void say_figure(struct operation_report *report, const char *name, unsigned value)
{
        struct figure *figure = &report->figures[report->figure_count++];

        TEXT_COPY(figure->name, name);
        snprintf(figure->value, sizeof(figure->value), "%u", value);
}

/* As the core takes reports. Valid until the next call. */
static const struct operation_report *reports_of(struct sim *sim, const struct message *message)
{
        for (size_t i = 0; i < message->report_count; i++) {
                struct operation_report *report = &sim->reports[i];

                TEXT_COPY(report->id, message->reports[i].id);
                report->state = message->reports[i].state;
                TEXT_COPY(report->text, operation_state_name(report->state));
                report->figure_count = 0;
                if (!message->reports[i].counts)
                        continue;
                say_figure(report, "expected", SIM_APPS);
                say_figure(report, "as-saved", message->reports[i].as_saved);
        }
        return sim->reports;
}

/* A report that no call waits for: late, or the second of its kind. No link would carry it so far; the core
 * is told of it all the same. */
static void take_stray(struct sim *sim, const struct message *message)
{
        struct live *live = live_find(sim->controller.runner, sim->controller.id);
        struct run_input input = {
                .kind = INPUT_REPORT,
                .operation = message->operation,
                .reports = reports_of(sim, message),
                .report_count = message->report_count,
        };

        if (!live || message->kind != FROM_AGENT_REPORT)
                return;
        if (live_feed(live, &input, NULL) < 0)
                sim_fail(sim, "a stray report is not ignored");
        runner_reap(sim->controller.runner);
}

static void take_answer(struct sim *sim, struct sim_call *call, const struct message *message)
{
        const struct agents_operate *to = &call->operate;

        switch (message->kind) {
        case FROM_AGENT_PROGRESS:
                to->on_update(message->done, message->total, "half way", NULL, to->userdata);
                return;
        case FROM_AGENT_REPORT:
                to->on_update(0, 0, "", reports_of(sim, message), to->userdata);
                end(call, RPC_OK, NULL, 0, "");
                return;
        case FROM_AGENT_ENDED:
                end(call, message->code, NULL, 0, message->why);
                return;
        default:
                end(call, RPC_OK, reports_of(sim, message), message->report_count, "");
        }
}

static void take_state(struct sim *sim, size_t index, const struct message *message)
{
        const struct agents_listener *listener = &sim->controller.agents.listener;
        struct sim_host *host = &sim->hosts[index];
        bool is_first = !host->introduced;
        struct agent_view view;

        (void)host_state_of(sim, index, message);
        host->came_us = sim->now_us;
        if (message->boot_readable) {
                host->told_boot = message->boot;
                host->boot_is_heard = true;
        }
        host->introduced = true;
        if (is_first)
                sim_say(sim, "  h%zu is connected, boot %u", index, message->boot);
        agents_view(&sim->controller.agents, index, &view);
        (is_first ? listener->up : listener->changed)(&view, listener->userdata);
}

void calls_take(struct sim *sim, size_t host, const struct message *message)
{
        bool is_answer = message->kind == FROM_AGENT_LEDGER;

        if (!controller_hears(sim))
                return;
        if (message->kind == FROM_AGENT_STATE) {
                take_state(sim, host, message);
                return;
        }
        for (size_t i = 0; i < sim->controller.calls_used; i++) {
                struct sim_call *call = &sim->controller.calls[i];

                if (call->open && call->host == host &&
                    (is_answer ? call->number == message->call
                               : !call->is_question &&
                                         text_equal(call->message.operation, message->operation))) {
                        take_answer(sim, call, message);
                        return;
                }
        }
        take_stray(sim, message);
}

void calls_lost_link(struct sim *sim, size_t index)
{
        const struct agents_listener *listener = &sim->controller.agents.listener;
        struct sim_host *host = &sim->hosts[index];
        bool was_connected = is_connected(sim, index);
        struct agent_view view;

        sim_say(sim, "  h%zu is no longer connected", index);
        host->link_open = false;
        if (!controller_hears(sim))
                return;
        calls_end(sim, index);
        agents_view(&sim->controller.agents, index, &view);
        if (was_connected)
                listener->down(&view, listener->userdata);
}
