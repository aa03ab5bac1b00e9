/* See leftover.h. */
#include "agent/pm2/leftover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"

#define ENVIRONMENT_SIZE (4u << 20)

static bool is_below(const char *path, const char *home)
{
        size_t length = strlen(home);

        return strncmp(path, home, length) == 0 && path[length] == '/';
}

unsigned pm2_environment_marks(const char *block, size_t size, const char *home)
{
        unsigned marks = 0;

        for (const char *at = block; at < block + size;) {
                size_t length = strnlen(at, (size_t)(block + size - at));

                if (at + length == block + size)
                        break; /* not terminated: cut */
                if (text_starts(at, "pm_id="))
                        marks |= PM2_MARK_APP;
                else if (text_starts(at, "pm_pid_path=") && is_below(at + 12, home))
                        marks |= PM2_MARK_PIDS;
                else if (text_starts(at, "PM2_HOME=") && text_equal(at + 9, home))
                        marks |= PM2_MARK_HOME;
                at += length + 1;
        }
        return marks;
}

bool pm2_title_is_daemon(const char *line, size_t size)
{
        static const char start[] = "PM2 v", mark[] = ": God Daemon";
        size_t length = strnlen(line, size);

        return length > strlen(start) && memcmp(line, start, strlen(start)) == 0 &&
               memmem(line, length, mark, strlen(mark)) != NULL;
}

static bool read_proc(pid_t pid, const char *file, char **ret, size_t *ret_size)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
        return file_read(path, ENVIRONMENT_SIZE, ret, ret_size, NULL) == 0;
}

/* Whether the process is the home's; *ret_daemon: its daemon. */
static bool belongs(pid_t pid, const char *home, bool *ret_daemon)
{
        cleanup_free char *environment = NULL, *line = NULL;
        size_t size;
        unsigned marks;

        if (!read_proc(pid, "environ", &environment, &size))
                return false;
        marks = pm2_environment_marks(environment, size, home);
        *ret_daemon = false;
        if (marks & PM2_MARK_APP)
                return marks & (PM2_MARK_HOME | PM2_MARK_PIDS);
        if (!(marks & PM2_MARK_HOME) || !read_proc(pid, "cmdline", &line, &size))
                return false;
        *ret_daemon = pm2_title_is_daemon(line, size);
        return *ret_daemon;
}

static bool is_owned(pid_t pid, uid_t uid)
{
        char path[32];
        struct stat status;

        snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        return stat(path, &status) == 0 && status.st_uid == uid;
}

int pm2_leftovers_find(const struct pm2_home *home, struct pm2_leftover **ret, size_t *ret_count)
{
        cleanup_free struct process_fact *all = NULL;
        cleanup_free struct pm2_leftover *found = NULL;
        size_t count = 0, used = 0;
        int r = process_read_all(&all, &count);

        if (r < 0)
                return r;
        found = calloc(count + 1, sizeof(*found));
        if (!found)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                bool daemon;

                if (all[i].state != 'Z' && is_owned(all[i].pid, home->uid) &&
                    belongs(all[i].pid, home->path, &daemon))
                        found[used++] = (struct pm2_leftover){.fact = all[i], .daemon = daemon};
        }
        *ret = TAKE(found);
        *ret_count = used;
        return 0;
}
