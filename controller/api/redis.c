/* RedisRewrite: append-only files rewritten by hand, one at a time a host, with what that saves at the next
 * load. */
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/batch.h"
#include "controller/api/handlers.h"
#include "controller/core/load_saving.h"

static void note_saving(size_t work, const struct operation_report *report,
                        Muster__V1__FleetOperation *message, void *userdata)
{
        const struct plan_rate *rates = userdata;
        struct load_saving saving;

        if (report->state != OPERATION_DONE ||
            !load_saving(&saving, report->figures, report->figure_count, &rates[work]))
                return;
        message->saves = true;
        message->saved_low_ms = saving.low_us / USEC_PER_MSEC;
        message->saved_high_ms = saving.high_us / USEC_PER_MSEC;
}

/* Drops those that say they keep no append-only file, and reads what was learned of the others' loads. */
static int look_at(const struct api_context *context, struct batch_work *works, size_t *count,
                   struct plan_rate *rates)
{
        size_t kept = 0;

        for (size_t i = 0; i < *count; i++) {
                int host = agents_find(context->agents, works[i].host), r;
                const struct service_state *state = NULL;
                struct agent_view view;

                if (host >= 0) {
                        agents_view(context->agents, (size_t)host, &view);
                        state = view.state ? agent_state_service(view.state, works[i].service) : NULL;
                }
                if (state && state->redis.answering && !state->redis.loading && !state->redis.aof_enabled)
                        continue;
                r = loads_rate(context->store, works[i].service, &rates[kept]);
                if (r < 0 && r != -ENOENT)
                        return r;
                works[kept++] = works[i];
        }
        *count = kept;
        return 0;
}

void api_redis_rewrite(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__FleetRedisRewriteRequest *wanted =
                (const Muster__V1__FleetRedisRewriteRequest *)request;
        struct api_operating how = {.action = "redis rewrite", .look = "muster status", .note = note_saving};
        cleanup_free struct batch_work *works = NULL;
        cleanup_free struct plan_rate *rates = NULL;
        cleanup_scope struct scope scope = {0};
        struct api_context *context = userdata;
        size_t count;
        int r;

        if (!api_scope_of(context, call, wanted->scope, SERVICE_REDIS, &scope))
                return;
        count = api_works(context, &scope, OPERATION_REDIS_REWRITE, "by hand", &works);
        rates = calloc(count + 1, sizeof(*rates));
        r = works && rates ? look_at(context, works, &count, rates) : -ENOMEM;
        if (r < 0) {
                api_fail(call, "nothing can be begun", r);
                return;
        }
        if (count == 0) {
                rpc_call_end(call, RPC_FAILED_PRECONDITION,
                             "no Redis in %s keeps an append-only file: there is nothing to rewrite",
                             api_scope_name(wanted->scope));
                return;
        }
        how.userdata = TAKE(rates);
        api_operate(context, call, TAKE(works), count, &how);
}
