/* See dump.h. */
#include "agent/pm2/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/time.h"

/* The home's user may have written anything, and it becomes ten times that in memory. 133 apps take one. */
#define DUMP_LIMIT (8u << 20) /* bytes */

static int read_owned(const struct pm2_home *home, char path[PATH_SIZE], char **ret, size_t *ret_size,
                      uint64_t *ret_written_us, struct error *error)
{
        cleanup_close int fd = -1;
        char link[64];
        struct stat status;

        if (snprintf(path, PATH_SIZE, "%s/dump.pm2", home->path) >= PATH_SIZE)
                return error_set(error, -ENAMETOOLONG, "PM2 home %s: path too long", home->path);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &status) < 0)
                return error_set(error, -errno, "PM2's dump %s: %s", path, strerror(errno));
        if (!S_ISREG(status.st_mode) || status.st_uid != home->uid)
                return error_set(error, -EPERM, "PM2's dump %s is not a file of the home's user", path);
        *ret_written_us =
                (uint64_t)status.st_mtim.tv_sec * USEC_PER_SEC + (uint64_t)status.st_mtim.tv_nsec / 1000u;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        return file_read(link, DUMP_LIMIT, ret, ret_size, error);
}

/* The dump as getMonitorData would list it. */
static json_t *as_monitor_data(json_t *dump)
{
        json_t *apps = json_array(), *env;
        size_t index;

        json_array_foreach(dump, index, env)
        {
                json_t *entry;

                if (json_is_object(env))
                        json_object_set_new(env, "pm_id", json_integer((json_int_t)index));
                entry = json_pack("{s:O}", "pm2_env", env);
                if (!apps || !entry || json_array_append_new(apps, entry) < 0) {
                        json_decref(apps);
                        return NULL;
                }
        }
        return apps;
}

int pm2_dump_read(struct pm2_list *ret, const struct pm2_home *home, uint64_t *ret_written_us,
                  struct error *error)
{
        cleanup_json json_t *root = NULL, *apps = NULL;
        cleanup_free char *text = NULL;
        char path[PATH_SIZE];
        uint64_t written_us = 0;
        size_t size;
        int r = read_owned(home, path, &text, &size, &written_us, error);

        if (r < 0)
                return r;
        r = pm2_json_parse(&root, text, size, error);
        if (r == 0 && !json_is_array(root))
                r = error_set(error, -EBADMSG, "it is not a list of apps");
        if (r == 0 && json_array_size(root) > PM2_APPS_MAX)
                r = error_set(error, -E2BIG, "it has %zu apps, %d at most are known here",
                              json_array_size(root), (int)PM2_APPS_MAX);
        if (r == 0 && !(apps = as_monitor_data(root)))
                r = -ENOMEM;
        if (r == 0)
                r = pm2_list_decode(ret, apps, error);
        if (r < 0)
                return error_prefix(error, r, "PM2's dump %s cannot be understood", path);
        ret->dump = true;
        *ret_written_us = written_us;
        return 0;
}

int pm2_dump_keep(const struct pm2_home *home, const char *copy, struct error *error)
{
        cleanup_free char *text = NULL;
        char path[PATH_SIZE];
        uint64_t written_us;
        size_t size;
        int r = read_owned(home, path, &text, &size, &written_us, error);

        return r < 0 ? r : file_write_atomic(copy, text, size, 0600, error);
}

int pm2_dump_is_kept(const struct pm2_home *home, const char *copy)
{
        cleanup_free char *text = NULL, *kept = NULL;
        char path[PATH_SIZE];
        uint64_t written_us;
        size_t size, kept_size;
        int r = file_read(copy, DUMP_LIMIT, &kept, &kept_size, NULL);

        if (r < 0)
                return r;
        if (read_owned(home, path, &text, &size, &written_us, NULL) < 0)
                return 0;
        return size == kept_size && memcmp(text, kept, size) == 0;
}
