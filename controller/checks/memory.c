/* memory: what the Redis instances of a host may grow to, against its memory: by maxmemory where it is set,
 * else by what they use now. */
#include <inttypes.h>

#include "controller/checks/check.h"

void check_memory(struct checking *checking)
{
        const struct agent_state *agent = checking->agent;
        uint64_t promised = 0, total = agent->host.memory_total, unlimited = 0, count = 0;
        struct finding *finding;

        for (size_t i = 0; i < agent->service_count; i++) {
                const struct redis_state *redis = &agent->services[i].redis;
                uint64_t bytes = redis->max_memory ? redis->max_memory : redis->used_memory;

                if (agent->services[i].kind != SERVICE_REDIS || !redis->answering)
                        continue;
                count++;
                unlimited += redis->max_memory == 0;
                if (__builtin_add_overflow(promised, bytes, &promised))
                        promised = UINT64_MAX;
        }
        if (total == 0 || count == 0 || (double)promised <= 0.9 * (double)total)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding,
                         "%" PRIu64 " Redis on %s may use %s of its %s memory (%" PRIu64
                         " without a maxmemory counted as they are now)",
                         count, checking->host->name, CHECK_BYTES(promised), CHECK_BYTES(total), unlimited);
        finding_advice(finding,
                       "lower maxmemory (redis-cli CONFIG SET maxmemory BYTES, and in its file), or give "
                       "%s more memory: a reload that does not fit is killed by the kernel",
                       checking->host->name);
}
