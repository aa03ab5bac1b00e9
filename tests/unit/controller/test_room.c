/* Room for the journal: a megabyte, and once more what the log of an earlier life holds. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/room.h"

/* A file of more than this cannot be had here: what stands in for a disk without room says so as EFBIG. */
static void limit(rlim_t bytes)
{
        struct rlimit size = {bytes, RLIM_INFINITY};

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &size), 0);
}

static void make_log(const char *folder, off_t bytes)
{
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/muster.db-wal", folder);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, bytes), 0); /* of holes: the log itself takes nothing */
        close(fd);
        if (bytes == 0)
                unlink(path);
}

static void test_the_log_has_to_fit(void **state)
{
        char folder[] = "/tmp/muster-test-room-XXXXXX";
        struct error error = {0};

        signal(SIGXFSZ, SIG_IGN);
        assert_non_null(mkdtemp(folder));
        limit(3 << 20);
        assert_int_equal(room_probe(folder, &error), 0);
        make_log(folder, 1 << 20);
        assert_int_equal(room_probe(folder, &error), 0);
        make_log(folder, 3 << 20);
        assert_int_equal(room_probe(folder, &error), -EFBIG);
        limit(4 << 20);
        assert_int_equal(room_probe(folder, &error), 0);
        make_log(folder, 0);
        assert_int_equal(rmdir(folder), 0); /* nothing is left of the probe */
        assert_int_equal(room_probe(folder, &error), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_log_has_to_fit)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
