/* RedisRewrite: append-only files rewritten by hand, one at a time a host, with what that saves at the next
 * load. */
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/batch.h"
#include "controller/api/handlers.h"
#include "controller/core/plan_internal.h"

/* What is known of a Redis that is rewritten; by the order of the works. */
struct rewriting {
        struct plan_rate rate;
        uint64_t used_memory;
};

static bool figure(const struct operation_report *report, const char *name, uint64_t *ret)
{
        for (size_t i = 0; i < report->figure_count; i++)
                if (text_equal(report->figures[i].name, name))
                        return text_to_u64(report->figures[i].value, ret) == 0;
        return false;
}

static void estimate(const struct rewriting *rewriting, uint64_t base, uint64_t incremental,
                     uint64_t *ret_low_us, uint64_t *ret_high_us)
{
        struct service_state state = {.kind = SERVICE_REDIS,
                                      .redis = {.aof_enabled = true,
                                                .base_bytes = base,
                                                .incremental_bytes = incremental,
                                                .used_memory = rewriting->used_memory}};
        struct step step = {.phase = PHASE_LOAD, .kind = STEP_GATE, .service = {.kind = SERVICE_REDIS}};

        plan_estimate_gate(&step, &state, &rewriting->rate, false);
        *ret_low_us = step.low_us;
        *ret_high_us = step.high_us;
}

static uint64_t less_ms(uint64_t before_us, uint64_t after_us)
{
        return before_us > after_us ? (before_us - after_us) / USEC_PER_MSEC : 0;
}

/* Fast load against fast load, slow against slow. */
static void note_saving(size_t work, const struct operation_report *report,
                        Muster__V1__FleetOperation *message, void *userdata)
{
        const struct rewriting *rewriting = (const struct rewriting *)userdata + work;
        uint64_t base, more, new_base, new_size, low, high, then_low, then_high;

        if (report->state != OPERATION_DONE || !figure(report, "base-before", &base) ||
            !figure(report, "incremental-before", &more) || !figure(report, "base-after", &new_base) ||
            !figure(report, "size-after", &new_size) || new_size < new_base)
                return;
        estimate(rewriting, base, more, &low, &high);
        estimate(rewriting, new_base, new_size - new_base, &then_low, &then_high);
        message->saves = true;
        message->saved_low_ms = less_ms(low, then_low);
        message->saved_high_ms = less_ms(high, then_high);
        if (message->saved_low_ms > message->saved_high_ms)
                message->saved_low_ms = message->saved_high_ms;
}

/* Drops those that say they keep no append-only file, and notes what is known of the others. */
static int look_at(const struct api_context *context, struct batch_work *works, size_t *count,
                   struct rewriting *rewriting)
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
                rewriting[kept] = (struct rewriting){.used_memory = state ? state->redis.used_memory : 0};
                r = loads_rate(context->store, works[i].service, &rewriting[kept].rate);
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
        cleanup_free struct rewriting *rewriting = NULL;
        cleanup_scope struct scope scope = {0};
        struct api_context *context = userdata;
        size_t count;
        int r;

        if (!api_scope_of(context, call, wanted->scope, SERVICE_REDIS, &scope))
                return;
        count = api_works(context, &scope, OPERATION_REDIS_REWRITE, "by hand", &works);
        rewriting = calloc(count + 1, sizeof(*rewriting));
        r = works && rewriting ? look_at(context, works, &count, rewriting) : -ENOMEM;
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
        how.userdata = TAKE(rewriting);
        api_operate(context, call, TAKE(works), count, &how);
}
