/* Listening, and who may take up a place while it has not proven who it is.
 *
 * When all places are taken, nothing more is accepted for the moment: the kernel's queue waits. A connection
 * that has not sent a valid first message (which a dialling muster sends with the connection itself) then
 * keeps its place for a twentieth of a second only, so that half-open connections by the hundred delay others
 * and do not lock them out. Where there is none, the oldest of the address that has most places has a second:
 * a first message is no proof, and may be one that was heard before. One address has few places for silent
 * connections, and its newest replaces its oldest; it has more for those whose first message was made for our
 * key, so that a fleet behind one address comes back as fast as others. An IPv6 address stands for its /64,
 * which is what one customer has. This machine's own addresses have more, since all local programs share
 * them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/rpc/internal.h"

#define LISTENER_OF(item, member)                                                                            \
        ((struct rpc_listener *)((char *)(item)-offsetof(struct rpc_listener, member)))
#define RETRY_US (100 * USEC_PER_MSEC)

struct rpc_listener {
        LIST_ENTRY(rpc_listener) link;
        rpc_node *node;
        nng_stream_listener *listener;
        nng_aio *aio;
        struct wake_item accepted;
        struct timer resume;
        struct peer_list pending; /* the oldest first */
        unsigned pending_count;
        bool accepting;
};

static bool is_silent(const rpc_peer *peer)
{
        return peer->state == PEER_GREETING || peer->state == PEER_HANDSHAKE;
}

