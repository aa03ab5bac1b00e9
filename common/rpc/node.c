/* A node, and the end of each turn: whoever closed is ended, the commit hook runs once, then every link that
 * has something to send sends it and reads again.
 *
 * A turn is a batch of nng's events (wake) or one dispatch of any other source of the loop (the post source).
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/rpc/internal.h"

#define SETTLE_ROUNDS 16u

static const struct rpc_limits limits_usual = {
        .pending = 64,
        .pending_address = 8,
        .pending_known = 32,
        .pending_own = 64,
        .handshake_us = 5 * USEC_PER_SEC,
        .silent_us = 50 * USEC_PER_MSEC,
        .known_us = 1 * USEC_PER_SEC,
        .ping_us = 5 * USEC_PER_SEC,
        .dead_us = 15 * USEC_PER_SEC,
        .rekey_us = 3600 * USEC_PER_SEC,
        .rekey_messages = 1ull << 32,
        .window = 256u << 10,
        .queued_call = RPC_MESSAGE_MAX,
        .buffered = 16u << 20,
        .out_soft = 256u << 10,
        .out_hard = 2u << 20,
        .streams = 1024,
        .streams_large = 4096,
        .backoff_low_us = 100 * USEC_PER_MSEC,
        .backoff_high_us = 30 * USEC_PER_SEC,
        .backoff_reset_us = 10 * USEC_PER_SEC,
        .dial_us = 10 * USEC_PER_SEC,
};

struct rpc_limits *rpc_node_limits(rpc_node *node)
{
        return &node->limits;
}

uint64_t node_now(const rpc_node *node)
{
        return timers_now(&node->timers);
}

/* --- methods ------------------------------------------------------------------------------------------- */

static int method_compare(const void *a, const void *b)
{
        return strcmp(((const struct method_entry *)a)->path, ((const struct method_entry *)b)->path);
}

const struct method_entry *node_find_method(const rpc_node *node, const char *path)
{
        const struct method_entry wanted = {.path = (char *)path};

        return bsearch(&wanted, node->methods, node->method_count, sizeof(wanted), method_compare);
}

static int node_add_methods(rpc_node *node, const struct rpc_method *methods, size_t count, void *userdata)
{
        for (size_t i = 0; i < count; i++) {
                struct method_entry *entry = &node->methods[node->method_count];
                int size = snprintf(NULL, 0, "%s/%s", methods[i].service->name, methods[i].name) + 1;

                entry->descriptor =
                        protobuf_c_service_descriptor_get_method_by_name(methods[i].service, methods[i].name);
                if (!entry->descriptor || !methods[i].handle)
                        return -EINVAL;
                entry->path = malloc((size_t)size);
                if (!entry->path)
                        return -ENOMEM;
                snprintf(entry->path, (size_t)size, "%s/%s", methods[i].service->name, methods[i].name);
                entry->is_stream = method_is_stream(entry->path);
                entry->method = &methods[i];
                entry->userdata = userdata;
                node->method_count++;
        }
        return 0;
}

static int node_make_methods(rpc_node *node, const struct rpc_method *methods, size_t count)
{
        int r;

        node->methods = calloc(count + health_method_count, sizeof(*node->methods));
        if (!node->methods)
                return -ENOMEM;
        r = node_add_methods(node, health_methods, health_method_count, node);
        if (r == 0)
                r = node_add_methods(node, methods, count, node->userdata);
        if (r < 0)
                return r;
        qsort(node->methods, node->method_count, sizeof(*node->methods), method_compare);
        for (size_t i = 1; i < node->method_count; i++)
                if (strcmp(node->methods[i - 1].path, node->methods[i].path) == 0)
                        return -EEXIST;
        return 0;
}

/* --- the turn ------------------------------------------------------------------------------------------ */

void node_again(rpc_node *node)
{
        if (!node->in_wake || node->settling)
                sd_event_source_set_enabled(node->again, SD_EVENT_ONESHOT);
}

void peer_mark_dirty(rpc_peer *peer)
{
        if (peer->is_dirty)
                return;
        peer->is_dirty = true;
        TAILQ_INSERT_TAIL(&peer->node->dirty, peer, dirty);
        node_again(peer->node);
}

static void node_notify(rpc_node *node)
{
        rpc_call *call;

        while ((call = TAILQ_FIRST(&node->notify))) {
                TAILQ_REMOVE(&node->notify, call, notified);
                call->is_notified = false;
                call->starved = false;
                call_pin(call);
                call->writable(call, call->userdata);
                call_unpin(call);
        }
}

/* Ends the closed links, and frees those that nng is done with. */
static void node_reap(rpc_node *node)
{
        rpc_peer *peer, *next;

        node->closing_some = false;
        TAILQ_FOREACH(peer, &node->peers, link)
        if (peer->is_closing)
                peer_end(peer);
        for (peer = TAILQ_FIRST(&node->peers); peer; peer = next) {
                next = TAILQ_NEXT(peer, link);
                if (peer->state == PEER_CLOSED && !peer->is_closing && link_idle(peer))
                        peer_destroy(peer);
        }
}

static void node_flush(rpc_node *node)
{
        rpc_peer *peer;

        TAILQ_FOREACH(peer, &node->dirty, dirty)
        link_send(peer);
        /* what is sent leaves first: asking for more costs two system calls a link */
        while ((peer = TAILQ_FIRST(&node->dirty))) {
                TAILQ_REMOVE(&node->dirty, peer, dirty);
                peer->is_dirty = false;
                link_receive(peer);
        }
}

