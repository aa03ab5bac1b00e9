/* Status and Watch: what stands where, once or whenever it changes.
 *
 * A watcher is told of changes at most four times a second, and not at all while it is slow: it then gets the
 * newest state as soon as it reads again, never a queue of old ones. */
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/handlers.h"

#define WATCHERS_MOST 64u
#define PAUSE_US      (250 * USEC_PER_MSEC)

struct watcher {
        struct api_watchers *all;
        struct watcher *next;
        rpc_call *call;
        struct scope scope; /* owned */
        bool stale;         /* something changed since it was told */
};

struct api_watchers {
        struct api_context *context;
        struct agents_listener listener;
        struct watcher *list;
        size_t count;
        struct api_listener *listeners; /* others who want to be told */
        sd_event_source *timer;         /* armed while somebody is stale and may be told */
        bool armed;
        uint64_t told_us; /* monotonic */
};

/* --- building a status --- */

static Muster__V1__ServiceState *service_message(struct wire_arena *arena,
                                                 const struct fleet_service *service,
                                                 const struct agent_state *state)
{
        const struct service_state *known = state ? agent_state_service(state, service->spec.name) : NULL;
        Muster__V1__ServiceState *message;

        if (known)
                return wire_service(arena, known);
        message = wire_alloc(arena, sizeof(*message));
        if (!message)
                return NULL;
        muster__v1__service_state__init(message);
        message->name = wire_text(arena, service->spec.name);
        message->kind = (Muster__V1__ServiceKind)service->spec.kind;
        message->detail = wire_text(arena, "not reported yet");
        return message;
}

static int add_services(const struct api_context *context, struct wire_arena *arena,
                        const struct scope *scope, size_t host, const struct agent_state *state,
                        Muster__V1__HostStatus *message)
{
        const struct fleet *fleet = context->fleet;
        size_t count = 0;

        for (size_t i = 0; i < fleet->service_count; i++)
                count += fleet->services[i].host == host && scope->services[i];
        message->services = wire_alloc(arena, (count + 1) * sizeof(*message->services));
        if (!message->services)
                return -ENOMEM;
        for (size_t i = 0; i < fleet->service_count; i++) {
                if (fleet->services[i].host != host || !scope->services[i])
                        continue;
                message->services[message->n_services] = service_message(arena, &fleet->services[i], state);
                if (!message->services[message->n_services])
                        return -ENOMEM;
                message->n_services++;
        }
        return 0;
}

/* What is left of the loads that go on there. */
static int add_loads(const struct api_context *context, struct wire_arena *arena, const struct scope *scope,
                     size_t host, Muster__V1__HostStatus *message)
{
        const struct fleet *fleet = context->fleet;
        uint64_t now_us = time_monotonic_us();

        message->loads = wire_alloc(arena, (message->n_services + 1) * sizeof(*message->loads));
        if (!message->loads)
                return -ENOMEM;
        for (size_t i = 0; i < fleet->service_count; i++) {
                Muster__V1__LoadForecast *load;
                struct load_view view;

                if (fleet->services[i].host != host || !scope->services[i] ||
                    !loads_view(context->loads, i, now_us, &view))
                        continue;
                load = wire_alloc(arena, sizeof(*load));
                if (!load)
                        return -ENOMEM;
                muster__v1__load_forecast__init(load);
                load->service = wire_text(arena, fleet->services[i].spec.name);
                load->file = wire_text(arena, view.is_base ? "base" : "incremental");
                load->bytes_per_s = (uint64_t)view.bytes_per_s;
                load->estimated = view.estimated;
                load->left_low_ms = view.low_us / USEC_PER_MSEC;
                load->left_high_ms = view.high_us / USEC_PER_MSEC;
                load->learned_loads = view.learned_from;
                message->loads[message->n_loads++] = load;
        }
        return 0;
}

