/* The serving side of a call: the table decides, the handler answers. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/rpc/internal.h"
#include "proto/link.pb-c.h"

#define END_TEXT_MAX 768u

#define CALL_OF(item, member) ((rpc_call *)((char *)(item)-offsetof(rpc_call, member)))

/* --- the end ------------------------------------------------------------------------------------------- */

static void server_write_end(rpc_peer *peer, uint32_t stream, enum rpc_status code, const char *text)
{
        Muster__V1__CallEnd end = MUSTER__V1__CALL_END__INIT;
        char cut[END_TEXT_MAX];
        uint8_t *at;

        /* a handler may quote bytes that are no text; the other side would refuse them */
        if (!text_is_utf8(text, strlen(text)))
                text = rpc_status_name(code);
        text_copy_cut(cut, sizeof(cut), text);
        end.code = code;
        end.message = cut;
        at = link_record(peer, stream, RECORD_END, 0, muster__v1__call_end__get_packed_size(&end));
        if (at)
                muster__v1__call_end__pack(&end, at);
}

/* What was queued is out. */
void server_drained(rpc_call *call)
{
        if (!call->ending) {
                call_notify(call);
                return;
        }
        server_write_end(call->peer, call->stream, call->end_code, call->end_text ? call->end_text : "");
        call_finish(call);
}

static void server_end(rpc_call *call, enum rpc_status code, const char *text)
{
        if (call->finished || call->ending)
                return;
        if (code == RPC_OK && !call->is_stream && !call->answered) {
                code = RPC_INTERNAL;
                text = "the method ended well and gave no answer";
        }
        if (call->gone || !call->peer || !call->listed) {
                call_finish(call);
                return;
        }
        if (call_queued(call) || call->queue_open) {
                call->ending = true;
                call->end_code = code;
                call->end_text = *text ? strdup(text) : NULL; /* without memory the code must do */
                return;
        }
        server_write_end(call->peer, call->stream, code, text);
        call_finish(call);
}

void rpc_call_end(rpc_call *call, enum rpc_status code, const char *format, ...)
{
        char text[END_TEXT_MAX] = "";
        va_list arguments;

        va_start(arguments, format);
        if (format)
                vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        server_end(call, code, text);
}

/* The caller is gone: the handler hears of it, or finds out when it ends the call. */
void server_gone(rpc_call *call)
{
        if (call->ending || !call->asked) {
                call_finish(call);
                return;
        }
        call_pin(call);
        call_leave(call);
        call->gone = true;
        if (call->cancelled) {
                call->cancelled(call, call->userdata);
                call_finish(call);
        } else if (call->health) {
                call_finish(call);
        } else if (!call->finished) {
                call->is_orphan = true;
                TAILQ_INSERT_TAIL(&call->node->orphans, call, orphan);
        }
        call_unpin(call);
}

static void server_on_deadline(struct timer *timer)
{
        rpc_call *call = CALL_OF(timer, deadline);

        server_write_end(call->peer, call->stream, RPC_DEADLINE_EXCEEDED, "the deadline passed");
        server_gone(call);
}

/* --- answers ------------------------------------------------------------------------------------------- */

rpc_peer *rpc_call_peer(const rpc_call *call)
{
        return call->peer;
}

static bool server_is_writable(const rpc_call *call)
{
        return call->listed && !call->ending && call->peer->state == PEER_UP && call->credit > 0 &&
               !call_queued(call) && !call->queue_open;
}

bool rpc_call_writable(const rpc_call *call)
{
        bool is = server_is_writable(call);

        if (!is)
                ((rpc_call *)call)->starved = true;
        return is;
}

int rpc_call_send(rpc_call *call, const ProtobufCMessage *message)
{
        size_t size = protobuf_c_message_get_packed_size(message), queued = call_queued(call);
        int r;

        if (size > RPC_MESSAGE_MAX)
                return -EMSGSIZE;
        if (call->gone || call->ending || call->finished || !call->peer || call->peer->state != PEER_UP)
                return -ECANCELED;
        if (call->answered && !call->is_stream)
                return -EALREADY;
        if (queued && queued + size > call->node->limits.queued_call) {
                call->starved = true;
                return -ENOBUFS;
        }
        r = call_put(call, message, size);
        call->answered = call->answered || r == 0;
        if (r == -ENOBUFS || !server_is_writable(call))
                call->starved = true;
        return r;
}

void rpc_call_reply(rpc_call *call, const ProtobufCMessage *message)
{
        int r = rpc_call_send(call, message);

        if (r == -EMSGSIZE)
                server_end(call, RPC_RESOURCE_EXHAUSTED, "the answer is larger than 4 MiB: ask for less");
        else if (r < 0)
                server_end(call, RPC_RESOURCE_EXHAUSTED, "too much waits on this link already");
        else
                server_end(call, RPC_OK, "");
}

