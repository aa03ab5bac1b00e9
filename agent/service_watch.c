/* Describe and Watch: what stands on this host. Describe looks anew and answers with what it saw; Watch goes
 * on telling. See service.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/service.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/rpc/wire.h"

#define SERVICES_MOST 512u

#define DESCRIBES_MOST 64u

struct watch_call {
        struct agent_service *service;
        rpc_call *call;
        bool stale;        /* something changed while the reader was slow */
        bool once;         /* a Describe: ends with its first state */
        uint64_t since_us; /* monotonic: its first state is all read after it came; 0: it has had that */
        struct watch_call *next;
};

static Muster__V1__AgentState *write_state(struct wire_arena *arena, const struct agent_state *state)
{
        Muster__V1__AgentState *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__agent_state__init(message);
        message->host = wire_host(arena, &state->host);
        message->services = wire_alloc(arena, state->service_count * sizeof(*message->services));
        for (size_t i = 0; message->services && i < state->service_count; i++)
                message->services[message->n_services++] = wire_service(arena, &state->services[i]);
        return message;
}

/* 0, or why the state could not be sent. */
static int send_state(struct agent_service *service, rpc_call *call)
{
        struct wire_arena arena = {0};
        Muster__V1__AgentState *message = write_state(&arena, probe_set_state(service->probes));
        int r = message && !arena.failed ? rpc_call_send(call, &message->base) : -ENOMEM;

        wire_arena_clear(&arena);
        return r;
}

static void forget(struct watch_call *watch)
{
        for (struct watch_call **at = &watch->service->watches; *at; at = &(*at)->next)
                if (*at == watch) {
                        *at = watch->next;
                        break;
                }
        free(watch);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        forget(userdata);
}

/* A slow reader gets the newest state when it reads again, not all that it missed. */
static void offer(struct watch_call *watch)
{
        watch->stale = !rpc_call_writable(watch->call) || send_state(watch->service, watch->call) < 0;
}

static void on_writable(rpc_call *call, void *userdata)
{
        struct watch_call *watch = userdata;

        if (watch->stale && !watch->once)
                offer(watch);
}

static void answer_once(struct watch_call *watch)
{
        rpc_call *call = watch->call;
        int r = send_state(watch->service, call);

        forget(watch);
        if (r < 0)
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "the state of this host cannot be sent: %s",
                             strerror(-r));
        else
                rpc_call_end(call, RPC_OK, "%s", "");
}

void agent_service_changed(struct agent_service *service)
{
        uint64_t seen_us = probe_set_seen_us(service->probes);

        for (struct watch_call *watch = service->watches, *next; watch; watch = next) {
                next = watch->next;
                if (seen_us < watch->since_us)
                        continue;
                watch->since_us = 0;
                if (watch->once)
                        answer_once(watch);
                else
                        offer(watch);
        }
}

/* 0 or -ENOMEM: the call is told when everything has been read anew. */
static int add(struct agent_service *service, rpc_call *call, bool once)
{
        struct watch_call *watch = calloc(1, sizeof(*watch));

        if (!watch)
                return -ENOMEM;
        *watch = (struct watch_call){
                .service = service,
                .call = call,
                .once = once,
                .since_us = time_monotonic_us(),
                .next = service->watches,
        };
        service->watches = watch;
        rpc_call_watch(call, on_cancelled, on_writable, watch);
        probe_set_refresh(service->probes);
        return 0;
}

void service_describe(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        struct agent_service *service = userdata;
        size_t count = 0;

        for (const struct watch_call *watch = service->watches; watch; watch = watch->next)
                count += watch->once;
        if (count >= DESCRIBES_MOST || add(service, call, true) < 0)
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "too many ask for the state of this host at once");
}

static int read_specs(struct service_spec **ret, const Muster__V1__WatchRequest *request)
{
        cleanup_free struct service_spec *specs = NULL;

        if (request->n_services > SERVICES_MOST)
                return -E2BIG;
        specs = calloc(request->n_services + 1, sizeof(*specs));
        if (!specs)
                return -ENOMEM;
        for (size_t i = 0; i < request->n_services; i++)
                if (wire_read_spec(&specs[i], request->services[i]) < 0)
                        return -EBADMSG;
        *ret = TAKE(specs);
        return 0;
}

void service_watch(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__WatchRequest *wanted = (const Muster__V1__WatchRequest *)request;
        struct agent_service *service = userdata;
        cleanup_free struct service_spec *specs = NULL;
        int r = read_specs(&specs, wanted);

        if (r == 0)
                r = probe_set_configure(service->probes, specs, wanted->n_services);
        if (r < 0) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "the services to watch are not sound");
                return;
        }
        /* The first state comes when every service was read once: a half-known one says nothing. */
        if (add(service, call, false) < 0)
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
}
