/* Where a tile38 process keeps its append-only file and how far it has read it, by /proc. */
#pragma once

#include <sys/types.h>

#include "common/model/state.h"

/* Fills aof_inode, aof_size (if 0), loaded_bytes, directory and leftover from the open files of pid. -ENOENT
 * if the process is gone or has no append-only file open. */
int tile38_files_read(struct tile38_state *state, pid_t pid);

/* The bytes that a shrink has written so far beside the append-only file of the folder; 0: no such file. */
uint64_t tile38_files_work(const char *directory);
