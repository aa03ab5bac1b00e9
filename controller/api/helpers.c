/* What all handlers share; see handlers.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/handlers.h"

bool api_scope(const struct api_context *context, rpc_call *call, const char *text, struct scope *ret)
{
        struct error error = {0};
        int r = scope_parse(ret, context->fleet, text, &error);

        if (r == 0)
                return true;
        rpc_call_end(call, r == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT, "%s",
                     error_text(&error, r));
        return false;
}

bool api_record(const struct api_context *context, rpc_call *call, const char *action, const char *format,
                ...)
{
        const char *user = rpc_peer_name(rpc_call_peer(call));
        va_list arguments;
        char line[2048], text[1024];
        int r;

        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        /* A cut inside a character would be no text: nothing that lists the trail could carry it. */
        text_copy_clean(text, sizeof(text), line);
        r = store_audit_add(context->store, time_realtime_us(), user, action, text);
        if (r == 0)
                return true;
        api_fail(call, "the audit trail cannot be written", r);
        return false;
}

void api_fail(rpc_call *call, const char *what, int code)
{
        rpc_call_end(call, code == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_INTERNAL, "%s: %s", what,
                     strerror(-code));
}

void api_reply(rpc_call *call, struct wire_arena *arena, const ProtobufCMessage *message)
{
        if (!message || arena->failed)
                api_fail(call, "the answer cannot be made", -ENOMEM);
        else
                rpc_call_reply(call, message);
        wire_arena_clear(arena);
}

const char *api_scope_name(const char *text)
{
        return text[0] ? text : "the whole fleet";
}
