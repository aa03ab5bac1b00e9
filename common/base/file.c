/* See file.h. */
#include "common/base/file.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/cleanup.h"

int file_read(const char *path, size_t limit, char **ret, size_t *ret_size, struct error *error)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        cleanup_free char *data = NULL;
        size_t size = 0, room = 0;

        if (fd < 0)
                return error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
        for (;;) {
                ssize_t n;

                if (size == room) {
                        /* Files in /proc and /sys have no size to ask for: grow as bytes come. */
                        size_t wanted = room ? room * 2 : 4096;
                        char *larger;

                        if (wanted > limit + 1)
                                wanted = limit + 1;
                        if (wanted <= room)
                                return error_set(error, -E2BIG, "%s is larger than %zu bytes", path, limit);
                        larger = realloc(data, wanted + 1);
                        if (!larger)
                                return -ENOMEM;
                        data = larger;
                        room = wanted;
                }
                n = read(fd, data + size, room - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        if (size > limit)
                return error_set(error, -E2BIG, "%s is larger than %zu bytes", path, limit);
        data[size] = '\0';
        *ret = TAKE(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int file_sync_folder(const char *path)
{
        cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t)n;
        }
        return 0;
}

int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode, struct error *error)
{
        char temporary[PATH_MAX], folder[PATH_MAX];
        cleanup_close int fd = -1;
        int r;

        if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
                return error_set(error, -ENAMETOOLONG, "path too long: %s", path);
        snprintf(folder, sizeof(folder), "%s", path);
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return error_set(error, -errno, "cannot create %s: %s", temporary, strerror(errno));
        r = write_all(fd, data, size);
        if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0))
                r = -errno;
        if (r < 0) {
                unlink(temporary);
                return error_set(error, r, "cannot write %s: %s", path, strerror(-r));
        }
        r = file_sync_folder(dirname(folder));
        if (r < 0)
                return error_set(error, r, "cannot sync the folder of %s: %s", path, strerror(-r));
        return 0;
}

/* What is written into it would be lost with its name. */
static int make_folder(const char *path, mode_t mode)
{
        char above[PATH_MAX];

        if (mkdir(path, mode) < 0)
                return errno == EEXIST ? 0 : -errno;
        snprintf(above, sizeof(above), "%s", path);
        return file_sync_folder(dirname(above));
}

int file_make_folders(const char *path, mode_t mode, struct error *error)
{
        char part[PATH_MAX];
        int r;

        if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
                return error_set(error, -ENAMETOOLONG, "path too long: %s", path);
        for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
                if (slash)
                        *slash = '\0';
                r = make_folder(part, mode);
                if (r < 0)
                        return error_set(error, r, "cannot create folder %s: %s", part, strerror(-r));
                if (!slash)
                        return 0;
                *slash = '/';
        }
}
