/* See tile38_files.h. */
#include "agent/probe/tile38_files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/probe/disk_name.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"

#define AOF_NAME   "/appendonly.aof"
#define FDS_LOOKED 4096u

/* "pos:\t123" of /proc/PID/fdinfo/FD. */
static uint64_t position(pid_t pid, const char *fd)
{
        cleanup_free char *text = NULL;
        char path[64 + NAME_MAX];
        uint64_t value;

        snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", (int)pid, fd);
        if (file_read(path, 4096, &text, NULL, NULL) < 0 || sscanf(text, "pos: %" SCNu64, &value) != 1)
                return 0;
        return value;
}

/* A shrink that failed leaves its work behind, and nobody says so. The old file first: one that ended in the
 * midst of its swap has left all of the data in it, beside a new file that is empty. */
static void find_leftover(struct tile38_state *state)
{
        static const char *const endings[] = {"-bak", "-shrink"};

        for (size_t i = 0; i < ELEMENTS(endings); i++) {
                char path[PATH_MAX];
                struct stat info;

                snprintf(path, sizeof(path), "%s%s%s", state->directory, AOF_NAME, endings[i]);
                if (stat(path, &info) < 0)
                        continue;
                state->leftover_bytes = (uint64_t)info.st_size;
                text_copy_cut(state->leftover, sizeof(state->leftover), path);
                return;
        }
}

int tile38_files_read(struct tile38_state *state, pid_t pid)
{
        char folder[64], path[64 + NAME_MAX], target[PATH_MAX];
        cleanup_dir DIR *fds = NULL;
        const struct dirent *fd;
        struct stat info;

        snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
        fds = opendir(folder);
        for (unsigned looked = 0; fds && looked < FDS_LOOKED && (fd = readdir(fds)); looked++) {
                ssize_t n;

                snprintf(path, sizeof(path), "%s/%s", folder, fd->d_name);
                n = readlink(path, target, sizeof(target) - 1);
                if (n <= 0)
                        continue;
                target[n] = '\0';
                if (!text_ends(target, AOF_NAME) || stat(path, &info) < 0)
                        continue;
                state->aof_inode = info.st_ino;
                disk_name(state->disk, &info);
                if (!state->aof_size)
                        state->aof_size = (uint64_t)info.st_size;
                state->loaded_bytes = position(pid, fd->d_name);
                target[n - (ssize_t)strlen(AOF_NAME)] = '\0';
                text_copy_cut(state->directory, sizeof(state->directory), target);
                find_leftover(state);
                return 0;
        }
        return -ENOENT;
}

uint64_t tile38_files_work(const char *directory)
{
        char path[PATH_MAX];
        struct stat info;

        if (snprintf(path, sizeof(path), "%s" AOF_NAME "-shrink", directory) >= (int)sizeof(path) ||
            stat(path, &info) < 0 || !S_ISREG(info.st_mode))
                return 0;
        return (uint64_t)info.st_size;
}
