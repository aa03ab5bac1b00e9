/* The calling side of a call. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/rpc/internal.h"
#include "proto/link.pb-c.h"

#define PATH_SIZE 256u

#define CALL_OF(item, member) ((rpc_call *)((char *)(item)-offsetof(rpc_call, member)))

/* --- the end ------------------------------------------------------------------------------------------- */

/* Tells the other side that nobody listens any more. */
static void client_abandon(rpc_call *call)
{
        if (call->listed && call->peer->state == PEER_UP)
                link_record(call->peer, call->stream, RECORD_CANCEL, 0, 0);
}

void client_end(rpc_call *call, enum rpc_status code, const char *text)
{
        call_pin(call);
        call_leave(call);
        if (call->on_end)
                call->on_end(call, code, text, call->userdata);
        call_finish(call);
        call_unpin(call);
}

void rpc_call_cancel(rpc_call *call)
{
        if (call->finished)
                return;
        client_abandon(call);
        call_finish(call);
}

static void client_on_deadline(struct timer *timer)
{
        rpc_call *call = CALL_OF(timer, deadline);
        char length[32], text[128];

        time_duration_text(length, sizeof(length), call->deadline_us);
        snprintf(text, sizeof(text), "no answer within %s", length);
        client_abandon(call);
        client_end(call, RPC_DEADLINE_EXCEEDED, text);
}

/* --- the start ----------------------------------------------------------------------------------------- */

/* Writes "package.Service/Method". */
static int client_path(char path[PATH_SIZE], const ProtobufCServiceDescriptor *service, const char *method)
{
        size_t service_size = strlen(service->name), method_size = strlen(method);

        if (service_size + 1 + method_size >= PATH_SIZE)
                return -EINVAL;
        memcpy(path, service->name, service_size);
        path[service_size] = '/';
        memcpy(path + service_size + 1, method, method_size + 1);
        return 0;
}

static int client_send(rpc_call *call, const Muster__V1__CallHead *head, const ProtobufCMessage *request,
                       size_t size)
{
        size_t head_size = muster__v1__call_head__get_packed_size(head);
        uint8_t *at;

        at = link_record(call->peer, call->stream, RECORD_HEAD, 0, head_size);
        if (!at)
                return -ENOMEM;
        muster__v1__call_head__pack(head, at);
        return call_put(call, request, size);
}

