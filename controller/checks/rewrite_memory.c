/* rewrite-memory: is there memory for a rewrite. It forks: the operation refuses where this finds something,
 * by the same judgement. */
#include "common/model/fork_memory.h"
#include "controller/checks/check.h"
#include "controller/checks/redis.h"

void check_rewrite_memory(struct checking *checking)
{
        const struct redis_state *redis = redis_answering(checking);
        const struct host_state *host = &checking->agent->host;
        const struct fork_memory memory = {host->overcommit, host->commit_limited, host->commit_left,
                                           host->memory_available, host->swap_free};
        uint64_t needed, there;
        struct finding *finding;

        if (!redis || !redis->aof_enabled || host->memory_total == 0 ||
            fork_memory_fits(&memory, redis->used_memory, &needed, &there))
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        if (host->commit_limited) {
                finding_evidence(finding,
                                 "%s uses %s, the kernel of %s may promise %s more (vm.overcommit_memory is "
                                 "2): the fork of a rewrite or save would be refused",
                                 checking->service->spec.name, CHECK_BYTES(redis->used_memory),
                                 checking->host->name, CHECK_BYTES(there));
                finding_advice(finding,
                               "on %s: sysctl -w vm.overcommit_memory=1, or raise vm.overcommit_ratio, and "
                               "the same in /etc/sysctl.d",
                               checking->host->name);
        } else if (!host->overcommit) {
                finding_evidence(
                        finding,
                        "%s uses %s, %s has %s available and does not overcommit: the fork of a rewrite "
                        "or save may be refused",
                        checking->service->spec.name, CHECK_BYTES(redis->used_memory), checking->host->name,
                        CHECK_BYTES(there));
                finding_advice(finding,
                               "on %s: sysctl -w vm.overcommit_memory=1, and the same in /etc/sysctl.d",
                               checking->host->name);
        } else {
                finding_evidence(finding,
                                 "%s uses %s and %s has %s available: writes during a rewrite may exhaust it",
                                 checking->service->spec.name, CHECK_BYTES(redis->used_memory),
                                 checking->host->name, CHECK_BYTES(there));
                finding_advice(finding, "free memory on %s; muster rewrites nothing there before",
                               checking->host->name);
        }
}
