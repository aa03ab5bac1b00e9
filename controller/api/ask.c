/* A question to many agents: one call each, all at once; see handlers.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "controller/api/handlers.h"

struct asked {
        struct api_ask *ask;
        const struct fleet_service *service; /* borrowed from the fleet */
        rpc_call *call;                      /* NULL: not begun, or ended */
        bool answered;
};

struct api_ask {
        struct api_asking asking;
        size_t count, open; /* services; those that have not been answered */
        bool starting;
        struct asked services[];
};

struct api_ask *api_ask_free(struct api_ask *ask)
{
        if (!ask)
                return NULL;
        for (size_t i = 0; i < ask->count; i++)
                if (ask->services[i].call)
                        rpc_call_cancel(ask->services[i].call);
        free(ask);
        return NULL;
}

static void answer(struct asked *asked, const ProtobufCMessage *reply, enum rpc_status code, const char *text)
{
        if (asked->answered)
                return;
        asked->answered = true;
        asked->ask->open--;
        asked->ask->asking.answer(asked->service, reply, code, text, asked->ask->asking.userdata);
}

static void finish_if_done(struct api_ask *ask)
{
        struct api_asking asking = ask->asking;

        if (ask->open > 0 || ask->starting)
                return;
        api_ask_free(ask);
        asking.done(asking.userdata);
}

static void on_message(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        answer(userdata, message, RPC_OK, "");
}

static void on_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct asked *asked = userdata;

        asked->call = NULL;
        if (code == RPC_OK)
                code = RPC_DATA_LOSS; /* without a message; if there was one, this is not told */
        answer(asked, NULL, code, text[0] ? text : rpc_status_name(code));
        finish_if_done(asked->ask);
}

static void put(const struct api_context *context, struct asked *asked)
{
        const struct api_asking *asking = &asked->ask->asking;
        const char *host = context->fleet->hosts[asked->service->host].name;
        struct wire_arena arena = {0};
        const ProtobufCMessage *question;
        struct agent_view view;
        char text[NAME_SIZE + 32];
        int r = -ENOMEM;

        agents_view(context->agents, asked->service->host, &view);
        if (!view.connected) {
                snprintf(text, sizeof(text), "host %s is not connected", host);
                answer(asked, NULL, RPC_UNAVAILABLE, text);
                return;
        }
        question = asking->question(&arena, asked->service, asking->userdata);
        if (question && !arena.failed)
                r = rpc_call_start(&asked->call, view.peer, &muster__v1__agent__descriptor, asking->method,
                                   question, asking->deadline_us, on_message, on_end, asked);
        wire_arena_clear(&arena);
        if (r < 0) {
                asked->call = NULL;
                answer(asked, NULL, r == -ENOTCONN ? RPC_UNAVAILABLE : RPC_RESOURCE_EXHAUSTED, strerror(-r));
        }
}

int api_ask(struct api_ask **ret, const struct api_context *context, const struct scope *scope,
            enum service_kind kind, const struct api_asking *asking)
{
        const struct fleet *fleet = context->fleet;
        struct api_ask *ask = calloc(1, sizeof(*ask) + fleet->service_count * sizeof(ask->services[0]));

        if (!ask)
                return -ENOMEM;
        ask->asking = *asking;
        ask->starting = true;
        for (size_t i = 0; i < fleet->service_count; i++)
                if (scope->services[i] && fleet->services[i].spec.kind == kind)
                        ask->services[ask->count++] =
                                (struct asked){.ask = ask, .service = &fleet->services[i]};
        ask->open = ask->count;
        *ret = ask;
        for (size_t i = 0; i < ask->count; i++)
                put(context, &ask->services[i]);
        ask->starting = false;
        if (ask->open == 0)
                *ret = NULL;
        finish_if_done(ask);
        return 0;
}
