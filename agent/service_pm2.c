/* Pm2Look and Pm2Snapshots: what stands in a PM2 home and its snapshots, compared on this host. What leaves
 * it are names, states, paths and hashes (agent/pm2/diff.h). See service.h. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/pm2/find.h"
#include "agent/pm2/look.h"
#include "agent/pm2/shelf.h"
#include "agent/service.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/rpc/wire.h"

#define ANSWER_US  (10 * USEC_PER_SEC) /* how long PM2 may take to list its apps */
#define CALLS_MOST 16u                 /* each holds the lists of a home */
/* Of one comparison: all of a call's fit into a message, however long their texts are. */
#define DIFFERENCES_MOST 1000u

struct pm2_call {
        struct agent_service *service;
        rpc_call *call;
        bool for_shelf;                  /* Pm2Snapshots; else Pm2Look: */
        struct pm2_look_request request; /* what is to be compared */
        uint32_t most;
        pm2_find *find;
        pm2_look *look;
        pm2_shelf *shelf;
        struct pm2_call *next;
};

static void forget(struct pm2_call *asked)
{
        for (struct pm2_call **at = &asked->service->pm2_calls; *at; at = &(*at)->next)
                if (*at == asked) {
                        *at = asked->next;
                        break;
                }
        pm2_find_free(asked->find);
        pm2_look_free(asked->look);
        pm2_shelf_free(asked->shelf);
        free(asked);
        malloc_trim(0); /* megabytes of environments */
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        forget(userdata);
}

static enum rpc_status status_of(int r)
{
        switch (r) {
        case 0:
                return RPC_OK;
        case -ENOENT:
                return RPC_NOT_FOUND;
        case -EINVAL:
                return RPC_INVALID_ARGUMENT;
        case -EBADMSG:
                return RPC_DATA_LOSS;
        case -ETIMEDOUT:
                return RPC_DEADLINE_EXCEEDED;
        case -ENOMEM:
        case -E2BIG:
                return RPC_RESOURCE_EXHAUSTED;
        default:
                return RPC_FAILED_PRECONDITION;
        }
}

/* --- messages ------------------------------------------------------------------------------------------- */

static Muster__V1__Pm2Side *wire_side(struct wire_arena *arena, const struct pm2_side *side)
{
        Muster__V1__Pm2Side *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__pm2_side__init(message);
        message->name = wire_text(arena, side->name);
        message->absent = side->absent;
        message->saved_us = side->saved_us;
        message->apps = (uint32_t)side->apps;
        message->online = (uint32_t)side->online;
        message->stopped = (uint32_t)side->stopped;
        message->errored = (uint32_t)side->errored;
        return message;
}

static Muster__V1__Pm2Difference *wire_difference(struct wire_arena *arena, const struct pm2_difference *item)
{
        Muster__V1__Pm2Difference *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__pm2_difference__init(message);
        message->pm_id = (int32_t)item->pm_id;
        message->app = wire_text(arena, item->name);
        message->what = wire_text(arena, item->what);
        message->before = wire_text(arena, item->before);
        message->after = wire_text(arena, item->after);
        return message;
}

static Muster__V1__Pm2Comparison *wire_comparison(struct wire_arena *arena,
                                                  const struct pm2_comparison *comparison, uint32_t most)
{
        Muster__V1__Pm2Comparison *message = wire_alloc(arena, sizeof(*message));
        const struct pm2_diff *diff = &comparison->diff;
        size_t count = diff->count < most ? diff->count : most;

        if (!message)
                return NULL;
        muster__v1__pm2_comparison__init(message);
        message->from = wire_side(arena, &comparison->from);
        message->total = (uint32_t)diff->count;
        message->apps_differing = (uint32_t)diff->apps;
        message->apps_fallen = (uint32_t)diff->fallen;
        message->failure = status_of(comparison->failure);
        if (comparison->failure < 0)
                message->failure_text = wire_text(arena, error_text(&comparison->error, comparison->failure));
        message->differences = wire_alloc(arena, (count + 1) * sizeof(*message->differences));
        for (size_t i = 0; message->differences && i < count; i++)
                message->differences[message->n_differences++] = wire_difference(arena, &diff->items[i]);
        return message;
}

static Muster__V1__Pm2Snapshot *wire_shelved(struct wire_arena *arena, const struct pm2_shelved *shelved)
{
        Muster__V1__Pm2Snapshot *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__pm2_snapshot__init(message);
        message->side = wire_side(arena, &shelved->side);
        message->bytes = shelved->bytes;
        if (shelved->failure < 0)
                message->failure = wire_text(arena, error_text(&shelved->error, shelved->failure));
        return message;
}

/* Ends the call and all that was made for it. */
static void answer(struct pm2_call *asked, struct wire_arena *arena, const ProtobufCMessage *message)
{
        rpc_call *call = asked->call;

        if (arena->failed)
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
        else
                rpc_call_reply(call, message);
        wire_arena_clear(arena);
        forget(asked);
}

static void refuse(struct pm2_call *asked, enum rpc_status code, const char *text)
{
        rpc_call_end(asked->call, code, "%s", text);
        forget(asked);
}

