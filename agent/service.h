/* The Agent service (proto/agent.proto): one file a group of methods, one table of them all in service.c. */
#pragma once

#include "agent/operations.h"
#include "agent/probe/probe.h"
#include "common/rpc/rpc.h"

/* What the handlers work with; userdata of the node. Borrowed, but for the lists of open calls. */
struct agent_service {
        sd_event *event;
        probe_set *probes;
        operations *operations;
        ledger *ledger;
        struct watch_call *watches;
        struct exec_call *execs;
        size_t exec_count;
        const char *folder; /* the agent's state folder */
        struct pm2_call *pm2_calls;
};

const struct rpc_method *agent_service_methods(size_t *ret_count);

/* From the probes: states are sent to whoever watches. */
void agent_service_changed(struct agent_service *service);
/* Before the node is freed: ends what the calls began outside of it. */
void agent_service_stop(struct agent_service *service);

/* --- the handlers, one a method ----------------------------------------------------------------------- */
void service_describe(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void service_watch(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void service_operate(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void service_operations(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void service_exec(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void service_pm2_look(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void service_pm2_snapshots(rpc_call *call, const ProtobufCMessage *request, void *userdata);

/* service_pm2.c's part of agent_service_stop. */
void service_pm2_stop(struct agent_service *service);
