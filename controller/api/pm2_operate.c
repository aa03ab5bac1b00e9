/* Pm2Save and Pm2Restore: operations on PM2 homes by hand (batch.h), told as they go. When the caller leaves,
 * what was begun goes on at its host. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/api/batch.h"
#include "controller/api/handlers.h"

struct operating {
        rpc_call *call;
        struct batch_work *works; /* owned */
        size_t count;
        struct batch *batch; /* NULL once all have ended */
        int failed;          /* negative errno: an end could not be told */
};

static void operating_free(struct operating *operating)
{
        batch_leave(operating->batch);
        free(operating->works);
        free(operating);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        operating_free(userdata);
}

static void fill(struct wire_arena *arena, const struct batch_work *work, const char *text,
                 Muster__V1__FleetOperation *message)
{
        message->host = wire_text(arena, work->host);
        message->service = wire_text(arena, work->service);
        message->snapshot = wire_text(arena, work->snapshot);
        message->text = wire_text(arena, text);
}

/* Progress is of the moment: a slow reader gets none. */
static void on_progress(size_t work, uint64_t done, uint64_t total, const char *text, void *userdata)
{
        Muster__V1__FleetOperation message = MUSTER__V1__FLEET_OPERATION__INIT;
        struct operating *operating = userdata;
        struct wire_arena arena = {0};

        if (!rpc_call_writable(operating->call))
                return;
        fill(&arena, &operating->works[work], text, &message);
        message.done = done;
        message.total = total;
        if (!arena.failed)
                (void)rpc_call_send(operating->call, &message.base);
        wire_arena_clear(&arena);
}

static void on_ended(size_t work, const struct batch_end *end, void *userdata)
{
        Muster__V1__FleetOperation message = MUSTER__V1__FLEET_OPERATION__INIT;
        struct operating *operating = userdata;
        struct wire_arena arena = {0};
        int r;

        fill(&arena, &operating->works[work], end->text, &message);
        message.report = end->report ? wire_report(&arena, end->report) : NULL;
        message.failure = end->code;
        r = arena.failed ? -ENOMEM : rpc_call_send(operating->call, &message.base);
        if (r < 0)
                operating->failed = r;
        wire_arena_clear(&arena);
}

static void on_done(void *userdata)
{
        struct operating *operating = userdata;

        operating->batch = NULL;
        if (operating->failed < 0)
                rpc_call_end(
                        operating->call, RPC_RESOURCE_EXHAUSTED,
                        "it was done, but how it ended could not be told; muster pm2 diff shows what is");
        else
                rpc_call_end(operating->call, RPC_OK, "%s", "");
        operating_free(operating);
}

/* One work a service of kind pm2 in scope; snapshot is its name on each. */
static struct operating *list_works(const struct api_context *context, const struct scope *scope,
                                    enum operation_kind kind, const char *snapshot)
{
        const struct fleet *fleet = context->fleet;
        struct operating *operating = calloc(1, sizeof(*operating));

        if (!operating)
                return NULL;
        operating->works = calloc(fleet->service_count + 1, sizeof(*operating->works));
        if (!operating->works) {
                free(operating);
                return NULL;
        }
        for (size_t i = 0; i < fleet->service_count; i++) {
                const struct fleet_service *service = &fleet->services[i];
                struct batch_work *work = &operating->works[operating->count];

                if (!scope->services[i] || service->spec.kind != SERVICE_PM2)
                        continue;
                operating->count++;
                *work = (struct batch_work){.kind = kind, .spec = service->spec};
                TEXT_COPY(work->host, fleet->hosts[service->host].name);
                TEXT_COPY(work->service, service->spec.name);
                TEXT_COPY(work->snapshot, snapshot);
                snprintf(work->why, sizeof(work->why), "snapshot %s", snapshot);
        }
        return operating;
}

static void operate(struct api_context *context, rpc_call *call, struct operating *operating,
                    const char *action)
{
        struct batch_events events = {on_progress, on_ended, on_done, operating};
        int r = -ENOMEM;

        if (operating) {
                operating->call = call;
                r = batch_start(&operating->batch, context, rpc_peer_name(rpc_call_peer(call)), action,
                                operating->works, operating->count, &events);
        }
        if (r == 0) {
                rpc_call_watch(call, on_cancelled, NULL, operating);
                return;
        }
        if (operating)
                operating_free(operating);
        api_fail(call, "nothing can be begun", r);
}

void api_pm2_save(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__FleetPm2SaveRequest *wanted = (const Muster__V1__FleetPm2SaveRequest *)request;
        struct api_context *context = userdata;
        cleanup_scope struct scope scope = {0};
        char name[NAME_SIZE];

        if (!api_pm2_scope(context, call, wanted->scope, &scope))
                return;
        runner_make_id('s', name);
        operate(context, call, list_works(context, &scope, OPERATION_PM2_SAVE, name), "pm2 save");
}

void api_pm2_restore(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__FleetPm2RestoreRequest *wanted =
                (const Muster__V1__FleetPm2RestoreRequest *)request;
        struct api_context *context = userdata;
        cleanup_scope struct scope scope = {0};
        struct operating *operating;

        if (!text_is_name(wanted->snapshot)) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "'%s' is no snapshot's name (muster pm2 ls)",
                             wanted->snapshot);
                return;
        }
        if (!api_pm2_scope(context, call, wanted->service, &scope))
                return;
        operating = list_works(context, &scope, OPERATION_PM2_RESTORE, wanted->snapshot);
        if (operating && operating->count != 1) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "one service is restored at a time; %s holds %zu of kind pm2",
                             api_scope_name(wanted->service), operating->count);
                operating_free(operating);
                return;
        }
        operate(context, call, operating, "pm2 restore");
}
