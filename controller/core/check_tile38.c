/* Checks of tile38: its append-only file grows with every update and is read whole at each start. */
#include <inttypes.h>
#include <string.h>

#include "common/base/text.h"
#include "controller/core/check.h"

#define MB 1000000u

/* Bytes of AOF an object from which on most of the file is likely to be outdated. */
#define BYTES_AN_OBJECT 2000u
#define SMALL           (64ull * MB)

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
        if (!tile38->ready)
                return;
        if (tile38->follower && !tile38->caught_up) {
                finding = finding_add(checking, SEVERITY_WARNS);
                finding_evidence(finding, "%s follows another tile38 and has not caught up",
                                 checking->service->spec.name);
                finding_advice(finding, "wait until it has: muster status %s --watch",
                               checking->service->spec.name);
        }
        if (tile38->aof_size < SMALL || tile38->aof_rewrite_in_progress ||
            (tile38->objects && tile38->aof_size / tile38->objects < BYTES_AN_OBJECT))
                return;
        check_load_estimate(checking, false, &low, &high);
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "the AOF of %s is %s for %" PRIu64 " objects; loading takes %s",
                         checking->service->spec.name, CHECK_BYTES(tile38->aof_size), tile38->objects,
                         CHECK_RANGE(low, high));
        finding_advice(finding, "muster check %s --fix, or on %s: tile38-cli -p %u AOFSHRINK",
                       checking->service->spec.name, checking->host->name, checking->service->spec.port);
        finding_fix(finding, checking, OPERATION_TILE38_SHRINK);
}

void check_tile38_leftover(struct checking *checking)
{
        const struct tile38_state *tile38 = &checking->state->tile38;
        struct finding *finding;

        if (!tile38->leftover[0] || tile38->aof_rewrite_in_progress)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%s of %s is there: an AOFSHRINK was interrupted", tile38->leftover,
                         checking->service->spec.name);
        finding_advice(finding, "when the data of %s is known to be whole, on %s: rm %s",
                       checking->service->spec.name, checking->host->name,
                       check_plain(tile38->leftover, "FILE"));
}
