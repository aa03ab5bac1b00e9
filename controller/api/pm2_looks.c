/* For the checks: how all PM2 homes in scope stand to their last snapshots and to PM2's own dumps. Only read
 * when somebody asks for the checks; see handlers.h. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/api/look.h"

/* Differences of each home that an agent tells; of them one is named. */
#define TOLD_MOST 200u

struct api_pm2_looks {
        const struct fleet *fleet;
        struct api_ask *ask;         /* NULL: all have answered */
        struct plan_pm2_look *facts; /* owned, by the fleet's services */
        void (*done)(struct plan_pm2_look *facts, void *userdata);
        void *userdata;
};

struct api_pm2_looks *api_pm2_looks_leave(struct api_pm2_looks *looks)
{
        if (!looks)
                return NULL;
        api_ask_free(looks->ask);
        free(looks->facts);
        free(looks);
        return NULL;
}

static const ProtobufCMessage *question(struct wire_arena *arena, const struct fleet_service *service,
                                        void *userdata)
{
        Muster__V1__Pm2LookRequest *question = wire_alloc(arena, sizeof(*question));
        char **from = wire_alloc(arena, 2 * sizeof(*from));

        if (!question || !from)
                return NULL;
        muster__v1__pm2_look_request__init(question);
        question->service = wire_spec(arena, &service->spec);
        from[0] = wire_text(arena, "");
        from[1] = wire_text(arena, "dump");
        question->from = from;
        question->n_from = 2;
        question->to = wire_text(arena, "live");
        question->running_alike = true;
        question->most = TOLD_MOST;
        return &question->base;
}

/* Of one that fell, if any did. */
static const Muster__V1__Pm2Difference *pick(const Muster__V1__Pm2Comparison *comparison)
{
        for (size_t i = 0; comparison->apps_fallen && i < comparison->n_differences; i++) {
                const Muster__V1__Pm2Difference *item = comparison->differences[i];

                if ((text_equal(item->what, "missing") && !text_equal(item->before, "stopped")) ||
                    (text_equal(item->what, "status") && !text_equal(item->after, "online")))
                        return item;
        }
        return comparison->n_differences ? comparison->differences[0] : NULL;
}

static void name_first(const Muster__V1__Pm2Comparison *comparison, char *out, size_t size)
{
        const Muster__V1__Pm2Difference *item = pick(comparison);
        char line[4 * TEXT_SIZE], id[24] = "";

        if (!item)
                return;
        if (item->pm_id >= 0)
                snprintf(id, sizeof(id), " (%d)", item->pm_id);
        if (text_equal(item->what, "missing") || text_equal(item->what, "extra"))
                snprintf(line, sizeof(line), "%.120s%s is %s now", item->app, id,
                         text_equal(item->what, "extra") ? "new" : "gone");
        else
                snprintf(line, sizeof(line), "%.120s%s: %.31s was %.120s, is %.120s", item->app, id,
                         item->what, item->before[0] ? item->before : "unset",
                         item->after[0] ? item->after : "unset");
        text_copy_clean(out, size, line);
}

static void take(struct pm2_saved *ret, const Muster__V1__Pm2Comparison *comparison)
{
        if (comparison->failure == RPC_NOT_FOUND) {
                ret->absent = true;
                return;
        }
        if (comparison->failure || !comparison->from) {
                ret->unsound = comparison->failure == RPC_DATA_LOSS ||
                               comparison->failure == RPC_FAILED_PRECONDITION;
                text_copy_clean(ret->failure, sizeof(ret->failure),
                                comparison->failure_text[0] ? comparison->failure_text : "no reason given");
                return;
        }
        ret->absent = comparison->from->absent;
        ret->saved_us = comparison->from->saved_us;
        ret->differing = comparison->apps_differing;
        ret->fallen = comparison->apps_fallen;
        text_copy_clean(ret->name, sizeof(ret->name), comparison->from->name);
        name_first(comparison, ret->first, sizeof(ret->first));
}

static void on_answer(const struct fleet_service *service, const ProtobufCMessage *reply,
                      enum rpc_status code, const char *text, void *userdata)
{
        const Muster__V1__Pm2LookReply *looked = (const Muster__V1__Pm2LookReply *)reply;
        struct api_pm2_looks *looks = userdata;
        struct plan_pm2_look *fact = &looks->facts[service - looks->fleet->services];

        if (looked && looked->to && looked->to->absent)
                return; /* no daemon: another check says so */
        fact->asked = true;
        if (looked && looked->to && looked->n_comparisons == 2) {
                take(&fact->snapshot, looked->comparisons[0]);
                take(&fact->dump, looked->comparisons[1]);
                return;
        }
        text_copy_clean(fact->snapshot.failure, sizeof(fact->snapshot.failure),
                        text[0] ? text : "the agent's answer is of something else");
        /* Said once: of the dump nothing is known. */
}

static void on_done(void *userdata)
{
        struct api_pm2_looks *looks = userdata;
        struct plan_pm2_look *facts = TAKE(looks->facts);

        looks->ask = NULL;
        looks->done(facts, looks->userdata);
        free(looks);
}

int api_pm2_looks(struct api_pm2_looks **ret, const struct api_context *context, const struct scope *scope,
                  void (*done)(struct plan_pm2_look *facts, void *userdata), void *userdata)
{
        struct api_asking asking = {.method = "Pm2Look",
                                    .deadline_us = API_LOOK_US,
                                    .question = question,
                                    .answer = on_answer,
                                    .done = on_done};
        struct api_pm2_looks *looks = calloc(1, sizeof(*looks));
        struct api_ask *ask = NULL;
        int r = -ENOMEM;

        if (!looks)
                return r;
        *looks = (struct api_pm2_looks){.fleet = context->fleet, .done = done, .userdata = userdata};
        looks->facts = calloc(context->fleet->service_count + 1, sizeof(*looks->facts));
        asking.userdata = looks;
        if (looks->facts)
                r = api_ask(&ask, context, scope, SERVICE_PM2, &asking);
        if (r < 0) {
                api_pm2_looks_leave(looks);
                return r;
        }
        *ret = ask ? looks : NULL;
        if (ask)
                looks->ask = ask;
        return 0;
}
