/* Pm2Diff and Pm2Snapshots: what the agents see in PM2 homes, service by service as it comes. The agents
 * compare; nothing of an environment comes here. */
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/handlers.h"

#define LOOK_DEADLINE_US (20 * USEC_PER_SEC)

/* One call of the command line's, and the question to the agents that it became. */
struct asking_pm2 {
        struct api_context *context;
        rpc_call *call;
        struct api_ask *ask; /* NULL: not begun, or ended */
        char from[NAME_SIZE], to[NAME_SIZE];
        int failed; /* negative errno: an answer could not be passed on */
};

static void asking_free(struct asking_pm2 *asking)
{
        api_ask_free(asking->ask);
        free(asking);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        asking_free(userdata);
}

static void on_done(void *userdata)
{
        struct asking_pm2 *asking = userdata;

        asking->ask = NULL;
        if (asking->failed < 0)
                rpc_call_end(asking->call, RPC_RESOURCE_EXHAUSTED,
                             "the answers are too many for one call; ask for a smaller scope");
        else
                rpc_call_end(asking->call, RPC_OK, "%s", "");
        asking_free(asking);
}

static void pass_on(struct asking_pm2 *asking, struct wire_arena *arena, const ProtobufCMessage *message)
{
        int r = arena->failed ? -ENOMEM : rpc_call_send(asking->call, message);

        if (r < 0)
                asking->failed = r;
        wire_arena_clear(arena);
}

/* Begins to ask; ends the call if that cannot be. */
static void begin(struct api_context *context, rpc_call *call, const struct scope *scope,
                  const struct asking_pm2 *what, struct api_asking *how)
{
        struct asking_pm2 *asking = malloc(sizeof(*asking));
        struct api_ask *ask;
        int r = -ENOMEM;

        if (asking) {
                *asking = *what;
                asking->context = context;
                asking->call = call;
                how->deadline_us = LOOK_DEADLINE_US;
                how->done = on_done;
                how->userdata = asking;
                rpc_call_watch(call, on_cancelled, NULL, asking);
                r = api_ask(&ask, context, scope, SERVICE_PM2, how);
                if (r == 0 && ask)
                        asking->ask = ask;
        }
        if (r < 0) {
                rpc_call_watch(call, NULL, NULL, NULL);
                free(asking);
                api_fail(call, "the agents cannot be asked", r);
        }
}

/* --- Pm2Diff --- */

static const ProtobufCMessage *diff_question(struct wire_arena *arena, const struct fleet_service *service,
                                             void *userdata)
{
        const struct asking_pm2 *asking = userdata;
        Muster__V1__Pm2LookRequest *question = wire_alloc(arena, sizeof(*question));
        char **from = wire_alloc(arena, sizeof(*from));

        if (!question || !from)
                return NULL;
        muster__v1__pm2_look_request__init(question);
        question->service = wire_spec(arena, &service->spec);
        from[0] = wire_text(arena, asking->from);
        question->from = from;
        question->n_from = 1;
        question->to = wire_text(arena, asking->to);
        return &question->base;
}

static void diff_answer(const struct fleet_service *service, const ProtobufCMessage *reply,
                        enum rpc_status code, const char *text, void *userdata)
{
        const Muster__V1__Pm2LookReply *looked = (const Muster__V1__Pm2LookReply *)reply;
        Muster__V1__FleetPm2Diff update = MUSTER__V1__FLEET_PM2_DIFF__INIT;
        struct asking_pm2 *asking = userdata;
        const char *host = asking->context->fleet->hosts[service->host].name;
        struct wire_arena arena = {0};
        char holder[NAME_SIZE];

        update.host = wire_text(&arena, host);
        update.service = wire_text(&arena, service->spec.name);
        if (store_lock_holder(asking->context->store, host, holder) == 0)
                update.held_by = wire_text(&arena, holder);
        if (looked && (looked->n_comparisons != 1 || !looked->to)) {
                code = RPC_DATA_LOSS;
                text = "its agent's answer is of something else";
        }
        if (code == RPC_OK) {
                update.to = looked->to;
                update.comparison = looked->comparisons[0];
        } else {
                update.failure = code;
                update.failure_text = wire_text(&arena, text);
        }
        pass_on(asking, &arena, &update.base);
}

void api_pm2_diff(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__FleetPm2DiffRequest *wanted = (const Muster__V1__FleetPm2DiffRequest *)request;
        struct api_asking how = {.method = "Pm2Look", .question = diff_question, .answer = diff_answer};
        const char *to = wanted->to[0] ? wanted->to : "live";
        cleanup_scope struct scope scope = {0};
        struct asking_pm2 what = {0};

        if ((wanted->from[0] && !text_is_name(wanted->from)) || !text_is_name(to) ||
            TEXT_COPY(what.from, wanted->from) < 0 || TEXT_COPY(what.to, to) < 0) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "what is compared is 'live', 'dump' or a snapshot's name (muster pm2 ls)");
                return;
        }
        if (text_equal(what.from, what.to)) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "%s is what %s is: nothing to compare", what.from,
                             what.to);
                return;
        }
        if (api_scope_of(userdata, call, wanted->scope, SERVICE_PM2, &scope))
                begin(userdata, call, &scope, &what, &how);
}

/* --- Pm2Snapshots --- */

static const ProtobufCMessage *snapshots_question(struct wire_arena *arena,
                                                  const struct fleet_service *service, void *userdata)
{
        Muster__V1__Pm2SnapshotsRequest *question = wire_alloc(arena, sizeof(*question));

        if (!question)
                return NULL;
        muster__v1__pm2_snapshots_request__init(question);
        question->service = wire_spec(arena, &service->spec);
        return &question->base;
}

static void snapshots_answer(const struct fleet_service *service, const ProtobufCMessage *reply,
                             enum rpc_status code, const char *text, void *userdata)
{
        const Muster__V1__Pm2SnapshotsReply *listed = (const Muster__V1__Pm2SnapshotsReply *)reply;
        Muster__V1__FleetPm2Snapshots update = MUSTER__V1__FLEET_PM2_SNAPSHOTS__INIT;
        struct asking_pm2 *asking = userdata;
        struct wire_arena arena = {0};

        update.host = wire_text(&arena, asking->context->fleet->hosts[service->host].name);
        update.service = wire_text(&arena, service->spec.name);
        if (listed) {
                update.snapshots = listed->snapshots;
                update.n_snapshots = listed->n_snapshots;
        } else {
                update.failure = code;
                update.failure_text = wire_text(&arena, text);
        }
        pass_on(asking, &arena, &update.base);
}

void api_pm2_snapshots(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__FleetPm2SnapshotsRequest *wanted =
                (const Muster__V1__FleetPm2SnapshotsRequest *)request;
        struct api_asking how = {
                .method = "Pm2Snapshots", .question = snapshots_question, .answer = snapshots_answer};
        cleanup_scope struct scope scope = {0};
        struct asking_pm2 what = {0};

        if (api_scope_of(userdata, call, wanted->scope, SERVICE_PM2, &scope))
                begin(userdata, call, &scope, &what, &how);
}
