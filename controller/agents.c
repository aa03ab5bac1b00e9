/* See agents.h. */
#include "controller/agents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/rpc/wire.h"
#include "controller/agents_internal.h"

#define LEDGER_DEADLINE_US (10 * USEC_PER_SEC)
/* How long a machine that was kept out is spoken of after it last tried. */
#define ANOTHER_US (600 * USEC_PER_SEC)

int agents_new(agents **ret, sd_event *event, const struct fleet *fleet)
{
        agents *created = calloc(1, sizeof(*created));

        if (!created)
                return -ENOMEM;
        created->list = calloc(fleet->host_count + 1, sizeof(*created->list));
        if (!created->list) {
                free(created);
                return -ENOMEM;
        }
        created->event = event;
        created->fleet = fleet;
        for (size_t i = 0; i < fleet->host_count; i++)
                created->list[i] = (struct agent){.agents = created, .host = &fleet->hosts[i], .index = i};
        *ret = created;
        return 0;
}

agents *agents_free(agents *agents)
{
        if (!agents)
                return NULL;
        for (size_t i = 0; i < agents->fleet->host_count; i++) {
                sd_event_source_disable_unref(agents->list[i].patience);
                agent_state_clear(&agents->list[i].state);
                agent_state_clear(&agents->list[i].candidate_state);
        }
        free(agents->list);
        free(agents);
        return NULL;
}

int agents_listen(agents *agents, const struct agents_listener *listener)
{
        if (agents->listener_count == LISTENERS_MOST)
                return -ENOSPC;
        agents->listeners[agents->listener_count++] = *listener;
        return 0;
}

size_t agents_count(const agents *agents)
{
        return agents->fleet->host_count;
}

void agents_view(const agents *agents, size_t index, struct agent_view *ret)
{
        const struct agent *agent = &agents->list[index];

        *ret = (struct agent_view){
                .name = agent->host->name,
                .connected = agent->connected,
                .last_seen_us = agent->connected ? time_realtime_us() : agent->last_seen_us,
                .came_us = agent->came_us,
                .state = agent->seen ? &agent->state : NULL,
                .state_us = agent->state_us,
                .peer = agent->connected ? agent->peer : NULL,
                .another = agent->another_us && time_monotonic_us() - agent->another_us < ANOTHER_US
                                   ? agent->another
                                   : "",
        };
}

int agents_find(const agents *agents, const char *host)
{
        return fleet_host_find(agents->fleet, host);
}

void agents_tell(const struct agent *agent, enum agents_news news)
{
        struct agent_view view;

        agents_view(agent->agents, agent->index, &view);
        for (size_t i = 0; i < agent->agents->listener_count; i++) {
                const struct agents_listener *listener = &agent->agents->listeners[i];
                void (*told)(const struct agent_view *, void *) = news == NEWS_UP     ? listener->up
                                                                  : news == NEWS_DOWN ? listener->down
                                                                                      : listener->changed;

                if (told)
                        told(&view, listener->userdata);
        }
}

/* --- calls to agents --- */

static struct agent *reachable(agents *agents, const char *host)
{
        int index = agents_find(agents, host);

        return index >= 0 && agents->list[index].connected ? &agents->list[index] : NULL;
}

struct operate {
        struct agents_operate callbacks;
        char id[ID_SIZE];
        bool reported;
};

static void on_operate_update(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__OperateUpdate *update = (const Muster__V1__OperateUpdate *)message;
        struct operate *operate = userdata;
        struct operation_report report;

        if (!update->report) {
                operate->callbacks.on_update(update->done, update->total, update->text, NULL,
                                             operate->callbacks.userdata);
                return;
        }
        /* A report of something else than was asked for is no report. */
        if (operate->reported || wire_read_report(&report, update->report) < 0 ||
            !text_equal(report.id, operate->id))
                return;
        operate->reported = true;
        operate->callbacks.on_update(0, 0, report.text, &report, operate->callbacks.userdata);
}

static void on_operate_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        cleanup_free struct operate *operate = userdata;

        if (code == RPC_OK && !operate->reported) {
                code = RPC_DATA_LOSS;
                text = "the agent ended the call without a report";
        }
        operate->callbacks.on_end(code, text, operate->callbacks.userdata);
}

