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

#define AOF_NAME     "appendonly.aof"
#define FDS_LOOKED   4096u
#define COMMAND_MOST (128u << 10)

/* What its append-only file is called: as it was told, or as ever. */
static void find_name(pid_t pid, char *ret, size_t size)
{
        cleanup_free char *command = NULL;
        size_t length = 0;
        char path[64];

        text_copy_cut(ret, size, AOF_NAME);
        snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
        if (file_read(path, COMMAND_MOST, &command, &length, NULL) < 0)
                return;
        for (const char *word = command, *next; word < command + length; word = next) {
                next = word + strlen(word) + 1;
                if (next >= command + length ||
                    (!text_equal(word, "--appendfilename") && !text_equal(word, "-appendfilename")))
                        continue;
                text_copy_cut(ret, size, strrchr(next, '/') ? strrchr(next, '/') + 1 : next);
        }
}

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
static void find_leftover(struct tile38_state *state, const char *file)
{
        static const char *const endings[] = {"-bak", "-shrink"};

        for (size_t i = 0; i < ELEMENTS(endings); i++) {
                char path[PATH_MAX];
                struct stat info;

                snprintf(path, sizeof(path), "%s%s", file, endings[i]);
                if (stat(path, &info) < 0)
                        continue;
                state->leftover_bytes = (uint64_t)info.st_size;
                text_copy_cut(state->leftover, sizeof(state->leftover), path);
                return;
        }
}

int tile38_files_read(struct tile38_state *state, pid_t pid, char ret_file[PATH_SIZE])
{
        char folder[64], path[64 + NAME_MAX], target[PATH_SIZE], name[NAME_MAX + 1];
        cleanup_dir DIR *fds = NULL;
        const struct dirent *fd;
        struct stat info;

        find_name(pid, name, sizeof(name));
        snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
        fds = opendir(folder);
        for (unsigned looked = 0; fds && looked < FDS_LOOKED && (fd = readdir(fds)); looked++) {
                ssize_t n;
                char *base;

                snprintf(path, sizeof(path), "%s/%s", folder, fd->d_name);
                n = readlink(path, target, sizeof(target) - 1);
                if (n <= 0)
                        continue;
                target[n] = '\0';
                base = strrchr(target, '/');
                if (!base || !text_equal(base + 1, name) || stat(path, &info) < 0)
                        continue;
                state->aof_inode = info.st_ino;
                disk_name(state->disk, &info);
                if (!state->aof_size)
                        state->aof_size = (uint64_t)info.st_size;
                state->loaded_bytes = position(pid, fd->d_name);
                text_copy_cut(ret_file, PATH_SIZE, target);
                find_leftover(state, target);
                *base = '\0';
                text_copy_cut(state->directory, sizeof(state->directory), target);
                return 0;
        }
        return -ENOENT;
}

uint64_t tile38_files_work(const char *file)
{
        char path[PATH_MAX];
        struct stat info;

        if (snprintf(path, sizeof(path), "%s-shrink", file) >= (int)sizeof(path) || stat(path, &info) < 0 ||
            !S_ISREG(info.st_mode))
                return 0;
        return (uint64_t)info.st_size;
}
