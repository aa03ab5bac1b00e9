/* tile38-leftover: what a shrink that was interrupted has left. */
#include <inttypes.h>
#include <string.h>

#include "controller/checks/check.h"

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
