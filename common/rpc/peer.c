/* A link as the node sees it: what a frame means in its state, records to calls, heartbeat, the end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/rpc/internal.h"

#define PEER_OF(item, member) ((rpc_peer *)((char *)(item)-offsetof(rpc_peer, member)))

static void peer_on_timer(struct timer *timer);

int peer_new(rpc_peer **ret, rpc_node *node, nng_stream *stream, struct rpc_dial *dial,
             struct rpc_listener *listener)
{
        rpc_peer *peer = calloc(1, sizeof(*peer));
        int r;

        if (!peer) {
                nng_stream_free(stream);
                return -ENOMEM;
        }
        peer->node = node;
        peer->dial = dial;
        peer->dialled = dial != NULL;
        peer->listener = listener;
        peer->state = PEER_GREETING;
        peer->timer.fire = peer_on_timer;
        peer->next_stream = peer->dialled ? 1 : 2;
        peer->last_received = peer->last_sent = peer->came_up = node_now(node);
        TAILQ_INIT(&peer->ready);
        TAILQ_INSERT_TAIL(&node->peers, peer, link);

        r = link_open(peer, stream);
        if (r == 0)
                r = timer_set(&node->timers, &peer->timer, node_now(node) + node->limits.handshake_us);
        if (r == 0 && dial)
                r = handshake_begin(peer);
        if (r < 0) {
                peer->state = PEER_CLOSED;
                peer->dial = NULL;
                peer->listener = NULL;
                peer_destroy(peer);
                return r;
        }
        peer_mark_dirty(peer);
        *ret = peer;
        return 0;
}

void peer_destroy(rpc_peer *peer)
{
        rpc_node *node = peer->node;

        timer_stop(&node->timers, &peer->timer);
        handshake_forget(peer);
        link_free(peer);
        if (peer->is_dirty)
                TAILQ_REMOVE(&node->dirty, peer, dirty);
        TAILQ_REMOVE(&node->peers, peer, link);
        free(peer->streams.buckets);
        free(peer);
}

/* --- the end ------------------------------------------------------------------------------------------- */

void peer_fail(rpc_peer *peer, enum rpc_status code, const char *format, ...)
{
        va_list arguments;

        if (peer->state == PEER_CLOSED)
                return;
        if (peer->state != PEER_UP && peer->state != PEER_REFUSED && !peer->dialled) {
                char why[RPC_REASON_SIZE];

                va_start(arguments, format);
                vsnprintf(why, sizeof(why), format, arguments);
                va_end(arguments);
                node_log_refused(peer->node, peer->address, why);
        }
        va_start(arguments, format);
        vsnprintf(peer->reason, sizeof(peer->reason), format, arguments);
        va_end(arguments);
        peer->reason_code = code;
        peer->state = PEER_CLOSED;
        peer->is_closing = true;
        peer->node->closing_some = true;
        link_shut(peer);
        node_again(peer->node);
}

static void peer_end_calls(rpc_peer *peer)
{
        struct rpc_call *orphan;
        char text[RPC_REASON_SIZE + RPC_NAME_SIZE + 64];

        snprintf(text, sizeof(text), "the link to %s ended: %s", *peer->name ? peer->name : peer->address,
                 peer->reason);
        for (size_t i = 0; i < peer->streams.size; i++)
                while (peer->streams.buckets[i]) {
                        rpc_call *call = peer->streams.buckets[i];

                        if (call->serving)
                                server_gone(call);
                        else
                                client_end(call, RPC_UNAVAILABLE, text);
                }
        TAILQ_FOREACH(orphan, &peer->node->orphans, orphan)
        if (orphan->peer == peer)
                orphan->peer = NULL;
}

