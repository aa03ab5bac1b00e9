/* Check: what stands in the way of a restart, by what is known now. The checks are in controller/core. */
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "controller/api/handlers.h"
#include "controller/core/checks.h"

int api_check_run(const struct api_context *context, const struct scope *scope, struct finding **ret,
                  size_t *ret_count)
{
        struct api_facts facts = {0};
        int r = api_facts_get(context, &facts);

        if (r < 0)
                return r;
        r = checks_run(context->fleet, scope, &facts.facts, time_realtime_us(), ret, ret_count);
        api_facts_clear(&facts);
        return r;
}

int api_check_send(rpc_call *call, const struct finding *finding, const char *repair, bool failed,
                   bool remaining)
{
        Muster__V1__CheckUpdate update = MUSTER__V1__CHECK_UPDATE__INIT;
        struct wire_arena arena = {0};
        int r;

        update.finding = wire_finding(&arena, finding);
        update.repair = wire_text(&arena, repair);
        update.repair_failed = failed;
        update.remaining = remaining;
        r = arena.failed ? -ENOMEM : rpc_call_send(call, &update.base);
        wire_arena_clear(&arena);
        return r;
}

void api_check(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__CheckRequest *wanted = (const Muster__V1__CheckRequest *)request;
        struct api_context *context = userdata;
        cleanup_free struct finding *findings = NULL;
        cleanup_scope struct scope scope = {0};
        size_t count = 0;
        int r;

        if (!api_scope(context, call, wanted->scope, &scope))
                return;
        r = api_check_run(context, &scope, &findings, &count);
        if (r < 0) {
                api_fail(call, "the checks cannot be made", r);
                return;
        }
        for (size_t i = 0; i < count && r == 0; i++)
                r = api_check_send(call, &findings[i], NULL, false, false);
        if (r < 0)
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED,
                             "%zu findings are too many for one answer; check a "
                             "smaller scope",
                             count);
        else if (wanted->fix)
                api_repair(context, call, &scope, &findings, count);
        else
                rpc_call_end(call, RPC_OK, "%s", "");
}
