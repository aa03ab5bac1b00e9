/* Pm2Save and Pm2Restore: operations on PM2 homes by hand (batch.h). */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/api/batch.h"
#include "controller/api/handlers.h"

/* One work a service of kind pm2 in scope; snapshot is its name on each. */
static size_t list_works(const struct api_context *context, const struct scope *scope,
                         enum operation_kind kind, const char *snapshot, struct batch_work **ret)
{
        char why[2 * NAME_SIZE];
        size_t count;

        snprintf(why, sizeof(why), "snapshot %s", snapshot);
        count = api_works(context, scope, kind, why, ret);
        for (size_t i = 0; i < count; i++)
                TEXT_COPY((*ret)[i].snapshot, snapshot);
        return count;
}

void api_pm2_save(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__FleetPm2SaveRequest *wanted = (const Muster__V1__FleetPm2SaveRequest *)request;
        struct api_context *context = userdata;
        cleanup_scope struct scope scope = {0};
        const struct api_operating how = {.action = "pm2 save", .look = "muster pm2 ls"};
        struct batch_work *works;
        char name[NAME_SIZE];
        size_t count;

        if (!api_scope_of(context, call, wanted->scope, SERVICE_PM2, &scope))
                return;
        runner_make_id('s', name);
        count = list_works(context, &scope, OPERATION_PM2_SAVE, name, &works);
        if (works)
                api_operate(context, call, works, count, &how);
        else
                api_fail(call, "nothing can be begun", -ENOMEM);
}

void api_pm2_restore(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__FleetPm2RestoreRequest *wanted =
                (const Muster__V1__FleetPm2RestoreRequest *)request;
        struct api_context *context = userdata;
        cleanup_scope struct scope scope = {0};
        const struct api_operating how = {.action = "pm2 restore", .look = "muster pm2 diff"};
        cleanup_free struct batch_work *works = NULL;
        size_t count;

        if (!text_is_name(wanted->snapshot)) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "'%s' is no snapshot's name (muster pm2 ls)",
                             wanted->snapshot);
                return;
        }
        if (!api_scope_of(context, call, wanted->service, SERVICE_PM2, &scope))
                return;
        count = list_works(context, &scope, OPERATION_PM2_RESTORE, wanted->snapshot, &works);
        if (!works) {
                api_fail(call, "nothing can be begun", -ENOMEM);
                return;
        }
        if (count != 1) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "one service is restored at a time; %s holds %zu of kind pm2",
                             api_scope_name(wanted->service), count);
                return;
        }
        if (wanted->start_errored) {
                works->start_errored = true;
                snprintf(works->why, sizeof(works->why), "snapshot %s, errored apps started",
                         wanted->snapshot);
        }
        api_operate(context, call, TAKE(works), count, &how);
}
