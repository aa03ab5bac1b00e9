/* disk: is there room on the disks of the host. */
#include "controller/checks/check.h"

void check_disk(struct checking *checking)
{
        const struct host_state *host = &checking->agent->host;

        if (host->disks_hung) {
                struct finding *hung = finding_add(checking, SEVERITY_BLOCKS);

                finding_evidence(hung,
                                 "a file system of %s does not answer; what is said of its disks is old",
                                 checking->host->name);
                finding_advice(hung,
                               "on %s: dmesg | tail; mount; mend the disk or the network file system first",
                               checking->host->name);
        }
        for (size_t i = 0; i < host->disk_count; i++) {
                const struct disk_state *disk = &host->disks[i];
                double free_share =
                        disk->total_bytes ? (double)disk->available_bytes / (double)disk->total_bytes : 1;
                struct finding *finding;

                if (free_share >= 0.10)
                        continue;
                finding = finding_add(checking, free_share < 0.02 ? SEVERITY_BLOCKS : SEVERITY_WARNS);
                finding_evidence(finding, "%s on %s has %s free of %s (%.1f%%)", disk->mount,
                                 checking->host->name, CHECK_BYTES(disk->available_bytes),
                                 CHECK_BYTES(disk->total_bytes), free_share * 100);
                finding_advice(finding, "on %s: du -xh --max-depth=2 %s | sort -h | tail, and make room",
                               checking->host->name, check_plain(disk->mount, "MOUNT"));
        }
}