static void node_settle(rpc_node *node)
{
        int r = 0;

        if (node->halted || node->settling)
                return;
        node->settling = true;
        for (unsigned i = 0; i < SETTLE_ROUNDS && (node->closing_some || !TAILQ_EMPTY(&node->notify)); i++) {
                node_notify(node);
                if (node->closing_some)
                        node_reap(node);
        }
        if (node->closing_some || !TAILQ_EMPTY(&node->notify))
                node_again(node);
        if (node->events.commit)
                r = node->events.commit(node->userdata);
        if (r < 0) {
                node->halted = true;
                sd_event_exit(node->event, r);
        } else {
                node_flush(node);
        }
        node->settling = false;
}

static int node_on_turn(sd_event_source *source, void *userdata)
{
        node_settle(userdata);
        return 0;
}

/* Its only task is that the post source runs after it. */
static int node_on_again(sd_event_source *source, void *userdata)
{
        return 0;
}

static void node_on_wake_begin(void *userdata)
{
        rpc_node *node = userdata;

        node->in_wake = true;
}

static void node_on_wake_end(void *userdata)
{
        rpc_node *node = userdata;

        node->in_wake = false;
        node_settle(node);
        /* the turn has just been ended: the post source need not do it again */
        sd_event_source_set_enabled(node->turn, SD_EVENT_OFF);
        sd_event_source_set_enabled(node->turn, SD_EVENT_ON);
}

/* --- the log ------------------------------------------------------------------------------------------- */

void node_log_refused(rpc_node *node, const char *address, const char *why)
{
        uint64_t now = node_now(node);

        node->refused++;
        if (node->refused_logged && now - node->refused_logged < USEC_PER_SEC)
                return;
        if (node->refused > 1)
                log_warning("refused a link from %s: %s (and %u others since the last such line)", address,
                            why, node->refused - 1);
        else
                log_warning("refused a link from %s: %s", address, why);
        node->refused = 0;
        node->refused_logged = now;
}

int nng_errno(int code)
{
        switch (code) {
        case 0:
                return 0;
        case NNG_ENOMEM:
                return -ENOMEM;
        case NNG_EADDRINUSE:
                return -EADDRINUSE;
        case NNG_EADDRINVAL:
        case NNG_EINVAL:
                return -EINVAL;
        case NNG_EPERM:
                return -EACCES;
        case NNG_ETIMEDOUT:
                return -ETIMEDOUT;
        case NNG_ECONNREFUSED:
                return -ECONNREFUSED;
        default:
                return code & NNG_ESYSERR ? -(code & ~NNG_ESYSERR) : -EIO;
        }
}

/* --- life ---------------------------------------------------------------------------------------------- */

DEFINE_CLEANUP(rpc_node *, rpc_node_free);

int rpc_node_new(rpc_node **ret, sd_event *event, enum rpc_role role, const struct noise_keypair *key,
                 const struct rpc_method *methods, size_t count, const struct rpc_node_events *events,
                 void *userdata)
{
        cleanup_with(rpc_node_freep) rpc_node *node = calloc(1, sizeof(*node));
        int r;

        if (!node)
                return -ENOMEM;
        if (sodium_init() < 0)
                return -EIO;
        TAILQ_INIT(&node->peers);
        TAILQ_INIT(&node->dirty);
        TAILQ_INIT(&node->notify);
        TAILQ_INIT(&node->orphans);
        node->event = sd_event_ref(event);
        node->role = role;
        node->key = *key;
        if (events)
                node->events = *events;
        node->userdata = userdata;
        node->limits = limits_usual;
        node->serving = true;
        r = node_make_methods(node, methods, count);
        if (r == 0)
                r = timers_init(&node->timers, event);
        if (r == 0)
                r = wake_new(&node->wake, event, node_on_wake_begin, node_on_wake_end, node);
        if (r == 0)
                r = sd_event_add_post(event, &node->turn, node_on_turn, node);
        if (r >= 0)
                r = sd_event_add_defer(event, &node->again, node_on_again, node);
        if (r >= 0)
                r = sd_event_source_set_enabled(node->again, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE(node);
        return 0;
}

static void node_free_links(rpc_node *node)
{
        struct rpc_listener *listener;
        struct rpc_dial *dial;
        rpc_peer *peer;
        rpc_call *orphan;

        while ((listener = LIST_FIRST(&node->listeners)))
                listener_free(listener);
        TAILQ_FOREACH(peer, &node->peers, link)
        peer_fail(peer, RPC_UNAVAILABLE, "this program ends");
        TAILQ_FOREACH(peer, &node->peers, link)
        if (peer->is_closing)
                peer_end(peer);
        while ((dial = LIST_FIRST(&node->dials)))
                dial_free(dial);
        while ((peer = TAILQ_FIRST(&node->peers)))
                peer_destroy(peer);
        while ((orphan = TAILQ_FIRST(&node->orphans)))
                call_finish(orphan);
}

rpc_node *rpc_node_free(rpc_node *node)
{
        if (!node)
                return NULL;
        node->freeing = true;
        node->settling = true;
        if (node->event)
                node_free_links(node);
        sd_event_source_disable_unref(node->turn);
        sd_event_source_disable_unref(node->again);
        wake_free(node->wake);
        if (node->timers.event)
                timers_clear(&node->timers);
        unpack_space_clear(&node->space);
        for (size_t i = 0; i < node->method_count; i++)
                free(node->methods[i].path);
        free(node->methods);
        sd_event_unref(node->event);
        sodium_memzero(&node->key, sizeof(node->key));
        free(node);
        return NULL;
}
