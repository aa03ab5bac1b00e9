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

#define LISTENERS_MOST     8u
#define LEDGER_DEADLINE_US (10 * USEC_PER_SEC)
/* How long a link may be up without saying how its host is. */
#define FIRST_STATE_US (60 * USEC_PER_SEC)

struct agent {
        agents *agents;
        const struct fleet_host *host;
        size_t index;
        rpc_peer *peer;
        sd_event_source *patience; /* owned; while the first state is awaited */
        bool connected;
        uint64_t last_seen_us;
        uint64_t came_us; /* when state came; monotonic */
        struct agent_state state;
        uint64_t state_us; /* realtime, when it came */
        bool seen;
};

struct agents {
        sd_event *event;
        const struct fleet *fleet;
        struct agent *list; /* one a host of the fleet, same order */
        struct agents_listener listeners[LISTENERS_MOST];
        size_t listener_count;
};

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
        };
}

int agents_find(const agents *agents, const char *host)
{
        return fleet_host_find(agents->fleet, host);
}

enum news { NEWS_UP, NEWS_DOWN, NEWS_CHANGED };

static void tell(const struct agent *agent, enum news news)
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

/* --- the stream of states --- */

/* Checked and complete, or nothing. */
static int read_state(struct agent_state *ret, const Muster__V1__AgentState *message)
{
        struct agent_state state = {0};
        int r;

        if (!message->host || message->n_services > FLEET_SERVICES_MAX)
                return -EBADMSG;
        state.services = calloc(message->n_services + 1, sizeof(*state.services));
        if (!state.services)
                return -ENOMEM;
        r = wire_read_host(&state.host, message->host);
        for (size_t i = 0; r == 0 && i < message->n_services; i++) {
                r = wire_read_service(&state.services[i], message->services[i]);
                if (r == 0)
                        state.service_count++;
        }
        if (r < 0) {
                agent_state_clear(&state);
                return r;
        }
        *ret = state;
        return 0;
}

static void take_state(struct agent *agent, rpc_call *call, const ProtobufCMessage *message)
{
        struct agent_state state;
        int r;

        if (rpc_call_peer(call) != agent->peer)
                return; /* a link that was replaced by a newer one */
        r = read_state(&state, (const Muster__V1__AgentState *)message);

        if (r < 0) {
                log_warning("host %s sent a state that cannot be read (%s); its link is closed",
                            agent->host->name, strerror(-r));
                rpc_peer_close(agent->peer, "unreadable state");
                return;
        }
        agent_state_clear(&agent->state);
        agent->state = state;
        agent->seen = true;
        agent->last_seen_us = agent->state_us = time_realtime_us();
        agent->came_us = time_monotonic_us();
        if (agent->connected) {
                tell(agent, NEWS_CHANGED);
                return;
        }
        agent->connected = true;
        agent->patience = sd_event_source_disable_unref(agent->patience);
        log_info("host %s is up, boot %s", agent->host->name, state.host.boot_id);
        tell(agent, NEWS_UP);
}

static void on_state(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        take_state(userdata, call, message);
}

static void on_watch_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct agent *agent = userdata;

        if (rpc_call_peer(call) != agent->peer || code == RPC_UNAVAILABLE)
                return; /* the link went down: agents_peer_down says so */
        if (code == RPC_UNIMPLEMENTED)
                return; /* it is only joining: its agent comes on a link of its own */
        log_warning("host %s stopped reporting: %s: %s; its link is closed", agent->host->name,
                    rpc_status_name(code), text);
        rpc_peer_close(agent->peer, "its reports ended");
}

static int watch(struct agent *agent)
{
        const struct fleet *fleet = agent->agents->fleet;
        Muster__V1__WatchRequest request = MUSTER__V1__WATCH_REQUEST__INIT;
        struct wire_arena arena = {0};
        int r = -ENOMEM;

        request.services = wire_alloc(&arena, fleet->service_count * sizeof(*request.services));
        for (size_t i = 0; request.services && i < fleet->service_count; i++)
                if (fleet->services[i].host == agent->index)
                        request.services[request.n_services++] = wire_spec(&arena, &fleet->services[i].spec);
        if (!arena.failed)
                r = rpc_call_start(NULL, agent->peer, &muster__v1__agent__descriptor, "Watch", &request.base,
                                   0, on_state, on_watch_end, agent);
        wire_arena_clear(&arena);
        return r;
}

static int on_impatience(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;

        agent->patience = sd_event_source_disable_unref(agent->patience);
        log_warning("host %s has not said how it is within a minute of connecting; its link is closed",
                    agent->host->name);
        if (agent->peer)
                rpc_peer_close(agent->peer, "no state came within a minute");
        return 0;
}

void agents_peer_up(agents *agents, rpc_peer *peer)
{
        int index = agents_find(agents, rpc_peer_name(peer));
        struct agent *agent;
        int r;

        if (index < 0) {
                log_warning("host %s is not in the fleet file; its link is closed", rpc_peer_name(peer));
                rpc_peer_close(peer, "not in the fleet file");
                return;
        }
        agent = &agents->list[index];
        if (agent->peer) {
                /* The newer link wins: after a power cut the old one is still waiting for its heartbeat. */
                rpc_peer *old = agent->peer;

                agents_peer_down(agents, old);
                rpc_peer_close(old, "the host connected again");
        }
        agent->peer = peer;
        rpc_peer_set_data(peer, agent);
        r = sd_event_add_time_relative(agents->event, &agent->patience, CLOCK_BOOTTIME, FIRST_STATE_US,
                                       USEC_PER_SEC, on_impatience, agent);
        if (r >= 0)
                r = watch(agent);
        if (r < 0) {
                log_warning("host %s cannot be watched: %s", agent->host->name, strerror(-r));
                rpc_peer_close(peer, "cannot be watched");
        }
}

void agents_peer_down(agents *agents, rpc_peer *peer)
{
        struct agent *agent = rpc_peer_data(peer);
        bool was_connected;

        if (!agent || agent->peer != peer)
                return;
        was_connected = agent->connected;
        if (was_connected)
                agent->last_seen_us = time_realtime_us();
        agent->peer = NULL;
        agent->patience = sd_event_source_disable_unref(agent->patience);
        agent->connected = false;
        if (was_connected) {
                log_info("host %s is down", agent->host->name);
                tell(agent, NEWS_DOWN);
        }
}

void agents_close(agents *agents, const char *host, const char *reason)
{
        int index = agents_find(agents, host);

        if (index >= 0 && agents->list[index].peer)
                rpc_peer_close(agents->list[index].peer, reason);
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
        take_state(look->agent, call, message);
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
