/* Check: what stands in the way of a restart. All hosts in scope look anew first, and compare what their PM2
 * homes run with what was saved; then the checks, which are in controller/checks, judge what they saw. */
#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "controller/api/look.h"
#include "controller/checks/checks.h"

int api_check_run(const struct api_context *context, const struct scope *scope, const bool *late,
                  const struct plan_pm2_look *pm2, struct finding **ret, size_t *ret_count)
{
        struct api_facts facts = {0};
        int r = api_facts_get(context, &facts);

        if (r < 0)
                return r;
        for (size_t i = 0; late && i < context->fleet->host_count; i++)
                facts.hosts[i].late = late[i];
        facts.facts.pm2 = pm2;
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

static void judge(struct api_looked *looked)
{
        const Muster__V1__CheckRequest *wanted = (const Muster__V1__CheckRequest *)looked->request;
        cleanup_free struct finding *findings = NULL;
        rpc_call *call = looked->call;
        size_t count = 0;
        int r = api_check_run(looked->context, &looked->scope, looked->late, looked->pm2, &findings, &count);

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
                api_repair(looked->context, call, &looked->scope, &findings, count, &looked->pm2);
        else
                rpc_call_end(call, RPC_OK, "%s", "");
}

void api_check(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        static const struct api_looking how = {
                .failure = "the checks cannot be made", .pm2 = true, .go_on = judge};

        api_look_first(userdata, call, request, ((const Muster__V1__CheckRequest *)request)->scope, &how);
}
