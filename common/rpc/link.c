/* The bytes of a link: nng's stream, two buffers out, one in, frames and their ciphers.
 *
 * Records are written straight into the open frame at the end of `out`; a frame is sealed in place when it is
 * full or when the turn ends, and then the whole of `out` changes places with `wire`, which nng sends.
 * Incoming frames are opened in place too. One receive and one send are under way at most, so a peer that
 * does not read is felt by whoever writes, and one that floods waits in the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/internal.h"

#define IN_ROOM_LOW    4096u
#define IN_ROOM_HIGH   (2u + NOISE_MESSAGE_MAX)
#define IN_SMALL_RUNS  16u
#define KEEP_ROOM      16384u /* buffers out that are larger are given back when they are empty */
#define GREETING_FRAME 1024u  /* before the other side is known, no frame is larger */

#define PEER_OF(item, member) ((rpc_peer *)((char *)(item)-offsetof(rpc_peer, member)))

/* --- in ------------------------------------------------------------------------------------------------ */

static int in_resize(rpc_peer *peer, size_t room)
{
        uint8_t *moved = realloc(peer->in, room);

        if (!moved)
                return -ENOMEM;
        peer->in = moved;
        peer->in_room = room;
        return 0;
}

/* How many bytes the next preface or frame takes, or 0 if that cannot be told yet; over what the state allows
 * closes the link. */
static size_t in_need(rpc_peer *peer, const uint8_t *at, size_t left)
{
        size_t frame;

        if (peer->state == PEER_GREETING)
                return RPC_PREFACE_SIZE;
        if (left < 2)
                return 0;
        frame = bytes_get16(at);
        if (peer->state != PEER_UP && frame > GREETING_FRAME) {
                peer_fail(peer, RPC_UNAVAILABLE, "it sent a frame of %zu bytes during the handshake", frame);
                return 0;
        }
        return 2 + frame;
}

/* Handles what is there whole and keeps the rest at the buffer's front. */
static void in_consume(rpc_peer *peer)
{
        size_t at = 0, need = 0;

        while (peer->state != PEER_CLOSED) {
                size_t head = peer->state == PEER_GREETING ? 0 : 2;

                need = in_need(peer, peer->in + at, peer->in_size - at);
                if (!need || peer->in_size - at < need)
                        break;
                peer_frame(peer, peer->in + at + head, need - head);
                at += need;
        }
        peer->in_size -= at;
        if (at && peer->in_size)
                memmove(peer->in, peer->in + at, peer->in_size);
}

/* A full read asks for more room, a frame that does not fit too; many small ones give room back. */
static int in_fit(rpc_peer *peer, size_t count, size_t asked)
{
        size_t room = peer->in_room;
        size_t need = peer->state == PEER_GREETING || peer->in_size < 2 ? 0 : 2u + bytes_get16(peer->in);

        if (count == asked && peer->state == PEER_UP)
                room *= 2;
        while (room < need)
                room *= 2;
        if (room > IN_ROOM_HIGH)
                room = IN_ROOM_HIGH;
        peer->in_small = count <= IN_ROOM_LOW / 2 && peer->in_size == 0 ? peer->in_small + 1 : 0;
        if (peer->in_small > IN_SMALL_RUNS)
                room = IN_ROOM_LOW;
        return room == peer->in_room ? 0 : in_resize(peer, room);
}

/* An operation of nng's failed. */
static void link_fail(rpc_peer *peer, int result)
{
        const char *why = nng_strerror(result);

        if (result == NNG_ECONNSHUT || result == NNG_ECONNRESET)
                why = peer->dialled && peer->state == PEER_HANDSHAKE
                              ? "it closed the link during the handshake: its key is another than the one "
                                "given "
                                "here, or it is no muster"
                              : "the other side closed the link";
        peer_fail(peer, RPC_UNAVAILABLE, "%s", why);
}

static void link_on_received(struct wake_item *item)
{
        rpc_peer *peer = PEER_OF(item, received);
        int result = nng_aio_result(peer->receive_aio);
        size_t count = nng_aio_count(peer->receive_aio), asked = peer->in_room - peer->in_size;

        peer->receiving = false;
        if (peer->state == PEER_CLOSED) {
                peer->node->closing_some = true;
                return;
        }
        if (result) {
                link_fail(peer, result);
                return;
        }
        peer->in_size += count;
        peer->last_received = node_now(peer->node);
        in_consume(peer);
        if (peer->state == PEER_CLOSED)
                return;
        if (in_fit(peer, count, asked) < 0) {
                peer_fail(peer, RPC_RESOURCE_EXHAUSTED, "memory is out");
                return;
        }
        peer->want_receive = true;
        peer_mark_dirty(peer);
}

