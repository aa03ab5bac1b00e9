/* A snapshot: the exact state of one PM2 home at one moment, as a file that only root reads.
 *
 * <folder>/<home id>/<name>.json: canonical JSON (keys sorted) with a digest of its own content, mode 0600,
 * written beside and renamed, fsynced. It holds environments and with them secrets: it never leaves the
 * host. Written once: a name that is there already is left as it is, so that repeating a save after the apps
 * were stopped cannot overwrite what they were. */
#pragma once

#include "agent/pm2/state.h"

#define PM2_SNAPSHOT_LIMIT (32u << 20) /* bytes a file */

struct pm2_snapshot {
        char name[NAME_SIZE];
        char home[PATH_SIZE];
        char user[NAME_SIZE];
        uint64_t saved_us; /* realtime */
        struct pm2_daemon_facts daemon;
        struct pm2_list list;
};

void pm2_snapshot_clear(struct pm2_snapshot *snapshot);
#define cleanup_pm2_snapshot cleanup_with(pm2_snapshot_clear)

/* Writes list and facts under folder (made with 0700 where missing) as name, then deletes the oldest beyond
 * keep (0: none is deleted; name itself never is), and what writes that a crash cut short have left. PM2's
 * own dump, where it can be read, is kept beside it: a daemon that is terminated in the middle of a restore
 * writes over it. -EEXIST: there is one of that name, untouched. */
int pm2_snapshot_write(const char *folder, const struct pm2_home *home, const char *name,
                       const struct pm2_list *list, const struct pm2_daemon_facts *facts, uint64_t saved_us,
                       size_t keep, struct error *error);

/* Reads one back and checks all of it: owner-only file, format, digest, the home it is of. -ENOENT: no such
 * name; -EBADMSG: not a sound snapshot. */
int pm2_snapshot_read(struct pm2_snapshot *ret, const char *folder, const struct pm2_home *home,
                      const char *name, struct error *error);

/* Where what is kept of PM2's own dump lies (dump.h), as it was when the snapshot was written. */
int pm2_snapshot_dump(char ret[PATH_SIZE], const char *folder, const struct pm2_home *home, const char *name);

struct pm2_snapshot_file {
        char name[NAME_SIZE];
        uint64_t written_ns; /* realtime */
        uint64_t size;       /* bytes */
};

/* The files of all snapshots of the home, newest first; none is no error. Reads the folder only, not what is
 * in them. The caller frees *ret. */
int pm2_snapshot_find(const char *folder, const struct pm2_home *home, struct pm2_snapshot_file **ret,
                      size_t *ret_count);

/* The newest snapshot's name. -ENOENT: there is none. Reads the folder only. */
int pm2_snapshot_newest(const char *folder, const struct pm2_home *home, char ret[NAME_SIZE]);
