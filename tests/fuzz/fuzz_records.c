/* What an authenticated peer may send: any plaintext of transport messages, to a link that serves calls and
 * has made some. The first byte chooses the link's side; then come messages, each with a length of two bytes.
 *
 * The link is a real one without a socket: its frames are sealed here and handed to it, what it writes is
 * dropped. It must not touch memory that is not its own, and must give everything back at the end. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/rpc/internal.h"
#include "proto/agent.pb-c.h"
#include "proto/fleet.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends at once. */
static void on_report(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        Muster__V1__ReportReply reply = MUSTER__V1__REPORT_REPLY__INIT;

        reply.text = ((const Muster__V1__ReportRequest *)request)->run;
        rpc_call_reply(call, &reply.base);
}

/* Sends until it may not. */
static void on_writable(rpc_call *call, void *userdata)
{
        static uint8_t bytes[30000];
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;

        output.data.data = bytes;
        output.data.len = sizeof(bytes);
        while (rpc_call_writable(call))
                rpc_call_send(call, &output.base);
}

static void on_exec(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        rpc_call_watch(call, NULL, on_writable, NULL);
        on_writable(call, NULL);
        if (((const Muster__V1__ExecRequest *)request)->timeout_ms == 1)
                rpc_call_end(call, RPC_OK, NULL);
}

/* Never ends. */
static void on_check(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
}

static void on_message(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        unsigned *left = userdata;

        if (--*left == 0)
                rpc_call_cancel(call);
}

static void on_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
}

static const struct rpc_method methods[] = {
        {&muster__v1__fleet__descriptor, "Report", RPC_CONTROLLER, on_report},
        {&muster__v1__agent__descriptor, "Exec", RPC_CONTROLLER, on_exec},
        {&muster__v1__fleet__descriptor, "Check", RPC_CONTROLLER, on_check},
        {&muster__v1__fleet__descriptor, "Revoke", RPC_USER, on_check},
};

static rpc_node *node_for_fuzzing(void)
{
        static rpc_node *node;
        static const struct noise_keypair key;
        sd_event *event = NULL;

        if (node)
                return node;
        log_set_level(-1);
        if (sd_event_new(&event) < 0 || rpc_node_new(&node, event, RPC_CONTROLLER, &key, methods,
                                                     sizeof(methods) / sizeof(methods[0]), NULL, NULL) < 0)
                abort();
        sd_event_unref(event);
        return node;
}

static rpc_peer *peer_for_fuzzing(rpc_node *node, bool dialled)
{
        rpc_peer *peer = calloc(1, sizeof(*peer));

        if (!peer)
                abort();
        peer->node = node;
        peer->state = PEER_UP;
        peer->role = RPC_CONTROLLER;
        peer->dialled = dialled;
        peer->next_stream = dialled ? 1 : 2;
        peer->out_open = SIZE_MAX;
        peer->seal.ready = peer->open.ready = true;
        TAILQ_INIT(&peer->ready);
        TAILQ_INSERT_TAIL(&node->peers, peer, link);
        return peer;
}

static void start_calls(rpc_peer *peer, unsigned lefts[3])
{
        Muster__V1__ReportRequest report = MUSTER__V1__REPORT_REQUEST__INIT;
        Muster__V1__ExecRequest exec = MUSTER__V1__EXEC_REQUEST__INIT;
        rpc_call *held;

        if (rpc_call_start(NULL, peer, &muster__v1__fleet__descriptor, "Report", &report.base, 0, on_message,
                           on_end, &lefts[0]) < 0 ||
            rpc_call_start(NULL, peer, &muster__v1__agent__descriptor, "Exec", &exec.base, 1000000,
                           on_message, on_end, &lefts[1]) < 0 ||
            rpc_call_start(&held, peer, &muster__v1__agent__descriptor, "Exec", &exec.base, 0, on_message,
                           on_end, &lefts[2]) < 0)
                abort();
        rpc_call_hold(held, true);
}

/* What the turn's end does, without a socket. */
static void turn(rpc_node *node, rpc_peer *peer)
{
        rpc_call *call;

        while ((call = TAILQ_FIRST(&node->notify))) {
                TAILQ_REMOVE(&node->notify, call, notified);
                call->is_notified = call->starved = false;
                call_pin(call);
                call->writable(call, call->userdata);
                call_unpin(call);
        }
        peer_fill(peer);
        if (peer->state == PEER_UP && link_seal(peer) < 0)
                abort();
        peer->out.size = 0;
        peer->pong_queued = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        rpc_node *node = node_for_fuzzing();
        struct noise_cipher seal = {.ready = true};
        unsigned lefts[3] = {1, 3, 1000};
        rpc_call *orphan;
        rpc_peer *peer;

        if (size < 1)
                return 0;
        peer = peer_for_fuzzing(node, data[0] & 1);
        start_calls(peer, lefts);
        for (size_t at = 1; at + 2 <= size && peer->state == PEER_UP;) {
                size_t length = bytes_get16(data + at);
                uint8_t *frame;

                at += 2;
                if (length > size - at)
                        length = size - at;
                if (length > RECORDS_MAX)
                        length = RECORDS_MAX;
                frame = malloc(length + NOISE_TAG_SIZE);
                if (!frame || noise_cipher_seal(&seal, NULL, 0, data + at, length, frame) < 0)
                        abort();
                peer_frame(peer, frame, length + NOISE_TAG_SIZE);
                free(frame);
                at += length;
                turn(node, peer);
        }
        peer_fail(peer, RPC_UNAVAILABLE, "over");
        peer_end(peer);
        if (peer->streams.count || peer->charged)
                abort();
        peer_destroy(peer);
        while ((orphan = TAILQ_FIRST(&node->orphans)))
                call_finish(orphan);
        if (node->timers.count || !TAILQ_EMPTY(&node->notify) || !LIST_EMPTY(&node->health))
                abort();
        return 0;
}
