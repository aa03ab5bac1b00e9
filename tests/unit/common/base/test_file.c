/* That a file is written whole or not at all, also when the power goes: what is asked of the disk, in which
 * order. fsync and rename are this program's own: they note, and may fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"

static struct {
        char folder[64];
        char noted[2048];    /* what was asked of the disk, without the folder's name */
        char at_sync[64];    /* what stood at the path when the new file was synced */
        const char *failing; /* "sync", "rename" */
} t;

static void path_of(const char *name, char out[256])
{
        snprintf(out, 256, "%s/%s", t.folder, name);
}

static void read_now(char out[64])
{
        cleanup_free char *text = NULL;
        char path[256];

        path_of("file", path);
        snprintf(out, 64, "%s", file_read(path, 63, &text, NULL, NULL) == 0 ? text : "");
}

/* Names of temporary files end in six letters that differ from time to time. */
static void note(const char *what, const char *path)
{
        const char *name = strncmp(path, t.folder, strlen(t.folder)) == 0 ? path + strlen(t.folder) : path;
        size_t length, used = strlen(t.noted);
        bool temporary;

        name = name[0] ? name : "/";
        length = strlen(name);
        temporary = length > 7 && name[length - 7] == '.';

        snprintf(t.noted + used, sizeof(t.noted) - used, "%s %.*s%s; ", what,
                 (int)(temporary ? length - 6 : length), name, temporary ? "X" : "");
}

int fsync(int fd)
{
        char link[64], path[256] = "";
        struct stat status;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, path, sizeof(path) - 1) < 0 || fstat(fd, &status) < 0)
                return -1;
        if (S_ISREG(status.st_mode))
                read_now(t.at_sync);
        note("sync", path);
        if (t.failing && strcmp(t.failing, "sync") == 0) {
                errno = EIO;
                return -1;
        }
        return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
        note("rename", to);
        if (t.failing && strcmp(t.failing, "rename") == 0) {
                errno = EIO;
                return -1;
        }
        return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int begin(void **state)
{
        memset(&t, 0, sizeof(t));
        strcpy(t.folder, "/tmp/muster-file.XXXXXX");
        return mkdtemp(t.folder) ? 0 : -1;
}

static int end(void **state)
{
        char command[96];

        snprintf(command, sizeof(command), "rm -r %s", t.folder);
        return system(command);
}

static int write_file(const char *text)
{
        char path[256];

        path_of("file", path);
        t.noted[0] = '\0';
        return file_write_atomic(path, text, strlen(text), 0600, NULL);
}

static void test_order(void **state)
{
        char now[64];

        assert_int_equal(write_file("old"), 0);
        assert_string_equal(t.noted, "sync /file.X; rename /file; sync /; ");
        assert_string_equal(t.at_sync, "");
        assert_int_equal(write_file("new"), 0);
        assert_string_equal(t.noted, "sync /file.X; rename /file; sync /; ");
        assert_string_equal(t.at_sync, "old"); /* whole, until the new one is on the disk */
        read_now(now);
        assert_string_equal(now, "new");
}

/* Neither half a file nor one beside it is left. */
static void test_failures(void **state)
{
        static const char *const failing[] = {"sync", "rename"};
        char now[64], command[96];

        assert_int_equal(write_file("old"), 0);
        for (size_t i = 0; i < 2; i++) {
                t.failing = failing[i];
                assert_int_equal(write_file("new"), -EIO);
                t.failing = NULL;
                read_now(now);
                assert_string_equal(now, "old");
                snprintf(command, sizeof(command), "test $(ls %s | wc -l) -eq 1", t.folder);
                assert_int_equal(system(command), 0);
        }
}

/* A folder's name is as lost as a file's while the folder above it is not synced. */
static void test_folders(void **state)
{
        char path[256];

        path_of("a/b", path);
        assert_int_equal(file_make_folders(path, 0700, NULL), 0);
        assert_string_equal(t.noted, "sync /; sync /a; ");
        t.noted[0] = '\0';
        assert_int_equal(file_make_folders(path, 0700, NULL), 0);
        assert_string_equal(t.noted, "");
        t.failing = "sync";
        path_of("a/c", path);
        assert_int_equal(file_make_folders(path, 0700, NULL), -EIO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_order, begin, end),
                cmocka_unit_test_setup_teardown(test_failures, begin, end),
                cmocka_unit_test_setup_teardown(test_folders, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
