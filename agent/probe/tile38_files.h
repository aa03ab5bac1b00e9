/* Where a tile38 process keeps its append-only file and how far it has read it, by /proc. */
#pragma once

#include <sys/types.h>

#include "common/model/state.h"

/* Fills aof_inode, aof_size (if 0), loaded_bytes, directory and leftover from the open files of pid, and
 * ret_file with the path of the append-only file, as it is: not cleaned. -ENOENT if the process is gone or
 * has no file open by the name that its command line tells (--appendfilename), or else the usual one. */
int tile38_files_read(struct tile38_state *state, pid_t pid, char ret_file[PATH_SIZE]);

/* The bytes that a shrink has written so far beside the append-only file; 0: no such file. */
uint64_t tile38_files_work(const char *file);
