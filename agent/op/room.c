/* See room.h. */
#include "agent/op/room.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"

uint64_t room_estimate(uint64_t memory_used, uint64_t file_size)
{
        uint64_t bound = !memory_used ? file_size
                         : !file_size ? memory_used
                                      : (memory_used < file_size ? memory_used : file_size);

        return bound > UINT64_MAX - bound / 8 ? UINT64_MAX : bound + bound / 8;
}

int room_check(const struct room *room, struct error *error)
{
        char needed[32], available[32];

        if (room->disk_known && room->disk_available < room->disk_needed) {
                text_bytes(needed, sizeof(needed), room->disk_needed);
                text_bytes(available, sizeof(available), room->disk_available);
                return error_set(error, -ENOSPC,
                                 "too little disk for a second copy: up to %s needed, %s available; "
                                 "make room on it first",
                                 needed, available);
        }
        if (!room->overcommit && room->memory_available < room->memory_used / 2) {
                text_bytes(needed, sizeof(needed), room->memory_used / 2);
                text_bytes(available, sizeof(available), room->memory_available);
                return error_set(error, -ENOMEM,
                                 "too little memory for a forked child: %s needed (half of what Redis uses), "
                                 "%s available; free some, or set vm.overcommit_memory to 1",
                                 needed, available);
        }
        return 0;
}

static uint64_t read_available(void)
{
        cleanup_free char *text = NULL;
        const char *at;
        uint64_t kibibytes;

        if (file_read("/proc/meminfo", 65536, &text, NULL, NULL) < 0)
                return UINT64_MAX;
        at = strstr(text, "MemAvailable:");
        if (!at || sscanf(at, "MemAvailable: %" SCNu64, &kibibytes) != 1)
                return UINT64_MAX;
        return kibibytes * 1024;
}

void room_read(struct room *room, const char *folder)
{
        cleanup_free char *overcommit = NULL;
        struct statvfs space;

        room->disk_known = folder[0] && statvfs(folder, &space) == 0;
        if (room->disk_known)
                room->disk_available = (uint64_t)space.f_bavail * space.f_frsize;
        room->memory_available = read_available();
        room->overcommit = file_read("/proc/sys/vm/overcommit_memory", 64, &overcommit, NULL, NULL) == 0 &&
                           overcommit[0] == '1';
}
