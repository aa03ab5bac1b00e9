/* A test's tool, never part of muster: loaded into a daemon by LD_PRELOAD, it ends or stops the daemon, or
 * makes its disk fail, at one chosen write to one file. It stands in for a disk: else the daemon's calls are
 * the system's own.
 *
 * $MUSTER_FAULT names the order, a file of one line with four words:
 * - the ending of the file's path: "muster.db-wal" is the controller's journal, "/ledger" an agent's;
 * - which write: 3, the third since the order was there, or ~done,unit.stop, the first with all these words;
 * - when: before it, torn (half of it is there), or after (its sync has returned);
 * - what: kill, stop (SIGSTOP; whoever gave the order sends SIGCONT), EIO or ENOSPC (before: the write fails,
 *   after: its sync does).
 * A write is all that is written up to one sync. The order is renamed to $MUSTER_FAULT.hit before it is
 * carried out, once; $MUSTER_FAULT.count says how many writes there were while it stood. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEARABLE 64 /* bytes; what is shorter (a page's head in SQLite's log) is written whole */

enum when { BEFORE, TORN, AFTER };

static struct {
        char text[512], ending[64], which[256];
        struct timespec made;
        ino_t inode;
        enum when when;
        int what; /* a signal, or a negative errno */
        unsigned long writes;
} order;

static bool in_write, is_hit; /* of the write at hand: it has begun; the order is for it */

ssize_t write(int fd, const void *bytes, size_t size);
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at);
int fdatasync(int fd);
int fsync(int fd);

static int what_of(const char *word)
{
        return strcmp(word, "kill") == 0   ? SIGKILL
               : strcmp(word, "stop") == 0 ? SIGSTOP
               : strcmp(word, "EIO") == 0  ? -EIO
                                           : -ENOSPC;
}

/* Whether there is an order; one that is new starts the count anew. */
static bool order_stands(void)
{
        const char *path = getenv("MUSTER_FAULT");
        char when[16], what[16];
        struct stat stat_now;
        ssize_t size;
        int fd;

        if (!path)
                return false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        size = read(fd, order.text, sizeof(order.text) - 1);
        if (size <= 0 || fstat(fd, &stat_now) < 0) {
                close(fd);
                return false;
        }
        close(fd);
        order.text[size] = '\0';
        if (sscanf(order.text, "%63s %255s %15s %15s", order.ending, order.which, when, what) != 4)
                return false;
        order.when = strcmp(when, "before") == 0 ? BEFORE : strcmp(when, "torn") == 0 ? TORN : AFTER;
        order.what = what_of(what);
        if (order.inode != stat_now.st_ino ||
            memcmp(&order.made, &stat_now.st_mtim, sizeof(order.made)) != 0) {
                order.inode = stat_now.st_ino;
                order.made = stat_now.st_mtim;
                order.writes = 0;
                in_write = is_hit = false;
        }
        return true;
}

static bool is_named(int fd)
{
        char link[64], path[PATH_MAX];
        size_t length = strlen(order.ending);
        ssize_t size;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        size = readlink(link, path, sizeof(path) - 1);
        return size >= (ssize_t)length && memcmp(path + size - length, order.ending, length) == 0;
}

static bool is_wanted(const void *bytes, size_t size)
{
        char words[sizeof(order.which)], *rest = words;

        if (order.which[0] != '~')
                return strtoul(order.which, NULL, 10) == order.writes;
        strcpy(words, order.which + 1);
        for (char *word; (word = strsep(&rest, ","));)
                if (!memmem(bytes, size, word, strlen(word)))
                        return false;
        return true;
}

static void note_count(void)
{
        char path[PATH_MAX], text[32];
        int fd;

        snprintf(path, sizeof(path), "%s.count", getenv("MUSTER_FAULT"));
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return;
        snprintf(text, sizeof(text), "%lu\n", order.writes);
        (void)!syscall(SYS_write, fd, text, strlen(text));
        close(fd);
}

static void carry_out(void)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s.hit", getenv("MUSTER_FAULT"));
        rename(getenv("MUSTER_FAULT"), path);
        is_hit = false;
        if (order.what > 0)
                kill(getpid(), order.what);
}

/* Before each piece of a write. Returns how many bytes of it to write, or a negative errno. */
static ssize_t on_write(int fd, const void *bytes, size_t size)
{
        /* The daemons' own files are written by their one thread; nng's threads write to others. */
        if (gettid() != getpid() || !order_stands() || !is_named(fd))
                return (ssize_t)size;
        if (!in_write) {
                in_write = true;
                order.writes++;
                note_count();
        }
        is_hit |= is_wanted(bytes, size);
        if (!is_hit || order.when == AFTER)
                return (ssize_t)size;
        if (order.when == TORN)
                return (ssize_t)(size < TEARABLE ? size : size / 2);
        carry_out();
        return order.what < 0 ? order.what : (ssize_t)size;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at)
{
        ssize_t wanted = on_write(fd, bytes, size);
        size_t asked;

        if (wanted < 0) {
                errno = (int)-wanted;
                return -1;
        }
        asked = size;
        size = (size_t)wanted < size ? (size_t)wanted : size;
        wanted = syscall(SYS_pwrite64, fd, bytes, size, at);
        if (size < asked && is_hit && order.when == TORN)
                carry_out();
        return wanted;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
        ssize_t wanted = on_write(fd, bytes, size);
        size_t asked;

        if (wanted < 0) {
                errno = (int)-wanted;
                return -1;
        }
        asked = size;
        size = (size_t)wanted < size ? (size_t)wanted : size;
        wanted = syscall(SYS_write, fd, bytes, size);
        if (size < asked && is_hit && order.when == TORN)
                carry_out();
        return wanted;
}

static int on_sync(int fd, long call)
{
        bool is_ours = gettid() == getpid() && in_write && order_stands() && is_named(fd),
             hit = is_ours && is_hit;
        int r;

        if (is_ours)
                in_write = is_hit = false;
        if (hit && order.what < 0) {
                carry_out();
                errno = -order.what;
                return -1;
        }
        r = (int)syscall(call, fd);
        if (hit)
                carry_out();
        return r;
}

int fdatasync(int fd)
{
        return on_sync(fd, SYS_fdatasync);
}

int fsync(int fd)
{
        return on_sync(fd, SYS_fsync);
}
