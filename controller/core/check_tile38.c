/* Checks of tile38: its append-only file grows with every update and is read whole at each start. */
#include <inttypes.h>
#include <string.h>

#include "common/base/text.h"
#include "controller/core/check.h"

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

/* tile38 renames its file to -bak, and then the new one to the file's name. Where it ended between the two,
 * the next start made an empty file, and all that was is in the -bak. */
static void find_backup(struct checking *checking)
{
        const struct tile38_state *tile38 = &checking->state->tile38;
        const char *name = checking->service->spec.name, *unit = checking->service->spec.unit;
        const char *backup = check_plain(tile38->leftover, "ITS_FOLDER/FILE-bak");
        const char *slash = strrchr(backup, '/'), *file = slash ? slash + 1 : backup;
        struct finding *finding = finding_add(checking, SEVERITY_BLOCKS);

        finding_evidence(finding,
                         "%s is there, %s: an AOFSHRINK was interrupted while it swapped the files, and this "
                         "may be the only whole one; %s has %" PRIu64 " objects, and an AOF of %s",
                         tile38->leftover, CHECK_BYTES(tile38->leftover_bytes), name, tile38->objects,
                         CHECK_BYTES(tile38->aof_size));
        finding_advice(
                finding,
                "do not shrink %s, that would overwrite it; compare objects and sizes. If %s has all of its "
                "data, remove that file. If its AOF is the one that was begun empty, on %s: stop tile38%s%s; "
                "cd %.*s; mv %s %.*s; start it",
                name, name, checking->host->name, unit[0] ? ": systemctl stop " : "", unit,
                (int)(file - backup), backup, file, (int)(strlen(file) - strlen("-bak")), file);
}

void check_tile38_leftover(struct checking *checking)
{
        const struct tile38_state *tile38 = &checking->state->tile38;
        struct finding *finding;

        if (!tile38->leftover[0] || tile38->aof_rewrite_in_progress)
                return;
        if (tile38_keeps_backup(tile38)) {
                find_backup(checking);
                return;
        }
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%s of %s is there: an AOFSHRINK was interrupted", tile38->leftover,
                         checking->service->spec.name);
        finding_advice(finding, "when the data of %s is known to be whole, on %s: rm %s",
                       checking->service->spec.name, checking->host->name,
                       check_plain(tile38->leftover, "FILE"));
}
