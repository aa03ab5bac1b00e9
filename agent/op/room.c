/* See room.h. */
#include "agent/op/room.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "common/base/text.h"
#include "common/model/fork_memory.h"

uint64_t room_estimate(uint64_t memory_used, uint64_t file_size)
{
        uint64_t bound = !memory_used ? file_size
                         : !file_size ? memory_used
                                      : (memory_used < file_size ? memory_used : file_size);

        return bound > UINT64_MAX - bound / 8 ? UINT64_MAX : bound + bound / 8;
}

static int check_memory(const struct memory_facts *memory, uint64_t used, struct error *error)
{
        const struct fork_memory facts = {memory->overcommit, memory->commit_limited, memory->commit_left,
                                          memory->available, memory->swap_free};
        uint64_t needed, there;
        char needed_text[32], there_text[32];

        if (!memory->known || fork_memory_fits(&facts, used, &needed, &there))
                return 0;
        text_bytes(needed_text, sizeof(needed_text), needed);
        text_bytes(there_text, sizeof(there_text), there);
        if (memory->commit_limited)
                return error_set(
                        error, -ENOMEM,
                        "the kernel would refuse a forked child: %s to promise, %s left of its limit "
                        "(vm.overcommit_memory is 2); raise vm.overcommit_ratio, or set "
                        "vm.overcommit_memory to 1",
                        needed_text, there_text);
        return error_set(error, -ENOMEM,
                         "too little memory for a forked child: %s needed (%s of what Redis uses), %s "
                         "available with the swap; free some%s",
                         needed_text, memory->overcommit ? "a quarter" : "half", there_text,
                         memory->overcommit ? "" : ", or set vm.overcommit_memory to 1");
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
        return check_memory(&room->memory, room->memory_used, error);
}

void room_read(struct room *room, const char *folder)
{
        struct statvfs space;

        room->disk_known = folder[0] && statvfs(folder, &space) == 0;
        if (room->disk_known)
                room->disk_available = (uint64_t)space.f_bavail * space.f_frsize;
        memory_read(&room->memory);
}