static void on_looked(void *userdata, int r, const struct pm2_look_result *result, const struct error *error)
{
        struct pm2_call *asked = userdata;
        Muster__V1__Pm2LookReply reply = MUSTER__V1__PM2_LOOK_REPLY__INIT;
        Muster__V1__Pm2Comparison *comparisons[PM2_LOOKS_MAX];
        struct wire_arena arena = {0};

        if (r < 0) {
                refuse(asked, status_of(r), error_text(error, r));
                return;
        }
        reply.to = wire_side(&arena, &result->to);
        reply.comparisons = comparisons;
        for (size_t i = 0; i < result->count && !arena.failed; i++)
                comparisons[reply.n_comparisons++] =
                        wire_comparison(&arena, &result->comparisons[i], asked->most);
        answer(asked, &arena, &reply.base);
}

static void on_shelf(void *userdata, int r, const struct pm2_shelved *all, size_t count,
                     const struct error *error)
{
        struct pm2_call *asked = userdata;
        Muster__V1__Pm2SnapshotsReply reply = MUSTER__V1__PM2_SNAPSHOTS_REPLY__INIT;
        Muster__V1__Pm2Snapshot *snapshots[PM2_SHELF_MAX];
        struct wire_arena arena = {0};

        if (r < 0) {
                refuse(asked, status_of(r), error_text(error, r));
                return;
        }
        reply.snapshots = snapshots;
        for (size_t i = 0; i < count && !arena.failed; i++)
                snapshots[reply.n_snapshots++] = wire_shelved(&arena, &all[i]);
        answer(asked, &arena, &reply.base);
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/* What both calls begin with. NULL: the call has been ended. */
static struct pm2_call *pm2_call_new(struct agent_service *service, rpc_call *call,
                                     const Muster__V1__ServiceSpec *service_message,
                                     struct service_spec *ret_spec)
{
        struct pm2_call *asked;
        size_t count = 0;

        for (const struct pm2_call *other = service->pm2_calls; other; other = other->next)
                count++;
        if (count >= CALLS_MOST) {
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "PM2 homes are being looked at %zu times already",
                             count);
                return NULL;
        }
        *ret_spec = (struct service_spec){0};
        if (!service_message || wire_read_spec(ret_spec, service_message) < 0 ||
            ret_spec->kind != SERVICE_PM2) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "a service of kind pm2 is needed");
                return NULL;
        }
        asked = calloc(1, sizeof(*asked));
        if (!asked) {
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return NULL;
        }
        *asked = (struct pm2_call){.service = service, .call = call, .next = service->pm2_calls};
        service->pm2_calls = asked;
        rpc_call_watch(call, on_cancelled, NULL, asked);
        return asked;
}

static int snapshots_folder(const struct agent_service *service, char ret[PATH_SIZE])
{
        return snprintf(ret, PATH_SIZE, "%s/pm2", service->folder) >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

static void on_found(void *userdata, int r, const struct pm2_home *home, const struct error *cause)
{
        struct pm2_call *asked = userdata;
        sd_event *event = asked->service->event;
        struct error error = {0};
        char folder[PATH_SIZE];

        if (r < 0) {
                refuse(asked, RPC_FAILED_PRECONDITION, error_text(cause, r));
                return;
        }
        r = snapshots_folder(asked->service, folder);
        if (r == 0 && asked->for_shelf)
                r = pm2_shelf_new(&asked->shelf, event, home, folder, on_shelf, asked);
        else if (r == 0)
                r = pm2_look_new(&asked->look, event, home, folder, &asked->request, ANSWER_US, on_looked,
                                 asked, &error);
        if (r < 0)
                refuse(asked, status_of(r), error_text(&error, r));
}

static void find_home(struct pm2_call *asked, const struct service_spec *spec)
{
        struct error error = {0};
        int r = pm2_find_new(&asked->find, asked->service->event, spec->user, spec->home, 0, NULL, on_found,
                             asked, &error);

        if (r < 0)
                refuse(asked, RPC_FAILED_PRECONDITION, error_text(&error, r));
}

static int read_request(struct pm2_look_request *ret, const Muster__V1__Pm2LookRequest *message)
{
        *ret = (struct pm2_look_request){.flags = message->running_alike ? PM2_DIFF_RUNS : 0};
        if (message->n_from > PM2_LOOKS_MAX || TEXT_COPY(ret->to, message->to) < 0)
                return -EINVAL;
        for (size_t i = 0; i < message->n_from; i++)
                if (TEXT_COPY(ret->from[ret->from_count++], message->from[i]) < 0)
                        return -EINVAL;
        return 0;
}

void service_pm2_look(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__Pm2LookRequest *wanted = (const Muster__V1__Pm2LookRequest *)request;
        struct service_spec spec;
        struct pm2_call *asked = pm2_call_new(userdata, call, wanted->service, &spec);
        int r;

        if (!asked)
                return;
        asked->most = wanted->most && wanted->most < DIFFERENCES_MOST ? wanted->most : DIFFERENCES_MOST;
        r = read_request(&asked->request, wanted);
        if (r < 0)
                refuse(asked, status_of(r), error_text(NULL, r));
        else
                find_home(asked, &spec);
}

void service_pm2_snapshots(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__Pm2SnapshotsRequest *wanted = (const Muster__V1__Pm2SnapshotsRequest *)request;
        struct service_spec spec;
        struct pm2_call *asked = pm2_call_new(userdata, call, wanted->service, &spec);

        if (!asked)
                return;
        asked->for_shelf = true;
        find_home(asked, &spec);
}

void service_pm2_stop(struct agent_service *service)
{
        while (service->pm2_calls) {
                rpc_call_watch(service->pm2_calls->call, NULL, NULL, NULL);
                forget(service->pm2_calls);
        }
}
