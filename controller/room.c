/* See room.h. Asked by taking it: what a file system says is free may be reserved for others or spent by a
 * quota. */
#include "controller/room.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cleanup.h"

#define LEAST ((off_t)1 << 20) /* a run of a hundred steps writes less */

/* What an earlier life has not copied into the file is copied first of all: the file may grow by that. */
static off_t log_size(const char *folder)
{
        char path[PATH_MAX];
        struct stat log;

        if (snprintf(path, sizeof(path), "%s/muster.db-wal", folder) >= (int)sizeof(path))
                return 0;
        return stat(path, &log) < 0 ? 0 : log.st_size;
}

int room_probe(const char *folder, struct error *error)
{
        char path[PATH_MAX];
        cleanup_close int fd = -1;
        int r;

        if (snprintf(path, sizeof(path), "%s/room", folder) >= (int)sizeof(path))
                return error_set(error, -ENAMETOOLONG, "path too long: %s", folder);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        r = fd < 0 ? -errno : -posix_fallocate(fd, 0, LEAST + log_size(folder));
        if (fd >= 0)
                (void)unlink(path);
        if (r == -ENOSPC || r == -EDQUOT)
                return error_set(error, r,
                                 "there is no room for the journal in %s on the controller's host: make room "
                                 "there; until then nothing is begun, and then all goes on by itself",
                                 folder);
        return r < 0 ? error_set(error, r, "cannot write in %s: %s", folder, strerror(-r)) : 0;
}