static bool is_own_host(const rpc_peer *peer)
{
        static const uint8_t loopback4[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
        static const uint8_t loopback6[16] = {[15] = 1};

        return memcmp(peer->host, loopback4, sizeof(loopback4)) == 0 ||
               memcmp(peer->host, loopback6, sizeof(loopback6)) == 0;
}

static void listener_accept(struct rpc_listener *listener)
{
        if (listener->accepting || listener->node->freeing)
                return;
        listener->accepting = true;
        nng_stream_listener_accept(listener->listener, listener->aio);
}

static rpc_peer *listener_oldest_silent(struct rpc_listener *listener, const uint8_t *host)
{
        rpc_peer *peer;

        TAILQ_FOREACH(peer, &listener->pending, pending)
        if (peer->state != PEER_CLOSED && is_silent(peer) && (!host || memcmp(peer->host, host, 16) == 0))
                return peer;
        return NULL;
}

static unsigned places_of(const struct rpc_listener *listener, const uint8_t *host)
{
        const rpc_peer *peer;
        unsigned count = 0;

        TAILQ_FOREACH(peer, &listener->pending, pending)
        count += peer->state != PEER_CLOSED && memcmp(peer->host, host, sizeof(peer->host)) == 0;
        return count;
}

/* The oldest of the address that has most; NULL: all are ending. */
static rpc_peer *listener_oldest_of_most(struct rpc_listener *listener)
{
        rpc_peer *peer, *found = NULL;
        unsigned most = 0;

        TAILQ_FOREACH(peer, &listener->pending, pending)
        if (peer->state != PEER_CLOSED && places_of(listener, peer->host) > most) {
                most = places_of(listener, peer->host);
                found = peer;
        }
        return found;
}

/* Accepts again if there is a place, else waits for one. */
static void listener_continue(struct rpc_listener *listener)
{
        const struct rpc_limits *limits = &listener->node->limits;
        uint64_t now = node_now(listener->node), over;
        rpc_peer *slowest;

        if (listener->pending_count < limits->pending) {
                listener_accept(listener);
                return;
        }
        slowest = listener_oldest_silent(listener, NULL);
        if (slowest)
                over = slowest->came_up + limits->silent_us;
        else if ((slowest = listener_oldest_of_most(listener)))
                over = slowest->came_up + limits->known_us;
        else
                return; /* the next one that is released continues */
        if (over <= now)
                peer_fail(slowest, RPC_RESOURCE_EXHAUSTED, "its handshake took too long while others wait");
        else if (timer_set(&listener->node->timers, &listener->resume, over) < 0)
                peer_fail(slowest, RPC_RESOURCE_EXHAUSTED, "memory is out");
}

static void listener_on_resume(struct timer *timer)
{
        listener_continue(LISTENER_OF(timer, resume));
}

/* A new connection of an address that has all its places: its oldest silent one goes, else the new one. Who
 * has shown that he knows our key counts apart, for behind one address there may be a whole fleet coming
 * back. */
static void listener_limit_address(struct rpc_listener *listener, rpc_peer *newest)
{
        const struct rpc_limits *limits = &listener->node->limits;
        bool own = is_own_host(newest);
        unsigned silent = 0, known = 0;
        rpc_peer *peer, *oldest;

        TAILQ_FOREACH(peer, &listener->pending, pending)
        if (peer->state != PEER_CLOSED && memcmp(peer->host, newest->host, sizeof(peer->host)) == 0) {
                silent += is_silent(peer);
                known += !is_silent(peer);
        }
        if (own ? silent + known <= limits->pending_own
                : silent <= limits->pending_address && known < limits->pending_known)
                return;
        oldest = listener_oldest_silent(listener, newest->host);
        peer_fail(oldest ? oldest : newest, RPC_RESOURCE_EXHAUSTED,
                  "its address has too many handshakes under way");
}

static void listener_on_accepted(struct wake_item *item)
{
        struct rpc_listener *listener = LISTENER_OF(item, accepted);
        rpc_node *node = listener->node;
        int result = nng_aio_result(listener->aio);
        rpc_peer *peer;

        listener->accepting = false;
        if (result == 0 && peer_new(&peer, node, nng_aio_get_output(listener->aio, 0), NULL, listener) == 0) {
                TAILQ_INSERT_TAIL(&listener->pending, peer, pending);
                listener->pending_count++;
                listener_limit_address(listener, peer);
                listener_continue(listener);
                return;
        }
        if (result == NNG_ECLOSED || result == NNG_ECANCELED)
                return;
        node_log_refused(node, "somewhere", result ? nng_strerror(result) : "memory is out");
        timer_set(&node->timers, &listener->resume, node_now(node) + RETRY_US);
}

static void listener_post_accepted(void *argument)
{
        struct rpc_listener *listener = argument;

        wake_post(listener->node->wake, &listener->accepted);
}

void listener_released(rpc_peer *peer)
{
        struct rpc_listener *listener = peer->listener;

        peer->listener = NULL;
        TAILQ_REMOVE(&listener->pending, peer, pending);
        listener->pending_count--;
        listener_continue(listener);
}

void listener_free(struct rpc_listener *listener)
{
        rpc_peer *peer;

        while ((peer = TAILQ_FIRST(&listener->pending))) {
                peer->listener = NULL;
                TAILQ_REMOVE(&listener->pending, peer, pending);
        }
        if (listener->listener)
                nng_stream_listener_close(listener->listener);
        if (listener->aio)
                nng_aio_stop(listener->aio);
        if (listener->accepting && nng_aio_result(listener->aio) == 0 && nng_aio_get_output(listener->aio, 0))
                nng_stream_free(nng_aio_get_output(listener->aio, 0));
        wake_forget(listener->node->wake, &listener->accepted);
        timer_stop(&listener->node->timers, &listener->resume);
        if (listener->listener)
                nng_stream_listener_free(listener->listener);
        nng_aio_free(listener->aio);
        LIST_REMOVE(listener, link);
        free(listener);
}

int rpc_node_listen(rpc_node *node, const char *address, uint16_t *ret_port, struct error *error)
{
        struct rpc_listener *listener = calloc(1, sizeof(*listener));
        char url[300];
        int r, port = 0;

        if (!listener)
                return error_set(error, -ENOMEM, "memory is out");
        listener->node = node;
        LIST_INSERT_HEAD(&node->listeners, listener, link);
        TAILQ_INIT(&listener->pending);
        listener->accepted.run = listener_on_accepted;
        listener->resume.fire = listener_on_resume;
        r = snprintf(url, sizeof(url), "tcp://%s", address);
        r = r < 0 || (size_t)r >= sizeof(url) || !strrchr(address, ':')
                    ? NNG_EADDRINVAL
                    : nng_stream_listener_alloc(&listener->listener, url);
        if (r == 0)
                r = nng_aio_alloc(&listener->aio, listener_post_accepted, listener);
        if (r == 0 && timer_set(&node->timers, &listener->resume, UINT64_MAX) < 0)
                r = NNG_ENOMEM;
        if (r == 0)
                r = nng_stream_listener_listen(listener->listener);
        if (r == 0)
                r = nng_stream_listener_get_int(listener->listener, NNG_OPT_TCP_BOUND_PORT, &port);
        if (r != 0) {
                listener_free(listener);
                return error_set(error, nng_errno(r), "cannot listen on %s: %s", address,
                                 r == NNG_EADDRINVAL ? "it is not an address of this machine, as host:port"
                                                     : nng_strerror(r));
        }
        timer_stop(&node->timers, &listener->resume);
        if (ret_port)
                *ret_port = (uint16_t)port;
        listener_accept(listener);
        return 0;
}