int rpc_call_start(rpc_call **ret, rpc_peer *peer, const ProtobufCServiceDescriptor *service,
                   const char *method, const ProtobufCMessage *request, uint64_t deadline_us,
                   rpc_on_message on_message, rpc_on_end on_end, void *userdata)
{
        const ProtobufCMethodDescriptor *descriptor;
        Muster__V1__CallHead head = MUSTER__V1__CALL_HEAD__INIT;
        char path[PATH_SIZE];
        size_t size;
        rpc_call *call;
        int r;

        descriptor = protobuf_c_service_descriptor_get_method_by_name(service, method);
        if (!descriptor || request->descriptor != descriptor->input || client_path(path, service, method) < 0)
                return -EINVAL;
        if (peer->state != PEER_UP)
                return -ENOTCONN;
        size = protobuf_c_message_get_packed_size(request);
        if (size > RPC_MESSAGE_MAX)
                return -EMSGSIZE;
        if (peer->calls_made >= peer_stream_limit(peer, false) ||
            peer->out.size > peer->node->limits.out_hard ||
            size + 4 > peer->node->limits.buffered - peer->charged)
                return -ENOBUFS;
        if (peer->next_stream > UINT32_MAX - 2) {
                peer_fail(peer, RPC_UNAVAILABLE, "its stream numbers are used up: a new link begins anew");
                return -ENOTCONN;
        }

        call = call_new(peer, peer->next_stream, false);
        if (!call)
                return -ENOMEM;
        call->expects = descriptor->output;
        call->is_stream = method_is_stream(path);
        call->on_message = on_message;
        call->on_end = on_end;
        call->userdata = userdata;
        call->deadline_us = deadline_us;
        call->deadline.fire = client_on_deadline;
        if (deadline_us &&
            timer_set(&peer->node->timers, &call->deadline, node_now(peer->node) + deadline_us) < 0) {
                call_finish(call);
                return -ENOMEM;
        }
        peer->next_stream += 2;
        head.method = path;
        head.deadline_ms = (deadline_us + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
        r = client_send(call, &head, request, size);
        if (r < 0) {
                client_abandon(call); /* the head may have been written */
                call_finish(call);
                return r;
        }
        if (ret)
                *ret = call;
        return 0;
}

void rpc_call_hold(rpc_call *call, bool hold)
{
        call->held = hold;
        if (!hold && call->grant && call->listed)
                client_grant(call);
}

/* --- the answer ---------------------------------------------------------------------------------------- */

void client_grant(rpc_call *call)
{
        uint8_t *at = link_record(call->peer, call->stream, RECORD_CREDIT, 0, 4);

        if (!at)
                return;
        bytes_put32(at, call->grant);
        call->window += call->grant;
        call->grant = 0;
}

static void client_malformed(rpc_call *call, const char *what)
{
        char text[ERROR_TEXT_SIZE + 64];

        snprintf(text, sizeof(text), "the answer cannot be used: %s", what);
        client_abandon(call);
        client_end(call, RPC_INTERNAL, text);
}

static int client_message(rpc_call *call, const struct record *record)
{
        const ProtobufCMessage *message;
        const uint8_t *bytes;
        struct error error = {0};
        size_t size;
        int r;

        if (record->length > call->window)
                return -EBADMSG;
        call->window -= (uint32_t)record->length;
        call->grant += (uint32_t)record->length;
        r = call_message_part(call, record, &bytes, &size);
        if (r < 0) {
                client_malformed(call,
                                 r == -EMSGSIZE ? "it is larger than 4 MiB" : "too much waits on this link");
                return 0;
        }
        if (r > 0 && call->answered && !call->is_stream) {
                client_malformed(call, "a second message came where there is one");
                return 0;
        }
        call->answered = call->answered || r > 0;
        if (r > 0 && unpack_message(&call->node->space, call->expects, bytes, size, &message, &error) < 0) {
                client_malformed(call, error.text);
                return 0;
        }
        if (r > 0)
                call_message_done(call);
        if (!call->held && call->grant >= call->node->limits.window / 2)
                client_grant(call);
        if (r > 0 && call->on_message) {
                call_pin(call);
                call->on_message(call, message, call->userdata);
                call_unpin(call);
        }
        return 0;
}

static void client_finished(rpc_call *call, enum rpc_status code, const char *text)
{
        if (code == RPC_OK && !call->is_stream && !call->answered)
                client_end(call, RPC_INTERNAL,
                           "the answer cannot be used: it ended well and without a message");
        else
                client_end(call, code, text);
}

static int client_ended(rpc_call *call, const struct record *record)
{
        const ProtobufCMessage *message;
        const Muster__V1__CallEnd *end;

        if (record->length == 0) {
                if (call->partial.size)
                        return -EBADMSG;
                client_finished(call, RPC_OK, "");
                return 0;
        }
        if (unpack_message(&call->node->space, &muster__v1__call_end__descriptor, record->payload,
                           record->length, &message, NULL) < 0)
                return -EBADMSG;
        end = (const Muster__V1__CallEnd *)message;
        if (end->code == RPC_OK && call->partial.size)
                return -EBADMSG;
        client_finished(call, end->code <= RPC_UNAUTHENTICATED ? (enum rpc_status)end->code : RPC_UNKNOWN,
                        end->message);
        return 0;
}

int client_record(rpc_peer *peer, rpc_call *call, const struct record *record)
{
        switch (record->type) {
        case RECORD_MESSAGE:
                return client_message(call, record);
        case RECORD_END:
                return client_ended(call, record);
        default:
                return -EBADMSG;
        }
}
