/* rewrite-disk: is there room on disk for a rewrite. The new base needs room beside the old files: about the
 * old base, at most what memory holds. */
#include "controller/checks/check.h"
#include "controller/checks/redis.h"

void check_rewrite_disk(struct checking *checking)
{
        const struct redis_state *redis = redis_answering(checking);
        uint64_t least, most;
        struct finding *finding;

        if (redis && redis->directory_hung) {
                finding = finding_add(checking, SEVERITY_BLOCKS);
                finding_evidence(
                        finding,
                        "the folder of %s, %s, does not answer: a save, a rewrite or a load would hang",
                        checking->service->spec.name, redis->directory);
                finding_advice(finding,
                               "on %s: dmesg | tail; mount | grep -F %s; mend the disk or the network "
                               "file system first",
                               checking->host->name, check_plain(redis->directory, "FOLDER"));
                return;
        }
        if (!redis || !redis->aof_enabled || !redis->directory[0])
                return;
        least = redis->base_bytes < redis->used_memory ? redis->base_bytes : redis->used_memory;
        most = redis->base_bytes > redis->used_memory ? redis->base_bytes : redis->used_memory;
        if (redis->directory_available >= most)
                return;
        finding =
                finding_add(checking, redis->directory_available < least ? SEVERITY_BLOCKS : SEVERITY_WARNS);
        finding_evidence(finding,
                         "%s has %s free; rewriting the AOF of %s writes %s to %s beside the old one",
                         redis->directory, CHECK_BYTES(redis->directory_available),
                         checking->service->spec.name, CHECK_BYTES(least), CHECK_BYTES(most));
        finding_advice(finding, "make room in %s on %s: df -h %s", redis->directory, checking->host->name,
                       check_plain(redis->directory, "FOLDER"));
}
