/* Check: what stands in the way of a restart. All hosts in scope look anew first, and compare what their PM2
 * homes run with what was saved; then the checks, which are in controller/checks, judge what they saw. */
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "controller/api/handlers.h"
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

/* A check that waits for the hosts, and for what they see in PM2 homes. */
struct looking {
        struct api_context *context;
        rpc_call *call;
        struct scope scope; /* owned */
        bool fix;
        unsigned open;               /* of the two, those that have not come; one more while asking */
        struct api_look *look;       /* NULL: it has come */
        struct api_pm2_looks *looks; /* the same */
        bool *late;                  /* owned, by the fleet's hosts */
        struct plan_pm2_look *pm2;   /* owned; NULL: not known */
};

static struct looking *looking_free(struct looking *looking)
{
        if (!looking)
                return NULL;
        api_look_leave(looking->look);
        api_pm2_looks_leave(looking->looks);
        scope_clear(&looking->scope);
        free(looking->late);
        free(looking->pm2);
        free(looking);
        return NULL;
}
DEFINE_CLEANUP(struct looking *, looking_free);

static void on_cancelled(rpc_call *call, void *userdata)
{
        looking_free(userdata);
}

static void judge(struct looking *done)
{
        cleanup_with(looking_freep) struct looking *looking = done;
        cleanup_free struct finding *findings = NULL;
        rpc_call *call = looking->call;
        size_t count = 0;
        int r = api_check_run(looking->context, &looking->scope, looking->late, looking->pm2, &findings,
                              &count);

        rpc_call_watch(call, NULL, NULL, NULL);
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
        else if (looking->fix)
                api_repair(looking->context, call, &looking->scope, &findings, count, &looking->pm2);
        else
                rpc_call_end(call, RPC_OK, "%s", "");
}

static void one_came(struct looking *looking)
{
        if (--looking->open == 0)
                judge(looking);
}

static void on_looked(const bool *late, void *userdata)
{
        struct looking *looking = userdata;

        looking->look = NULL;
        memcpy(looking->late, late, looking->context->fleet->host_count * sizeof(*late));
        one_came(looking);
}

static void on_pm2(struct plan_pm2_look *facts, void *userdata)
{
        struct looking *looking = userdata;

        looking->looks = NULL;
        looking->pm2 = facts;
        one_came(looking);
}

/* Each of the two may come from within, when there is nobody to ask. */
static int ask(struct looking *looking)
{
        struct api_pm2_looks *looks = NULL;
        struct api_look *look = NULL;
        int r;

        looking->open = 3;
        r = api_look(&look, looking->context, &looking->scope, on_looked, looking);
        if (r < 0)
                return r;
        if (look)
                looking->look = look;
        r = api_pm2_looks(&looks, looking->context, &looking->scope, on_pm2, looking);
        if (r < 0)
                return r;
        if (looks)
                looking->looks = looks;
        one_came(looking);
        return 0;
}

void api_check(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__CheckRequest *wanted = (const Muster__V1__CheckRequest *)request;
        struct looking *looking = calloc(1, sizeof(*looking));
        struct api_context *context = userdata;
        int r;

        if (looking)
                looking->late = calloc(context->fleet->host_count + 1, sizeof(*looking->late));
        if (!looking || !looking->late) {
                looking_free(looking);
                api_fail(call, "the checks cannot be made", -ENOMEM);
                return;
        }
        looking->context = context;
        looking->call = call;
        looking->fix = wanted->fix;
        if (!api_scope(context, call, wanted->scope, &looking->scope)) {
                looking_free(looking);
                return;
        }
        rpc_call_watch(call, on_cancelled, NULL, looking);
        r = ask(looking);
        if (r < 0) {
                rpc_call_watch(call, NULL, NULL, NULL);
                looking_free(looking);
                api_fail(call, "the hosts cannot be asked", r);
        }
}