static int add_groups(struct wire_arena *arena, const struct fleet_host *host,
                      Muster__V1__HostStatus *message)
{
        message->groups = wire_alloc(arena, (host->group_count + 1) * sizeof(*message->groups));
        if (!message->groups)
                return -ENOMEM;
        for (size_t i = 0; i < host->group_count; i++)
                message->groups[message->n_groups++] = wire_text(arena, host->groups[i]);
        return 0;
}

/* NULL if memory or the store failed. */
static Muster__V1__HostStatus *host_message(const struct api_context *context, struct wire_arena *arena,
                                            const struct scope *scope, size_t index)
{
        Muster__V1__HostStatus *message = wire_alloc(arena, sizeof(*message));
        char holder[NAME_SIZE] = "";
        struct agent_view view;
        struct store_key key;
        int r;

        if (!message)
                return NULL;
        muster__v1__host_status__init(message);
        agents_view(context->agents, index, &view);
        message->name = wire_text(arena, view.name);
        message->connected = view.connected;
        message->last_seen_us = view.last_seen_us;
        r = store_key_named(context->store, RPC_AGENT, view.name, &key);
        if (r < 0 && r != -ENOENT)
                return NULL;
        message->joined = r == 0;
        r = store_lock_holder(context->store, view.name, holder);
        if (r < 0 && r != -ENOENT)
                return NULL;
        message->held_by = wire_text(arena, holder);
        message->another = wire_text(arena, view.another);
        if (view.state)
                message->host = wire_host(arena, &view.state->host);
        if (add_groups(arena, &context->fleet->hosts[index], message) < 0 ||
            add_services(context, arena, scope, index, view.state, message) < 0 ||
            (view.connected && add_loads(context, arena, scope, index, message) < 0))
                return NULL;
        return message;
}

/* NULL if memory or the store failed. */
static Muster__V1__StatusReply *status_message(const struct api_context *context, struct wire_arena *arena,
                                               const struct scope *scope)
{
        Muster__V1__StatusReply *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__status_reply__init(message);
        message->fleet = wire_text(arena, context->fleet->name);
        message->clock_us = time_realtime_us();
        message->hosts = wire_alloc(arena, (context->fleet->host_count + 1) * sizeof(*message->hosts));
        for (size_t i = 0; message->hosts && i < context->fleet->host_count; i++) {
                if (!scope->hosts[i])
                        continue;
                message->hosts[message->n_hosts] = host_message(context, arena, scope, i);
                if (!message->hosts[message->n_hosts])
                        return NULL;
                message->n_hosts++;
        }
        return message->hosts ? message : NULL;
}

void api_status(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__StatusRequest *wanted = (const Muster__V1__StatusRequest *)request;
        const struct api_context *context = userdata;
        cleanup_scope struct scope scope = {0};
        struct wire_arena arena = {0};
        Muster__V1__StatusReply *message;

        if (!api_scope(context, call, wanted->scope, &scope))
                return;
        message = status_message(context, &arena, &scope);
        api_reply(call, &arena, message ? &message->base : NULL);
}

/* --- watching --- */

static void forget(struct watcher *watcher)
{
        for (struct watcher **at = &watcher->all->list; *at; at = &(*at)->next)
                if (*at == watcher) {
                        *at = watcher->next;
                        watcher->all->count--;
                        break;
                }
        scope_clear(&watcher->scope);
        free(watcher);
}

/* Tells one watcher how things stand. A watcher that cannot be told any more is forgotten. */
static void tell(struct watcher *watcher)
{
        rpc_call *call = watcher->call;
        struct wire_arena arena = {0};
        const Muster__V1__StatusReply *message =
                status_message(watcher->all->context, &arena, &watcher->scope);
        int r = message && !arena.failed ? rpc_call_send(call, &message->base) : -ENOMEM;

        wire_arena_clear(&arena);
        watcher->stale = false;
        if (r == 0)
                return;
        forget(watcher);
        api_fail(call, "the status cannot be sent", r);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct api_watchers *all = userdata;

        all->armed = false;
        all->told_us = time_monotonic_us();
        for (struct watcher *watcher = all->list, *next; watcher; watcher = next) {
                next = watcher->next;
                if (watcher->stale && rpc_call_writable(watcher->call))
                        tell(watcher);
        }
        return 0;
}

