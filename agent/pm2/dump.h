/* PM2's own dump (dump.pm2): what `pm2 save` writes, or a daemon that is terminated, and `pm2 resurrect`
 * starts. It must be a file of the home's user, of 8 MB at most. All of it blocks. */
#pragma once

#include "agent/pm2/state.h"

/* As a list for comparing: no ids, so they are counted from 0. written is when it was, realtime. -ENOENT:
 * there is none; -EPERM: not the user's; -EBADMSG: not a dump. */
int pm2_dump_read(struct pm2_list *ret, const struct pm2_home *home, uint64_t *ret_written_us,
                  struct error *error);

/* Copies it whole to the file copy (0600, fsync, rename). */
int pm2_dump_keep(const struct pm2_home *home, const char *copy, struct error *error);
/* 1: it is what copy holds; 0: it is not, or cannot be read. Negative: there is no copy. */
int pm2_dump_is_kept(const struct pm2_home *home, const char *copy);
