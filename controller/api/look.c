/* See look.h. A host's answer cannot be called off: who waits for it outlives the call it is for. */
#include "controller/api/look.h"

#include <stdlib.h>

#include "common/base/cleanup.h"

struct looking {
        const struct api_looking *how;
        struct api_looked looked;    /* call NULL: nobody waits (any more). request, scope, pm2: owned */
        struct api_pm2_looks *looks; /* NULL: not asked for, or they have come */
        size_t open;                 /* hosts, and looks, that have not come; one more while asking */
        bool late[];                 /* by the fleet's hosts */
};

/* Nobody waits any more: frees what was for the call. */
static void leave(struct looking *looking)
{
        struct api_looked *looked = &looking->looked;

        if (looked->request)
                protobuf_c_message_free_unpacked(looked->request, NULL);
        scope_clear(&looked->scope);
        free(looked->pm2);
        *looked = (struct api_looked){0};
}

static void one_came(struct looking *looking)
{
        if (--looking->open > 0)
                return;
        if (looking->looked.call) {
                rpc_call_watch(looking->looked.call, NULL, NULL, NULL);
                looking->how->go_on(&looking->looked);
        }
        leave(looking);
        free(looking);
}

static void on_looked(size_t host, enum rpc_status code, void *userdata)
{
        struct looking *looking = userdata;

        looking->late[host] = code != RPC_OK;
        one_came(looking);
}

static void on_pm2(struct plan_pm2_look *facts, void *userdata)
{
        struct looking *looking = userdata;

        looking->looks = NULL;
        looking->looked.pm2 = facts;
        one_came(looking);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        struct looking *looking = userdata;

        leave(looking);
        if (looking->looks) {
                looking->looks = api_pm2_looks_leave(looking->looks);
                one_came(looking);
        }
}

static struct looking *looking_new(const struct api_context *context)
{
        struct looking *looking = calloc(1, sizeof(*looking) + context->fleet->host_count);

        if (looking)
                looking->open = 1;
        return looking;
}

static void ask(struct looking *looking, const struct api_context *context, const struct scope *scope)
{
        for (size_t i = 0; i < context->fleet->host_count; i++) {
                int r = scope->hosts[i] ? agents_look(context->agents, i, API_LOOK_US, on_looked, looking)
                                        : -ENOTCONN;

                if (r == 0)
                        looking->open++;
                else
                        looking->late[i] = r != -ENOTCONN;
        }
}

void api_look(const struct api_context *context, const struct scope *scope)
{
        struct looking *looking = looking_new(context);

        if (!looking)
                return;
        ask(looking, context, scope);
        one_came(looking);
}

static ProtobufCMessage *copy_of(const ProtobufCMessage *message)
{
        size_t size = protobuf_c_message_get_packed_size(message);
        cleanup_free uint8_t *bytes = malloc(size + 1);

        if (!bytes)
                return NULL;
        protobuf_c_message_pack(message, bytes);
        return protobuf_c_message_unpack(message->descriptor, NULL, size, bytes);
}

void api_look_first(struct api_context *context, rpc_call *call, const ProtobufCMessage *request,
                    const char *scope, const struct api_looking *how)
{
        struct looking *looking = looking_new(context);
        struct api_looked *looked;
        int r = 0;

        if (looking) {
                looking->how = how;
                looking->looked = (struct api_looked){
                        .context = context, .request = copy_of(request), .late = looking->late};
        }
        if (!looking || !looking->looked.request) {
                free(looking);
                api_fail(call, how->failure, -ENOMEM);
                return;
        }
        looked = &looking->looked;
        if (!api_scope(context, call, scope, &looked->scope)) {
                one_came(looking); /* nobody waits: only freed */
                return;
        }
        looked->call = call;
        rpc_call_watch(call, on_cancelled, NULL, looking);
        ask(looking, context, &looked->scope);
        if (how->pm2) {
                looking->open++;
                r = api_pm2_looks(&looking->looks, context, &looked->scope, on_pm2, looking);
        }
        if (r < 0) {
                looking->open--;
                rpc_call_watch(call, NULL, NULL, NULL);
                leave(looking);
                api_fail(call, "the hosts cannot be asked", r);
        }
        one_came(looking);
}
