/* tile38-aof: tile38's append-only file grows with every update and is read whole at each start. */
#include <inttypes.h>

#include "controller/checks/check.h"

void check_tile38_aof(struct checking *checking)
{
        const struct tile38_state *tile38 = &checking->state->tile38;
        uint64_t low, high;
        struct finding *finding;

        if (tile38->directory_hung) {
                finding = finding_add(checking, SEVERITY_BLOCKS);
                finding_evidence(finding, "the files of %s do not answer: a shrink or a load would hang",
                                 checking->service->spec.name);
                finding_advice(finding, "on %s: dmesg | tail; mend the disk or the network file system first",
                               checking->host->name);
                return;
        }
        if (!tile38->ready || tile38->aof_rewrite_in_progress || !tile38_worth_shrinking(tile38))
                return;
        check_load_estimate(checking, false, &low, &high);
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "the AOF of %s is %s for %" PRIu64 " objects of %s; loading takes %s",
                         checking->service->spec.name, CHECK_BYTES(tile38->aof_size), tile38->objects,
                         CHECK_BYTES(tile38->memory_bytes), CHECK_RANGE(low, high));
        finding_advice(finding, "muster check %s --fix, or on %s: tile38-cli -p %u AOFSHRINK",
                       checking->service->spec.name, checking->host->name, checking->service->spec.port);
        finding_fix(finding, checking, OPERATION_TILE38_SHRINK);
}
