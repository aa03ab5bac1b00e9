/* persistence: is the data of a Redis on disk. */
#include <inttypes.h>

#include "controller/checks/check.h"
#include "controller/checks/redis.h"

void check_persistence(struct checking *checking)
{
        const struct redis_state *redis = redis_answering(checking);
        struct finding *finding;

        if (!redis || redis->aof_enabled || redis->save_points || redis->config_refused[0] ||
            redis->keys == 0)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding,
                         "%s keeps nothing on disk (no AOF, no save points): a restart loses %" PRIu64
                         " keys, %s",
                         checking->service->spec.name, redis->keys, CHECK_BYTES(redis->used_memory));
        finding_advice(finding,
                       "if the data matters, on %s: %s CONFIG SET appendonly yes, and the same in its "
                       "file",
                       checking->host->name, redis_client(checking).text);
}
