/* role: is a Redis what the fleet file says. */
#include "common/base/text.h"
#include "controller/checks/check.h"
#include "controller/checks/redis.h"

void check_role(struct checking *checking)
{
        const struct redis_state *redis = redis_answering(checking);
        const struct fleet_service *service = checking->service;
        const char *declared = redis_role_name(service->spec.role), *actual;
        struct finding *finding;

        if (!redis || !redis->role[0] || service->spec.role == REDIS_ANY_ROLE)
                return;
        actual = text_equal(redis->role, "slave") ? "replica" : redis->role;
        if (text_equal(actual, declared))
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding, "%s is a %s, the fleet file says %s: it would never count as ready",
                         service->spec.name, actual, declared);
        if (service->spec.role == REDIS_MASTER)
                finding_advice(finding,
                               "if it should be the master, on %s: %s REPLICAOF NO ONE; else correct line "
                               "%u of the fleet file",
                               checking->host->name, redis_client(checking).text, service->line);
        else
                finding_advice(finding,
                               "if it should be a replica, on %s: %s REPLICAOF HOST PORT; else correct "
                               "line %u of the fleet file",
                               checking->host->name, redis_client(checking).text, service->line);
}
