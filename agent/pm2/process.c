/* See process.h. */
#include "agent/pm2/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/time.h"

#define CALM_SAMPLES 2
#define MOST_THREADS 64 /* of one process, that are looked at */

static int parse_stat(const char *text, struct process_fact *ret)
{
        /* The name stands in parentheses and may hold anything, parentheses too: go on after the last. */
        const char *rest = strrchr(text, ')');
        unsigned long long user, system, started;
        int parent;
        char state;

        if (!rest ||
            sscanf(rest + 1,
                   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu",
                   &state, &parent, &user, &system, &started) != 5)
                return -EBADMSG;
        ret->parent = parent;
        ret->state = state;
        ret->ticks = user + system;
        ret->started = started;
        return 0;
}

static int read_stat(const char *path, pid_t pid, struct process_fact *ret)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[1024];
        ssize_t n;

        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return n < 0 ? -errno : -ESRCH;
        text[n] = '\0';
        *ret = (struct process_fact){.pid = pid};
        return parse_stat(text, ret);
}

int process_read(pid_t pid, struct process_fact *ret)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        return read_stat(path, pid, ret);
}

int process_read_busiest(pid_t pid, struct process_fact *ret)
{
        cleanup_dir DIR *folder = NULL;
        struct process_fact thread;
        struct dirent *entry;
        char path[64];
        int r = process_read(pid, ret);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
        folder = opendir(path);
        if (!folder)
                return errno == ENOENT ? -ESRCH : -errno;
        for (size_t i = 0; i < MOST_THREADS && ret->state != 'R' && (entry = readdir(folder));) {
                if (!isdigit((unsigned char)entry->d_name[0]))
                        continue;
                i++;
                snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, atoi(entry->d_name));
                if (read_stat(path, pid, &thread) == 0 && (thread.state == 'R' || thread.state == 'D'))
                        ret->state = thread.state;
        }
        return 0;
}

uint64_t process_age_us(const struct process_fact *fact)
{
        long ticks = sysconf(_SC_CLK_TCK); /* a second */
        uint64_t started, now;
        struct timespec time;

        clock_gettime(CLOCK_BOOTTIME, &time);
        now = (uint64_t)time.tv_sec * USEC_PER_SEC + (uint64_t)time.tv_nsec / 1000;
        started = fact->started / (uint64_t)ticks * USEC_PER_SEC +
                  fact->started % (uint64_t)ticks * USEC_PER_SEC / (uint64_t)ticks;
        return now > started ? now - started : 0;
}

static int compare_pids(const void *a, const void *b)
{
        const struct process_fact *left = a, *right = b;

        return (left->pid > right->pid) - (left->pid < right->pid);
}

int process_read_all(struct process_fact **ret, size_t *ret_count)
{
        cleanup_free struct process_fact *all = NULL;
        cleanup_dir DIR *folder = opendir("/proc");
        size_t count = 0, room = 0;
        struct dirent *entry;

        if (!folder)
                return -errno;
        while ((entry = readdir(folder))) {
                if (!isdigit((unsigned char)entry->d_name[0]))
                        continue;
                if (count == room) {
                        struct process_fact *larger = reallocarray(all, room ? room * 2 : 256, sizeof(*all));

                        if (!larger)
                                return -ENOMEM;
                        all = larger;
                        room = room ? room * 2 : 256;
                }
                if (process_read(atoi(entry->d_name), &all[count]) == 0)
                        count++;
        }
        if (count)
                qsort(all, count, sizeof(*all), compare_pids);
        *ret = TAKE(all);
        *ret_count = count;
        return 0;
}

static const struct process_fact *find(const struct process_fact *all, size_t count, pid_t pid)
{
        struct process_fact key = {.pid = pid};

        return count ? bsearch(&key, all, count, sizeof(*all), compare_pids) : NULL;
}

bool process_is_below(const struct process_fact *all, size_t count, pid_t pid, pid_t ancestor)
{
        /* Read one by one, the table may hold a loop where ids were reused: never more steps than rows. */
        for (size_t steps = 0; steps < count; steps++) {
                const struct process_fact *fact = find(all, count, pid);

                if (!fact)
                        return false;
                if (fact->parent == ancestor)
                        return true;
                pid = fact->parent;
        }
        return false;
}

int process_open(const struct process_fact *fact)
{
        cleanup_close int fd = (int)syscall(SYS_pidfd_open, fact->pid, 0);
        struct process_fact now;

        if (fd < 0)
                return -errno;
        if (process_read(fact->pid, &now) < 0 || now.started != fact->started)
                return -ESRCH;
        return take_fd(&fd);
}

int process_signal(int pidfd, int signal)
{
        return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

bool process_rest_sample(struct process_rest *rest, const struct process_fact *fact)
{
        bool calm = fact->state == 'S' && fact->ticks == rest->ticks;

        rest->ticks = fact->ticks;
        rest->calm = calm ? rest->calm + 1 : 0;
        return rest->calm >= CALM_SAMPLES;
}