void link_receive(rpc_peer *peer)
{
        nng_iov span = {peer->in + peer->in_size, peer->in_room - peer->in_size};

        if (!peer->want_receive || peer->receiving || peer->state == PEER_CLOSED)
                return;
        if (peer->out.size > peer->node->limits.out_hard)
                return; /* it does not read our answers: its questions wait */
        peer->want_receive = false;
        peer->receiving = true;
        nng_aio_set_iov(peer->receive_aio, 1, &span);
        nng_stream_recv(peer->stream, peer->receive_aio);
}

/* --- out ----------------------------------------------------------------------------------------------- */

static void link_no_memory(rpc_peer *peer)
{
        peer_fail(peer, RPC_RESOURCE_EXHAUSTED, "memory is out");
}

int link_write(rpc_peer *peer, const void *bytes, size_t size)
{
        int r = buffer_append(&peer->out, bytes, size);

        if (r < 0)
                link_no_memory(peer);
        else
                peer_mark_dirty(peer);
        return r;
}

int link_write_frame(rpc_peer *peer, const void *bytes, size_t size)
{
        uint8_t head[2];
        int r;

        bytes_put16(head, size);
        r = link_write(peer, head, sizeof(head));
        return r < 0 ? r : link_write(peer, bytes, size);
}

int link_seal(rpc_peer *peer)
{
        uint8_t *frame;
        size_t size;
        int r;

        if (peer->out_open == SIZE_MAX)
                return 0;
        frame = peer->out.data + peer->out_open;
        size = peer->out.size - peer->out_open - 2;
        r = noise_cipher_seal(&peer->seal, NULL, 0, frame + 2, size, frame + 2);
        if (r < 0) {
                peer_fail(peer, RPC_INTERNAL, "sealing a frame failed: %s", strerror(-r));
                return r;
        }
        bytes_put16(frame, size + NOISE_TAG_SIZE);
        peer->out.size += NOISE_TAG_SIZE; /* reserved with the frame's last bytes */
        peer->out_open = SIZE_MAX;
        return 0;
}

uint8_t *link_plain(rpc_peer *peer, size_t size)
{
        bool fits = peer->out_open != SIZE_MAX && peer->out.size - peer->out_open - 2 + size <= RECORDS_MAX;
        uint8_t *at;

        if (peer->state == PEER_CLOSED || (!fits && link_seal(peer) < 0))
                return NULL;
        if (buffer_reserve(&peer->out, 2 + size + NOISE_TAG_SIZE) < 0) {
                link_no_memory(peer);
                return NULL;
        }
        if (!fits) {
                peer->out_open = peer->out.size;
                peer->out.size += 2;
        }
        at = peer->out.data + peer->out.size;
        peer->out.size += size;
        peer_mark_dirty(peer);
        return at;
}

uint8_t *link_record(rpc_peer *peer, uint32_t stream, enum record_type type, unsigned flags, size_t length)
{
        uint8_t *at = link_plain(peer, RECORD_HEADER_SIZE + length);

        if (!at)
                return NULL;
        record_write_header(at, stream, type, flags, length);
        return at + RECORD_HEADER_SIZE;
}

static void link_submit(rpc_peer *peer)
{
        nng_iov span = {peer->wire.data + peer->wire_at, peer->wire.size - peer->wire_at};

        peer->sending = true;
        nng_aio_set_iov(peer->send_aio, 1, &span);
        nng_stream_send(peer->stream, peer->send_aio);
}

void link_send(rpc_peer *peer)
{
        struct buffer full;

        if (peer->sending || peer->state == PEER_CLOSED)
                return;
        if (peer->state == PEER_UP)
                peer_fill(peer);
        if (peer->out.size == 0 || peer->state == PEER_CLOSED || link_seal(peer) < 0)
                return;
        full = peer->out;
        peer->out = peer->wire;
        peer->out.size = 0;
        peer->wire = full;
        peer->wire_at = 0;
        peer->pong_queued = false;
        peer->last_sent = node_now(peer->node);
        link_submit(peer);
}

