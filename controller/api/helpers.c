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

bool api_scope_of(const struct api_context *context, rpc_call *call, const char *text, enum service_kind kind,
                  struct scope *ret)
{
        const struct fleet *fleet = context->fleet;
        const struct fleet_service *other = NULL;

        if (!api_scope(context, call, text, ret))
                return false;
        for (size_t i = 0; i < fleet->service_count; i++) {
                if (!ret->services[i])
                        continue;
                if (fleet->services[i].spec.kind == kind)
                        return true;
                other = &fleet->services[i];
        }
        if (other)
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "nothing of kind %s is in %s: %s is of kind %s; %%%s names all that are",
                             service_kind_name(kind), api_scope_name(text), other->spec.name,
                             service_kind_name(other->spec.kind), service_kind_name(kind));
        else
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "no service is in %s", api_scope_name(text));
        return false;
}
