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

#define ENVIRONMENT_SIZE    (4u << 20)
#define KILL_TIMEOUT_MAX_MS (3600 * 1000u) /* an app may write what it likes into its environment */

static bool is_below(const char *path, const char *home)
{
        size_t length = strlen(home);

        return strncmp(path, home, length) == 0 && path[length] == '/';
}

/* The variable at *at, which is moved beyond it; NULL at the end. One that is not terminated was cut, and is
 * none. */
static const char *next_variable(const char **at, const char *end)
{
        const char *variable = *at;
        size_t length = strnlen(variable, (size_t)(end - variable));

        if (variable + length == end)
                return NULL;
        *at += length + 1;
        return variable;
}

unsigned pm2_environment_marks(const char *block, size_t size, const char *home)
{
        const char *end = block + size, *variable;
        unsigned marks = 0;

        while ((variable = next_variable(&block, end))) {
                if (text_starts(variable, "pm_id="))
                        marks |= PM2_MARK_APP;
                else if (text_starts(variable, "pm_pid_path=") && is_below(variable + 12, home))
                        marks |= PM2_MARK_PIDS;
                else if (text_starts(variable, "PM2_HOME=") && text_equal(variable + 9, home))
                        marks |= PM2_MARK_HOME;
        }
        return marks;
}

uint32_t pm2_environment_kill_timeout(const char *block, size_t size)
{
        const char *end = block + size, *variable;
        uint64_t value;

        while ((variable = next_variable(&block, end)))
                if (text_starts(variable, "kill_timeout=") && text_to_u64(variable + 13, &value) == 0)
                        return value < KILL_TIMEOUT_MAX_MS ? (uint32_t)value : KILL_TIMEOUT_MAX_MS;
        return 0;
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

/* Whether the process is the home's; ret then says what it is. */
static bool belongs(const struct process_fact *fact, const char *home, struct pm2_leftover *ret)
{
        cleanup_free char *environment = NULL, *line = NULL;
        size_t size;
        unsigned marks;

        if (!read_proc(fact->pid, "environ", &environment, &size))
                return false;
        marks = pm2_environment_marks(environment, size, home);
        *ret = (struct pm2_leftover){.fact = *fact,
                                     .kill_timeout_ms = pm2_environment_kill_timeout(environment, size)};
        if (marks & PM2_MARK_APP)
                return marks & (PM2_MARK_HOME | PM2_MARK_PIDS);
        if (!(marks & PM2_MARK_HOME) || !read_proc(fact->pid, "cmdline", &line, &size))
                return false;
        ret->daemon = pm2_title_is_daemon(line, size);
        return ret->daemon;
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
        for (size_t i = 0; i < count; i++)
                if (all[i].state != 'Z' && is_owned(all[i].pid, home->uid) &&
                    belongs(&all[i], home->path, &found[used]))
                        used++;
        *ret = TAKE(found);
        *ret_count = used;
        return 0;
}