static void link_on_sent(struct wake_item *item)
{
        rpc_peer *peer = PEER_OF(item, sent);
        int result = nng_aio_result(peer->send_aio);

        peer->sending = false;
        if (peer->state == PEER_CLOSED) {
                peer->node->closing_some = true;
                return;
        }
        if (result) {
                link_fail(peer, result);
                return;
        }
        peer->wire_at += nng_aio_count(peer->send_aio);
        if (peer->wire_at < peer->wire.size) {
                link_submit(peer);
                return;
        }
        peer->wire.size = 0;
        if (peer->out.size || !TAILQ_EMPTY(&peer->ready) || peer->want_receive) {
                peer_mark_dirty(peer);
                return;
        }
        if (peer->wire.room > KEEP_ROOM)
                buffer_clear(&peer->wire);
        if (peer->out.room > KEEP_ROOM)
                buffer_clear(&peer->out);
}

/* --- life ---------------------------------------------------------------------------------------------- */

/* On nng's threads: all that happens there. */
static void link_post_received(void *argument)
{
        rpc_peer *peer = argument;

        wake_post(peer->node->wake, &peer->received);
}

static void link_post_sent(void *argument)
{
        rpc_peer *peer = argument;

        wake_post(peer->node->wake, &peer->sent);
}

void link_place(uint8_t ret[16], const uint8_t address[16])
{
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, loopback[16] = {[15] = 1};
        bool whole = memcmp(address, mapped, sizeof(mapped)) == 0 || memcmp(address, loopback, 16) == 0;

        memset(ret, 0, 16);
        memcpy(ret, address, whole ? 16 : 8);
}

static void link_address(rpc_peer *peer)
{
        nng_sockaddr address = {0};
        char text[INET6_ADDRSTRLEN] = "?";

        if (nng_stream_get_addr(peer->stream, NNG_OPT_REMADDR, &address) != 0)
                address.s_family = NNG_AF_UNSPEC;
        if (address.s_family == NNG_AF_INET) {
                peer->host[10] = peer->host[11] = 0xff;
                memcpy(peer->host + 12, &address.s_in.sa_addr, 4);
                inet_ntop(AF_INET, &address.s_in.sa_addr, text, sizeof(text));
                snprintf(peer->address, sizeof(peer->address), "%s:%u", text, ntohs(address.s_in.sa_port));
        } else if (address.s_family == NNG_AF_INET6) {
                link_place(peer->host, address.s_in6.sa_addr);
                inet_ntop(AF_INET6, address.s_in6.sa_addr, text, sizeof(text));
                snprintf(peer->address, sizeof(peer->address), "[%s]:%u", text, ntohs(address.s_in6.sa_port));
        } else {
                snprintf(peer->address, sizeof(peer->address), "an unknown address");
        }
}

int link_open(rpc_peer *peer, nng_stream *stream)
{
        peer->stream = stream;
        peer->out_open = SIZE_MAX;
        peer->received.run = link_on_received;
        peer->sent.run = link_on_sent;
        /* nng's own default was off in places; without it small answers wait for the other side's ACK */
        nng_stream_set_bool(stream, NNG_OPT_TCP_NODELAY, true);
        link_address(peer);
        if (in_resize(peer, IN_ROOM_LOW) < 0 ||
            nng_aio_alloc(&peer->receive_aio, link_post_received, peer) != 0 ||
            nng_aio_alloc(&peer->send_aio, link_post_sent, peer) != 0)
                return -ENOMEM;
        peer->want_receive = true;
        return 0;
}

void link_shut(rpc_peer *peer)
{
        if (peer->stream)
                nng_stream_close(peer->stream);
}

bool link_idle(const rpc_peer *peer)
{
        return !peer->receiving && !peer->sending;
}

void link_free(rpc_peer *peer)
{
        if (peer->receive_aio)
                nng_aio_stop(peer->receive_aio);
        if (peer->send_aio)
                nng_aio_stop(peer->send_aio);
        wake_forget(peer->node->wake, &peer->received);
        wake_forget(peer->node->wake, &peer->sent);
        nng_aio_free(peer->receive_aio);
        nng_aio_free(peer->send_aio);
        nng_stream_free(peer->stream);
        noise_cipher_wipe(&peer->seal);
        noise_cipher_wipe(&peer->open);
        noise_cipher_wipe(&peer->next_open);
        buffer_clear(&peer->out);
        buffer_clear(&peer->wire);
        free(peer->in);
}
