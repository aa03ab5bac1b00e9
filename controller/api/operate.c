/* Operations on services by hand (batch.h), told as they go: what PM2's and Redis's commands share. When the
 * caller leaves, what was begun goes on at its host. */
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/api/batch.h"
#include "controller/api/handlers.h"

struct operating {
        rpc_call *call;
        struct batch_work *works; /* owned */
        struct api_operating how; /* its userdata is owned */
        struct batch *batch;      /* NULL once all have ended */
        int failed;               /* negative errno: an end could not be told */
};

static void operating_free(struct operating *operating)
{
        batch_leave(operating->batch);
        free(operating->works);
        free(operating->how.userdata);
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
        if (operating->how.note && end->report)
                operating->how.note(work, end->report, &message, operating->how.userdata);
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
                rpc_call_end(operating->call, RPC_RESOURCE_EXHAUSTED,
                             "it was done, but how it ended could not be told; %s shows what is",
                             operating->how.look);
        else
                rpc_call_end(operating->call, RPC_OK, "%s", "");
        operating_free(operating);
}

void api_operate(struct api_context *context, rpc_call *call, struct batch_work *works, size_t count,
                 const struct api_operating *how)
{
        struct operating *operating = calloc(1, sizeof(*operating));
        struct batch_events events = {on_progress, on_ended, on_done, operating};
        int r = -ENOMEM;

        if (operating) {
                *operating = (struct operating){.call = call, .works = works, .how = *how};
                r = batch_start(&operating->batch, context, rpc_peer_name(rpc_call_peer(call)), how->action,
                                works, count, &events);
        }
        if (r == 0) {
                rpc_call_watch(call, on_cancelled, NULL, operating);
                return;
        }
        if (operating) {
                operating_free(operating);
        } else {
                free(works);
                free(how->userdata);
        }
        api_fail(call, "nothing can be begun", r);
}

size_t api_works(const struct api_context *context, const struct scope *scope, enum operation_kind kind,
                 const char *why, struct batch_work **ret)
{
        const struct operation_type *type = operation_type(kind);
        const struct fleet *fleet = context->fleet;
        struct batch_work *works = calloc(fleet->service_count + 1, sizeof(*works));
        size_t count = 0;

        *ret = works;
        for (size_t i = 0; works && i < fleet->service_count; i++) {
                const struct fleet_service *service = &fleet->services[i];
                struct batch_work *work = &works[count];

                if (!scope->services[i] || !(type->service_kinds & (1u << service->spec.kind)))
                        continue;
                count++;
                *work = (struct batch_work){
                        .kind = kind, .spec = service->spec, .settle_us = service->hold_us};
                TEXT_COPY(work->host, fleet->hosts[service->host].name);
                TEXT_COPY(work->service, service->spec.name);
                text_copy_cut(work->why, sizeof(work->why), why);
        }
        return count;
}
