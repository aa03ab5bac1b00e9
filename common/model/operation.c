/* See operation.h. */
#include "common/model/operation.h"

#include <errno.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define ON(kind)  (1u << (kind))
#define WITH_UNIT (ON(SERVICE_UNIT) | ON(SERVICE_REDIS) | ON(SERVICE_TILE38))

#define SETTLE_TIMES 7 /* an app that restarts begins anew; more often it is not waited for */

static const struct operation_type types[] = {
        {OPERATION_UNIT_START, "unit.start", WITH_UNIT, SETTLE_REPEAT, 120 * USEC_PER_SEC, 1},
        {OPERATION_UNIT_STOP, "unit.stop", WITH_UNIT, SETTLE_REPEAT, 900 * USEC_PER_SEC, 1},
        {OPERATION_UNIT_ENABLE, "unit.enable", WITH_UNIT, SETTLE_REPEAT, 60 * USEC_PER_SEC, 1},
        {OPERATION_REDIS_REWRITE, "redis.rewrite", ON(SERVICE_REDIS), SETTLE_LOOK, 3600 * USEC_PER_SEC, 1},
        {OPERATION_TILE38_SHRINK, "tile38.shrink", ON(SERVICE_TILE38), SETTLE_LOOK, 3600 * USEC_PER_SEC, 1},
        {OPERATION_PM2_SAVE, "pm2.save", ON(SERVICE_PM2), SETTLE_REPEAT, 120 * USEC_PER_SEC, 1},
        {OPERATION_PM2_STOP, "pm2.stop", ON(SERVICE_PM2), SETTLE_REPEAT, 120 * USEC_PER_SEC, 1},
        {OPERATION_PM2_RESTORE, "pm2.restore", ON(SERVICE_PM2), SETTLE_REPEAT, 1800 * USEC_PER_SEC, 1},
        {OPERATION_PM2_VERIFY, "pm2.verify", ON(SERVICE_PM2), SETTLE_REPEAT, 300 * USEC_PER_SEC, 1},
        {OPERATION_PM2_RELEASE, "pm2.release", ON(SERVICE_PM2), SETTLE_REPEAT, 120 * USEC_PER_SEC, 1},
        {OPERATION_HOST_REBOOT, "host.reboot", 0, SETTLE_BOOT_ID, 900 * USEC_PER_SEC, 0},
};

const struct operation_type *operation_type(enum operation_kind kind)
{
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                if (types[i].kind == kind)
                        return &types[i];
        return NULL;
}

const struct operation_type *operation_type_named(const char *name)
{
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                if (text_equal(types[i].name, name))
                        return &types[i];
        return NULL;
}

uint64_t operation_deadline_us(enum operation_kind kind, uint64_t settle_us)
{
        bool settles = kind == OPERATION_PM2_RESTORE || kind == OPERATION_PM2_VERIFY;

        return operation_type(kind)->deadline_us + (settles ? SETTLE_TIMES * settle_us : 0);
}

const char *operation_state_name(enum operation_state state)
{
        static const char *const names[] = {"unknown", "accepted", "done", "failed", "interrupted"};

        return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

int operation_request_check(const struct operation_request *request, struct error *error)
{
        const struct operation_type *type = operation_type(request->kind);
        unsigned char id[16];

        if (!type)
                return error_set(error, -EINVAL, "unknown operation kind %d", (int)request->kind);
        if (text_unhex(id, sizeof(id), request->id) < 0)
                return error_set(error, -EINVAL, "%s: the operation id is not 32 hex digits", type->name);
        if (request->boot_id[0] && !boot_id_is_sound(request->boot_id))
                return error_set(error, -EINVAL, "%s: '%s' is no boot id", type->name, request->boot_id);
        if (request->soft && request->kind != OPERATION_HOST_REBOOT)
                return error_set(error, -EINVAL, "%s: only a reboot can be soft", type->name);
        if (type->service_kinds == 0)
                return 0;
        if (!(type->service_kinds & ON(request->service.kind)))
                return error_set(error, -EINVAL, "%s cannot be done to a service of kind %s", type->name,
                                 service_kind_name(request->service.kind));
        if (service_spec_check(&request->service) < 0)
                return error_set(error, -EINVAL, "%s: the description of service '%s' is not sound",
                                 type->name, request->service.name);
        if (request->snapshot[0] && !text_is_name(request->snapshot))
                return error_set(error, -EINVAL, "%s: '%s' is not a snapshot's name", type->name,
                                 request->snapshot);
        return 0;
}
