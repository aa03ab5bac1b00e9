/* See policy.h. */
#include "common/model/policy.h"

#include <stddef.h>

#include "common/base/text.h"

static const struct {
        unsigned kind;
        const char *name;
        enum service_kind service;
} gates[] = {
        {POLICY_REDIS_LOAD, "redis.load", SERVICE_REDIS},
        {POLICY_TILE38_LOAD, "tile38.load", SERVICE_TILE38},
        {POLICY_UNIT_READY, "unit.ready", SERVICE_UNIT},
};
#define GATE_COUNT (sizeof(gates) / sizeof(gates[0]))

const char *policy_kind_name(unsigned kind)
{
        const struct operation_type *type =
                kind < OPERATION_KIND_END ? operation_type((enum operation_kind)kind) : NULL;

        for (size_t i = 0; i < GATE_COUNT; i++)
                if (gates[i].kind == kind)
                        return gates[i].name;
        return type ? type->name : NULL;
}

unsigned policy_kind_named(const char *word)
{
        for (unsigned kind = 1; kind < POLICY_KIND_END; kind++)
                if (text_equal(policy_kind_name(kind), word))
                        return kind;
        return 0;
}

unsigned policy_kind_of_gate(enum service_kind kind)
{
        for (size_t i = 0; i < GATE_COUNT; i++)
                if (gates[i].service == kind)
                        return gates[i].kind;
        return 0;
}

unsigned policy_kinds_of(enum service_kind service)
{
        unsigned kinds = 0, gate = policy_kind_of_gate(service);

        for (unsigned kind = 1; kind < OPERATION_KIND_END; kind++) {
                const struct operation_type *type = operation_type((enum operation_kind)kind);

                /* What only repairs do is never in a plan. */
                if (type && kind != OPERATION_UNIT_ENABLE && kind != OPERATION_PM2_RELEASE &&
                    (service == SERVICE_NONE ? !type->service_kinds
                                             : (type->service_kinds & (1u << service))))
                        kinds |= 1u << kind;
        }
        return gate ? kinds | 1u << gate : kinds;
}

unsigned policy_keys_of(unsigned kind)
{
        if (kind >= OPERATION_KIND_END)
                return POLICY_DEADLINE | POLICY_ON_FAILURE;
        /* A host is never rebooted twice but by a person. */
        if (kind == OPERATION_HOST_REBOOT)
                return POLICY_DEADLINE | POLICY_ON_FAILURE;
        return POLICY_RETRIES | POLICY_BACKOFF | POLICY_DEADLINE | POLICY_ON_FAILURE;
}

bool policy_may_continue(unsigned kind)
{
        return kind != OPERATION_PM2_SAVE;
}

const char *failure_policy_name(enum failure_policy policy)
{
        return policy == ON_FAILURE_CONTINUE ? "continue" : policy == ON_FAILURE_ABORT ? "abort" : "pause";
}