void peer_end(rpc_peer *peer)
{
        rpc_node *node = peer->node;

        peer->is_closing = false;
        timer_stop(&node->timers, &peer->timer);
        if (peer->listener)
                listener_released(peer);
        peer_end_calls(peer);
        if (peer->was_up && node->events.down)
                node->events.down(peer, peer->reason, node->userdata);
        if (peer->dial)
                dial_over(peer->dial, peer);
        peer->dial = NULL;
}

void rpc_peer_close(rpc_peer *peer, const char *reason)
{
        peer_fail(peer, RPC_CANCELLED, "%s", reason ? reason : "it was closed here");
}

/* --- heartbeat ----------------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static void peer_beat(rpc_peer *peer)
{
        const struct rpc_limits *limits = &peer->node->limits;
        uint64_t now = node_now(peer->node), next;

        if (now - peer->last_received >= limits->dead_us) {
                peer_fail(peer, RPC_UNAVAILABLE, "nothing came from it for %llu s",
                          (unsigned long long)(limits->dead_us / USEC_PER_SEC));
                return;
        }
        if (rekey_is_late(peer, now)) {
                peer_fail(peer, RPC_UNAVAILABLE, "it did not answer the renewal of the keys");
                return;
        }
        if (rekey_due(peer, now) && rekey_begin(peer) < 0)
                return;
        next = peer->last_sent + limits->ping_us;
        if (next <= now) {
                if (peer->out.size == 0 && !peer->sending)
                        link_record(peer, 0, RECORD_PING, 0, 0);
                next = now + limits->ping_us;
        }
        next = earlier(next, peer->last_received + limits->dead_us);
        if (!peer->handshake && !peer->rekey_wanted)
                next = earlier(next, peer->keys_made + limits->rekey_us);
        if (peer->state == PEER_UP && timer_set(&peer->node->timers, &peer->timer, next) < 0)
                peer_fail(peer, RPC_RESOURCE_EXHAUSTED, "memory is out");
}

static void peer_on_timer(struct timer *timer)
{
        rpc_peer *peer = PEER_OF(timer, timer);

        if (peer->state == PEER_UP)
                peer_beat(peer);
        else
                peer_fail(peer, RPC_DEADLINE_EXCEEDED, "it did not finish the handshake in time");
}

void peer_up(rpc_peer *peer)
{
        peer->state = PEER_UP;
        peer->was_up = true;
        peer->came_up = node_now(peer->node);
        if (peer->listener)
                listener_released(peer);
        peer_beat(peer);
        if (peer->node->events.up)
                peer->node->events.up(peer, peer->node->userdata);
}

/* --- frames and records -------------------------------------------------------------------------------- */

static int peer_stream_record(rpc_peer *peer, const struct record *record)
{
        bool theirs = (record->stream & 1) != (peer->next_stream & 1);
        rpc_call *call;

        if (record->type == RECORD_HEAD) {
                if (!theirs || record->stream <= peer->seen_stream)
                        return -EBADMSG;
                peer->seen_stream = record->stream;
                return server_head(peer, record);
        }
        call = call_find(peer, record->stream);
        if (call)
                return call->serving ? server_record(peer, call, record) : client_record(peer, call, record);
        /* what crossed the end of its stream on the way; a stream that never was is another matter */
        return (theirs ? record->stream <= peer->seen_stream : record->stream < peer->next_stream) ? 0
                                                                                                   : -EBADMSG;
}

static int peer_record(rpc_peer *peer, const struct record *record, bool last, struct error *error)
{
        switch (record->type) {
        case RECORD_PING:
                if (!peer->pong_queued && link_record(peer, 0, RECORD_PONG, 0, 0))
                        peer->pong_queued = true;
                return 0;
        case RECORD_PONG:
                return 0;
        case RECORD_REKEY:
                return rekey_record(peer, record, last, error);
        default:
                return peer_stream_record(peer, record);
        }
}