int agents_operate_start(agents *agents, const char *host, const struct operation_request *request,
                         const struct agents_operate *callbacks)
{
        struct agent *agent = reachable(agents, host);
        struct wire_arena arena = {0};
        Muster__V1__OperateRequest *message;
        struct operate *operate;
        int r = -ENOMEM;

        if (!agent)
                return -ENOTCONN;
        operate = calloc(1, sizeof(*operate));
        if (!operate)
                return -ENOMEM;
        operate->callbacks = *callbacks;
        TEXT_COPY(operate->id, request->id);
        message = wire_request(&arena, request);
        if (message && !arena.failed)
                r = rpc_call_start(NULL, agent->peer, &muster__v1__agent__descriptor, "Operate",
                                   &message->base, 0, on_operate_update, on_operate_end, operate);
        wire_arena_clear(&arena);
        if (r < 0)
                free(operate);
        return r;
}

struct look {
        struct agent *agent;
        agents_looked looked;
        void *userdata;
        bool answered;
};

static void on_look(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct look *look = userdata;

        look->answered = true;
        agents_take_state(look->agent, call, message);
}

static void on_look_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        cleanup_free struct look *look = userdata;

        if (code == RPC_OK && !look->answered)
                code = RPC_DATA_LOSS;
        look->looked(look->agent->index, code, look->userdata);
}

int agents_look(agents *agents, size_t host, uint64_t deadline_us, agents_looked looked, void *userdata)
{
        Muster__V1__DescribeRequest request = MUSTER__V1__DESCRIBE_REQUEST__INIT;
        struct agent *agent = &agents->list[host];
        struct look *look;
        int r;

        if (!agent->connected)
                return -ENOTCONN;
        look = calloc(1, sizeof(*look));
        if (!look)
                return -ENOMEM;
        *look = (struct look){agent, looked, userdata, false};
        r = rpc_call_start(NULL, agent->peer, &muster__v1__agent__descriptor, "Describe", &request.base,
                           deadline_us, on_look, on_look_end, look);
        if (r < 0)
                free(look);
        return r;
}

struct ledger_call {
        void (*on_end)(enum rpc_status code, const struct operation_report *reports, size_t count,
                       void *userdata);
        void *userdata;
        struct operation_report *reports;
        size_t count, most; /* most: how many were asked for */
        bool bad;
};

static void on_ledger(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__OperationsReply *reply = (const Muster__V1__OperationsReply *)message;
        struct ledger_call *asked = userdata;

        if (asked->reports || asked->bad)
                return;
        asked->bad = reply->n_operations > asked->most;
        if (asked->bad)
                return;
        asked->reports = calloc(reply->n_operations + 1, sizeof(*asked->reports));
        asked->bad = !asked->reports;
        for (size_t i = 0; !asked->bad && i < reply->n_operations; i++)
                asked->bad = wire_read_report(&asked->reports[asked->count++], reply->operations[i]) < 0;
}

static void on_ledger_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct ledger_call *asked = userdata;

        if (code == RPC_OK && (asked->bad || !asked->reports))
                code = RPC_DATA_LOSS;
        asked->on_end(code, code == RPC_OK ? asked->reports : NULL, code == RPC_OK ? asked->count : 0,
                      asked->userdata);
        free(asked->reports);
        free(asked);
}

int agents_ledger(agents *agents, const char *host, const char (*ids)[ID_SIZE], size_t count,
                  void (*on_end)(enum rpc_status code, const struct operation_report *reports, size_t count,
                                 void *userdata),
                  void *userdata)
{
        struct agent *agent = reachable(agents, host);
        Muster__V1__OperationsRequest request = MUSTER__V1__OPERATIONS_REQUEST__INIT;
        struct wire_arena arena = {0};
        struct ledger_call *asked;
        int r = -ENOMEM;

        if (!agent)
                return -ENOTCONN;
        asked = calloc(1, sizeof(*asked));
        if (!asked)
                return -ENOMEM;
        asked->on_end = on_end;
        asked->userdata = userdata;
        asked->most = count;
        request.operation_ids = wire_alloc(&arena, count * sizeof(*request.operation_ids));
        for (size_t i = 0; request.operation_ids && i < count; i++)
                request.operation_ids[request.n_operation_ids++] = wire_text(&arena, ids[i]);
        if (!arena.failed)
                r = rpc_call_start(NULL, agent->peer, &muster__v1__agent__descriptor, "Operations",
                                   &request.base, LEDGER_DEADLINE_US, on_ledger, on_ledger_end, asked);
        wire_arena_clear(&arena);
        if (r < 0)
                free(asked);
        return r;
}
