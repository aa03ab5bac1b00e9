/* Whether a host has room for compacting an append-only file: a second copy on disk, and, for Redis, memory
 * for a forked child whose pages part from the parent's as writes go on. The judgement is pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/probe/memory.h"
#include "common/base/error.h"

struct room {
        bool disk_known;
        uint64_t disk_needed, disk_available; /* bytes */
        struct memory_facts memory;
        uint64_t memory_used; /* bytes; 0: nothing is forked */
};

/* The most that a rewrite will write: all data are held by memory and by the file as it is, so the smaller of
 * both bounds the new one; and an eighth more for what is written meanwhile. A size of 0 is not known. */
uint64_t room_estimate(uint64_t memory_used, uint64_t file_size);

/* 0, or -ENOSPC or -ENOMEM with the numbers. */
int room_check(const struct room *room, struct error *error);

/* What the host has: the disk of a folder ("" for unknown), its memory and how freely the kernel promises it.
 * What cannot be read is left unknown, for memory in favour of going on. May hang where the folder does: to
 * be asked beside the loop. */
void room_read(struct room *room, const char *folder);
