/* What both ends of a call share: its place in the link's table, what waits to go out, what came in parts. */
#include "common/rpc/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PART_SIZE     16384u /* of a message, before another call has its turn */
#define BUCKETS_FIRST 8u

/* --- the table ----------------------------------------------------------------------------------------- */

static struct rpc_call **bucket_of(const struct stream_table *table, uint32_t stream)
{
        return &table->buckets[(stream >> 1) & (table->size - 1)];
}

static int table_grow(struct stream_table *table)
{
        struct stream_table larger = {.size = table->size ? table->size * 2 : BUCKETS_FIRST,
                                      .count = table->count};

        larger.buckets = calloc(larger.size, sizeof(struct rpc_call *));
        if (!larger.buckets)
                return -ENOMEM;
        for (size_t i = 0; i < table->size; i++)
                while (table->buckets[i]) {
                        struct rpc_call *call = table->buckets[i], **bucket;

                        table->buckets[i] = call->next;
                        bucket = bucket_of(&larger, call->stream);
                        call->next = *bucket;
                        *bucket = call;
                }
        free(table->buckets);
        *table = larger;
        return 0;
}

int call_list_add(rpc_call *call)
{
        struct stream_table *table = &call->peer->streams;
        struct rpc_call **bucket;

        if (table->count >= table->size) {
                int r = table_grow(table);

                if (r < 0)
                        return r;
        }
        bucket = bucket_of(table, call->stream);
        call->next = *bucket;
        *bucket = call;
        table->count++;
        call->listed = true;
        return 0;
}

static void call_list_remove(rpc_call *call)
{
        struct rpc_call **at;

        if (!call->listed)
                return;
        at = bucket_of(&call->peer->streams, call->stream);
        while (*at != call)
                at = &(*at)->next;
        *at = call->next;
        call->peer->streams.count--;
        call->listed = false;
}

rpc_call *call_find(const rpc_peer *peer, uint32_t stream)
{
        struct rpc_call *call;

        if (!peer->streams.size)
                return NULL;
        for (call = *bucket_of(&peer->streams, stream); call && call->stream != stream;)
                call = call->next;
        return call;
}

/* --- life ---------------------------------------------------------------------------------------------- */

rpc_call *call_new(rpc_peer *peer, uint32_t stream, bool serving)
{
        rpc_call *call = calloc(1, sizeof(*call));

        if (!call)
                return NULL;
        call->node = peer->node;
        call->peer = peer;
        call->stream = stream;
        call->serving = serving;
        if (serving)
                call->credit = peer->node->limits.window;
        else
                call->window = peer->node->limits.window;
        if (call_list_add(call) < 0) {
                free(call);
                return NULL;
        }
        *(serving ? &peer->calls_served : &peer->calls_made) += 1;
        call->counted = true;
        return call;
}

/* Off the link: nothing more goes out or comes in. */
void call_leave(rpc_call *call)
{
        timer_stop(&call->node->timers, &call->deadline);
        if (call->is_ready)
                TAILQ_REMOVE(&call->peer->ready, call, ready);
        if (call->is_notified)
                TAILQ_REMOVE(&call->node->notify, call, notified);
        call->is_ready = call->is_notified = false;
        call_list_remove(call);
        if (call->peer)
                peer_uncharge(call->peer, call_queued(call) + call->partial.size);
        buffer_clear(&call->queue);
        buffer_clear(&call->partial);
        call->queue_at = 0;
}

void call_finish(rpc_call *call)
{
        if (!call->finished) {
                call->finished = true;
                call_leave(call);
                if (call->is_orphan)
                        TAILQ_REMOVE(&call->node->orphans, call, orphan);
                if (call->counted && call->peer)
                        *(call->serving ? &call->peer->calls_served : &call->peer->calls_made) -= 1;
                if (call->health)
                        health_forget(call);
        }
        if (call->pins == 0) {
                free(call->end_text);
                free(call);
        }
}

void call_pin(rpc_call *call)
{
        call->pins++;
}

void call_unpin(rpc_call *call)
{
        if (--call->pins == 0 && call->finished)
                call_finish(call);
}

void call_notify(rpc_call *call)
{
        if (call->is_notified || !call->starved || !call->writable || call->ending || call->gone)
                return;
        call->is_notified = true;
        TAILQ_INSERT_TAIL(&call->node->notify, call, notified);
        node_again(call->node);
}