static void arm(struct api_watchers *all)
{
        uint64_t now = time_monotonic_us(), due = all->told_us + PAUSE_US;

        if (all->armed)
                return;
        if (sd_event_source_set_time(all->timer, due > now ? due : now) >= 0 &&
            sd_event_source_set_enabled(all->timer, SD_EVENT_ONESHOT) >= 0)
                all->armed = true;
}

static void on_news(const struct agent_view *agent, void *userdata)
{
        struct api_watchers *all = userdata;
        int host = agents_find(all->context->agents, agent->name);
        bool anybody = false;

        if (host < 0)
                return;
        for (struct api_listener *listener = all->listeners, *next; listener; listener = next) {
                next = listener->next;
                listener->news((size_t)host, listener->userdata);
        }
        for (struct watcher *watcher = all->list; watcher; watcher = watcher->next)
                if (watcher->scope.hosts[host])
                        anybody = watcher->stale = true;
        if (anybody)
                arm(all);
}

void api_listen(const struct api_context *context, struct api_listener *listener)
{
        listener->next = context->watchers->listeners;
        context->watchers->listeners = listener;
}

void api_unlisten(const struct api_context *context, struct api_listener *listener)
{
        for (struct api_listener **at = &context->watchers->listeners; *at; at = &(*at)->next)
                if (*at == listener) {
                        *at = listener->next;
                        return;
                }
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        forget(userdata);
}

static void on_writable(rpc_call *call, void *userdata)
{
        struct watcher *watcher = userdata;

        if (watcher->stale)
                arm(watcher->all);
}

void api_watch(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__StatusRequest *wanted = (const Muster__V1__StatusRequest *)request;
        const struct api_context *context = userdata;
        struct api_watchers *all = context->watchers;
        struct watcher *watcher;

        if (all->count == WATCHERS_MOST) {
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "%u others watch already; end one of them",
                             WATCHERS_MOST);
                return;
        }
        watcher = calloc(1, sizeof(*watcher));
        if (!watcher) {
                api_fail(call, "the fleet cannot be watched", -ENOMEM);
                return;
        }
        if (!api_scope(context, call, wanted->scope, &watcher->scope)) {
                free(watcher);
                return;
        }
        watcher->all = all;
        watcher->call = call;
        watcher->next = all->list;
        all->list = watcher;
        all->count++;
        rpc_call_watch(call, on_cancelled, on_writable, watcher);
        tell(watcher);
}

int api_start(struct api_context *context)
{
        cleanup_free struct api_watchers *all = calloc(1, sizeof(*all));
        int r;

        if (!all)
                return -ENOMEM;
        all->context = context;
        r = sd_event_add_time(context->event, &all->timer, CLOCK_BOOTTIME, UINT64_MAX, 0, on_timer, all);
        if (r >= 0)
                r = sd_event_source_set_enabled(all->timer, SD_EVENT_OFF);
        all->listener =
                (struct agents_listener){.up = on_news, .down = on_news, .changed = on_news, .userdata = all};
        if (r >= 0)
                r = agents_listen(context->agents, &all->listener);
        if (r < 0) {
                sd_event_source_disable_unref(all->timer);
                return r;
        }
        context->watchers = TAKE(all);
        return api_releases_new(&context->releases, context);
}

void api_stop(struct api_context *context)
{
        struct api_watchers *all = context->watchers;

        if (!all)
                return;
        context->releases = api_releases_free(context->releases);
        while (all->list)
                forget(all->list);
        sd_event_source_disable_unref(all->timer);
        free(all);
        context->watchers = NULL;
}