static int peer_records(rpc_peer *peer, const uint8_t *bytes, size_t size, struct error *error)
{
        while (size && peer->state == PEER_UP) {
                struct record record;
                int taken = record_read(&record, bytes, size), r;

                if (taken < 0)
                        return taken;
                bytes += taken;
                size -= (size_t)taken;
                r = peer_record(peer, &record, size == 0, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int peer_open_frame(rpc_peer *peer, uint8_t *frame, size_t size, struct error *error)
{
        int r;

        if (noise_cipher_open(&peer->open, NULL, 0, frame, size, frame) < 0)
                return error_set(error, -EBADMSG, "a frame from it does not authenticate");
        if (size == NOISE_TAG_SIZE)
                return error_set(error, -EBADMSG, "it sent an empty frame");
        r = peer_records(peer, frame, size - NOISE_TAG_SIZE, error);
        if (r == 0 && peer->state == PEER_UP && rekey_due(peer, 0))
                r = rekey_begin(peer);
        return r;
}

void peer_frame(rpc_peer *peer, uint8_t *frame, size_t size)
{
        struct error error = {0};
        int r;

        if (peer->state == PEER_GREETING)
                r = handshake_preface(peer, frame, &error);
        else if (peer->state == PEER_UP)
                r = peer_open_frame(peer, frame, size, &error);
        else
                r = handshake_frame(peer, frame, size, &error);
        if (r < 0)
                peer_fail(peer, r == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_UNAVAILABLE, "%s",
                          *error.text     ? error.text
                          : r == -EBADMSG ? "it broke the protocol"
                                          : strerror(-r));
}

/* --- what waits ---------------------------------------------------------------------------------------- */

bool peer_charge(rpc_peer *peer, size_t size)
{
        if (size > peer->node->limits.buffered - peer->charged)
                return false;
        peer->charged += size;
        return true;
}

void peer_uncharge(rpc_peer *peer, size_t size)
{
        peer->charged -= size;
}

void peer_fill(rpc_peer *peer)
{
        rpc_call *call;

        while (peer->state == PEER_UP && peer->out.size < peer->node->limits.out_soft &&
               (call = TAILQ_FIRST(&peer->ready))) {
                TAILQ_REMOVE(&peer->ready, call, ready);
                call->is_ready = false;
                call_send_part(call);
        }
}

unsigned peer_stream_limit(const rpc_peer *peer, bool serving)
{
        enum rpc_role caller = serving ? peer->role : peer->node->role;

        return caller == RPC_CONTROLLER ? peer->node->limits.streams_large : peer->node->limits.streams;
}

/* --- of one key ---------------------------------------------------------------------------------------- */

static bool peer_is_up_as(const rpc_peer *peer, const uint8_t *key)
{
        return peer->state == PEER_UP && memcmp(peer->key, key, NOISE_KEY_SIZE) == 0;
}

size_t rpc_node_links(const rpc_node *node, const uint8_t key[NOISE_KEY_SIZE])
{
        const rpc_peer *peer;
        size_t count = 0;

        TAILQ_FOREACH(peer, &node->peers, link)
        count += peer_is_up_as(peer, key);
        return count;
}

void rpc_node_close_key(rpc_node *node, const uint8_t key[NOISE_KEY_SIZE], const char *reason)
{
        rpc_peer *peer;

        TAILQ_FOREACH(peer, &node->peers, link)
        if (peer_is_up_as(peer, key))
                rpc_peer_close(peer, reason);
}

/* --- for the program ----------------------------------------------------------------------------------- */

const char *rpc_peer_name(const rpc_peer *peer)
{
        return peer->name;
}

enum rpc_role rpc_peer_role(const rpc_peer *peer)
{
        return peer->role;
}

const uint8_t *rpc_peer_key(const rpc_peer *peer)
{
        return peer->key;
}

const char *rpc_peer_address(const rpc_peer *peer)
{
        return peer->address;
}

void rpc_peer_set_data(rpc_peer *peer, void *data)
{
        peer->data = data;
}

void *rpc_peer_data(const rpc_peer *peer)
{
        return peer->data;
}