/* --- out ----------------------------------------------------------------------------------------------- */

size_t call_queued(const rpc_call *call)
{
        return call->queue.size - call->queue_at;
}

void call_set_ready(rpc_call *call)
{
        bool may = call_queued(call) || call->queue_open;

        if (call->is_ready || !may ||
            (call->serving && !call->credit && !(call->queue_open && !call->queue_left)))
                return;
        call->is_ready = true;
        TAILQ_INSERT_TAIL(&call->peer->ready, call, ready);
        peer_mark_dirty(call->peer);
}

int call_queue(rpc_call *call, const ProtobufCMessage *message, size_t size)
{
        uint8_t *at;

        if (!peer_charge(call->peer, 4 + size))
                return -ENOBUFS;
        if (call->queue_at && call->queue_at >= call->queue.size / 2) {
                buffer_consume(&call->queue, call->queue_at);
                call->queue_at = 0;
        }
        if (buffer_reserve(&call->queue, 4 + size) < 0) {
                peer_uncharge(call->peer, 4 + size);
                return -ENOMEM;
        }
        at = call->queue.data + call->queue.size;
        bytes_put32(at, (uint32_t)size);
        protobuf_c_message_pack(message, at + 4);
        call->queue.size += 4 + size;
        call_set_ready(call);
        return 0;
}

int call_put(rpc_call *call, const ProtobufCMessage *message, size_t size)
{
        const struct rpc_limits *limits = &call->node->limits;
        uint8_t *at;

        if (call_queued(call) || size > PART_SIZE || call->peer->out.size >= limits->out_soft ||
            (call->serving && size > call->credit))
                return call_queue(call, message, size);
        at = link_record(call->peer, call->stream, RECORD_MESSAGE, 0, size);
        if (!at)
                return -ENOMEM;
        protobuf_c_message_pack(message, at);
        if (call->serving)
                call->credit -= (uint32_t)size;
        return 0;
}

static void call_queue_advance(rpc_call *call, size_t size)
{
        call->queue_at += size;
        peer_uncharge(call->peer, size);
        if (call->queue_at == call->queue.size) {
                buffer_clear(&call->queue);
                call->queue_at = 0;
        }
}

void call_send_part(rpc_call *call)
{
        size_t size;
        uint8_t *at;

        if (!call->queue_open) {
                call->queue_left = bytes_get32(call->queue.data + call->queue_at);
                call->queue_open = true;
                call_queue_advance(call, 4);
        }
        size = call->queue_left < PART_SIZE ? call->queue_left : PART_SIZE;
        if (call->serving && size > call->credit)
                size = call->credit;
        if (size || !call->queue_left) {
                at = link_record(call->peer, call->stream, RECORD_MESSAGE,
                                 size < call->queue_left ? RECORD_MORE : 0, size);
                if (!at)
                        return;
                if (size)
                        memcpy(at, call->queue.data + call->queue_at, size);
                if (call->serving)
                        call->credit -= (uint32_t)size;
                call->queue_left -= size;
                call->queue_open = call->queue_left > 0;
                call_queue_advance(call, size);
        }
        if (call_queued(call) || call->queue_open)
                call_set_ready(call);
        else if (call->serving)
                server_drained(call);
}

/* --- in ------------------------------------------------------------------------------------------------ */

int call_message_part(rpc_call *call, const struct record *record, const uint8_t **ret_bytes,
                      size_t *ret_size)
{
        if (!call->partial.size && !(record->flags & RECORD_MORE)) {
                *ret_bytes = record->payload;
                *ret_size = record->length;
                return 1;
        }
        if (record->length > RPC_MESSAGE_MAX - call->partial.size)
                return -EMSGSIZE;
        if (!peer_charge(call->peer, record->length))
                return -ENOBUFS;
        if (buffer_append(&call->partial, record->payload, record->length) < 0) {
                peer_uncharge(call->peer, record->length);
                return -ENOBUFS;
        }
        if (record->flags & RECORD_MORE)
                return 0;
        *ret_bytes = call->partial.data;
        *ret_size = call->partial.size;
        return 1;
}

void call_message_done(rpc_call *call)
{
        if (!call->partial.data)
                return;
        if (call->peer)
                peer_uncharge(call->peer, call->partial.size);
        buffer_clear(&call->partial);
}
