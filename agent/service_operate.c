/* Operate and Operations: doing, and what was done. See service.h. */
#include <errno.h>
#include <stdlib.h>

#include "agent/service.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/rpc/wire.h"

/* One caller that follows one operation. */
struct operate_call {
        struct agent_service *service;
        rpc_call *call;
        char name[NAME_SIZE]; /* of the service that it is done to; "" */
};

static void send_report(rpc_call *call, const struct operation_report *report)
{
        Muster__V1__OperateUpdate update = MUSTER__V1__OPERATE_UPDATE__INIT;
        struct wire_arena arena = {0};
        int r = -ENOMEM;

        update.text = (char *)report->text;
        update.report = wire_report(&arena, report);
        if (update.report && !arena.failed)
                r = rpc_call_send(call, &update.base);
        wire_arena_clear(&arena);
        if (r < 0)
                rpc_call_end(call, RPC_UNAVAILABLE,
                             "operation %s ended, its report could not be sent; ask again", report->id);
        else
                rpc_call_end(call, RPC_OK, "%s", "");
}

static void on_progress(uint64_t done, uint64_t total, const char *text, void *userdata)
{
        struct operate_call *follower = userdata;
        Muster__V1__OperateUpdate update = MUSTER__V1__OPERATE_UPDATE__INIT;

        if (!rpc_call_writable(follower->call))
                return; /* stale by the time it could be read */
        update.done = done;
        update.total = total;
        update.text = (char *)text;
        (void)rpc_call_send(follower->call, &update.base);
}

static void on_report(const struct operation_report *report, void *userdata)
{
        struct operate_call *follower = userdata;

        send_report(follower->call, report);
        /* What comes next may depend on how things are after it. */
        probe_set_look_at_service(follower->service->probes, follower->name);
        free(follower);
}

/* The operation goes on without its follower. */
static void on_cancelled(rpc_call *call, void *userdata)
{
        struct operate_call *follower = userdata;

        operations_unwatch(follower->service->operations, follower);
        free(follower);
}

static enum rpc_status refusal_status(int r)
{
        switch (r) {
        case -EINVAL:
                return RPC_INVALID_ARGUMENT;
        case -ESTALE:
                return RPC_FAILED_PRECONDITION;
        case -EBUSY:
                return RPC_ABORTED;
        case -ENOTSUP:
                return RPC_UNIMPLEMENTED;
        default:
                return RPC_RESOURCE_EXHAUSTED;
        }
}

void service_operate(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        struct agent_service *service = userdata;
        const struct operation_report *report = NULL;
        struct operation_request operation;
        struct operate_call *follower;
        struct error error = {0};
        int r;

        if (wire_read_request(&operation, (const Muster__V1__OperateRequest *)request) < 0) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "the operation asked for is not sound");
                return;
        }
        if (probe_set_state(service->probes)->host.stopping && !ledger_find(service->ledger, operation.id)) {
                rpc_call_end(call, RPC_UNAVAILABLE, "the host is shutting down; nothing new is begun");
                return;
        }
        follower = calloc(1, sizeof(*follower));
        if (!follower) {
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        *follower = (struct operate_call){.service = service, .call = call};
        TEXT_COPY(follower->name, operation.service.name);
        rpc_call_watch(call, on_cancelled, NULL, follower);
        r = operations_submit(service->operations, &operation,
                              &(struct operations_watcher){
                                      .progress = on_progress, .report = on_report, .userdata = follower},
                              &report, &error);
        if (r == 0)
                return;
        free(follower);
        rpc_call_watch(call, NULL, NULL, NULL);
        if (r > 0)
                send_report(call, report);
        else
                rpc_call_end(call, refusal_status(r), "%s", error_text(&error, r));
}

/* Adds what the ledger has of one id, if anything. Negative: that cannot be told. */
static int add_accounted(struct agent_service *service, const char *id, struct wire_arena *arena,
                         Muster__V1__OperationsReply *reply, struct error *error)
{
        const struct operation_report *entry;
        int r = ledger_account(service->ledger, id, &entry, error);

        if (r == 0 && entry)
                reply->operations[reply->n_operations++] = wire_report(arena, entry);
        return r;
}

/* What is no operation is left out: whoever asked would take the whole reply for unsound. */
static void add_entry(const struct operation_report *entry, struct wire_arena *arena,
                      Muster__V1__OperationsReply *reply)
{
        if (!ledger_is_damage(entry))
                reply->operations[reply->n_operations++] = wire_report(arena, entry);
}

void service_operations(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__OperationsRequest *wanted = (const Muster__V1__OperationsRequest *)request;
        struct agent_service *service = userdata;
        Muster__V1__OperationsReply reply = MUSTER__V1__OPERATIONS_REPLY__INIT;
        size_t count = wanted->n_operation_ids ? wanted->n_operation_ids : ledger_count(service->ledger);
        struct wire_arena arena = {0};
        struct error error = {0};
        int r = 0;

        reply.operations = wire_alloc(&arena, count * sizeof(*reply.operations));
        for (size_t i = 0; reply.operations && i < count && r == 0; i++) {
                if (wanted->n_operation_ids)
                        r = add_accounted(service, wanted->operation_ids[i], &arena, &reply, &error);
                else
                        add_entry(ledger_entry(service->ledger, i), &arena, &reply);
        }
        if (r < 0)
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "%s", error_text(&error, r));
        else if (arena.failed)
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
        else
                rpc_call_reply(call, &reply.base);
        wire_arena_clear(&arena);
}