void rpc_call_watch(rpc_call *call, void (*cancelled)(rpc_call *call, void *userdata),
                    void (*writable)(rpc_call *call, void *userdata), void *userdata)
{
        call->cancelled = cancelled;
        call->writable = writable;
        call->userdata = userdata;
}

/* --- requests ------------------------------------------------------------------------------------------ */

static const char *role_name(enum rpc_role role)
{
        return role == RPC_AGENT ? "an agent" : role == RPC_USER ? "a user" : "a controller";
}

/* Whether the head may open a stream; RPC_OK and *ret_entry, or why not. */
static enum rpc_status server_decide(rpc_peer *peer, const Muster__V1__CallHead *head,
                                     const struct method_entry **ret_entry, struct error *error)
{
        const struct method_entry *entry = node_find_method(peer->node, head->method);

        if (!entry) {
                error_set(error, -ENOSYS, "%s is not served here", head->method);
                return RPC_UNIMPLEMENTED;
        }
        if (!(entry->method->callers & peer->role)) {
                error_set(error, -EPERM, "%s may not call %s", role_name(peer->role), head->method);
                return RPC_PERMISSION_DENIED;
        }
        if (peer->calls_served >= peer_stream_limit(peer, true)) {
                error_set(error, -ENOBUFS, "more than %u calls at once on one link",
                          peer_stream_limit(peer, true));
                return RPC_RESOURCE_EXHAUSTED;
        }
        *ret_entry = entry;
        return RPC_OK;
}

int server_head(rpc_peer *peer, const struct record *record)
{
        const ProtobufCMessage *message;
        const Muster__V1__CallHead *head;
        const struct method_entry *entry = NULL;
        struct error error = {0};
        enum rpc_status code;
        rpc_call *call;
        uint64_t deadline_ms;

        if (unpack_message(&peer->node->space, &muster__v1__call_head__descriptor, record->payload,
                           record->length, &message, NULL) < 0)
                return -EBADMSG;
        head = (const Muster__V1__CallHead *)message;
        code = server_decide(peer, head, &entry, &error);
        if (code != RPC_OK) {
                server_write_end(peer, record->stream, code, error.text);
                return 0;
        }
        call = call_new(peer, record->stream, true);
        if (!call)
                return -ENOMEM;
        call->entry = entry;
        call->is_stream = entry->is_stream;
        call->expects = entry->descriptor->input;
        call->deadline.fire = server_on_deadline;
        deadline_ms = head->deadline_ms;
        if (deadline_ms && deadline_ms < UINT64_MAX / 2 / USEC_PER_MSEC &&
            timer_set(&peer->node->timers, &call->deadline,
                      node_now(peer->node) + deadline_ms * USEC_PER_MSEC) < 0) {
                call_finish(call);
                return -ENOMEM;
        }
        return 0;
}

static int server_message(rpc_call *call, const struct record *record)
{
        const ProtobufCMessage *message;
        const uint8_t *bytes;
        struct error error = {0};
        size_t size;
        int r;

        if (call->asked)
                return -EBADMSG;
        r = call_message_part(call, record, &bytes, &size);
        if (r == 0)
                return 0;
        if (r < 0) {
                server_end(call, RPC_RESOURCE_EXHAUSTED,
                           r == -EMSGSIZE ? "the request is larger than 4 MiB"
                                          : "too much waits on this link already");
                return 0;
        }
        r = unpack_message(&call->node->space, call->expects, bytes, size, &message, &error);
        if (r < 0) {
                server_end(call, r == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT, error.text);
                return 0;
        }
        call_message_done(call);
        call->asked = true;
        call_pin(call);
        call->entry->method->handle(call, message, call->entry->userdata);
        call_unpin(call);
        return 0;
}

static int server_credit(rpc_call *call, const struct record *record)
{
        uint32_t more = bytes_get32(record->payload);

        if (more == 0 || more > call->node->limits.window - call->credit)
                return -EBADMSG;
        call->credit += more;
        call_set_ready(call);
        if (!call_queued(call) && !call->queue_open)
                call_notify(call);
        return 0;
}

int server_record(rpc_peer *peer, rpc_call *call, const struct record *record)
{
        switch (record->type) {
        case RECORD_MESSAGE:
                return server_message(call, record);
        case RECORD_CREDIT:
                return server_credit(call, record);
        case RECORD_CANCEL:
                server_gone(call);
                return 0;
        default:
                return -EBADMSG;
        }
}
