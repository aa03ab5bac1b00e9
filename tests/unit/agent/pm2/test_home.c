/* What is quoted of a log: the line that says what went wrong, not the lines around it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/pm2/home.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "tests/unit/agent/pm2/lists.h"

static char path[sizeof("/tmp/muster-log.XXXXXX")];

static int make_log(void **state)
{
        int fd;

        strcpy(path, "/tmp/muster-log.XXXXXX");
        fd = mkstemp(path);
        return fd < 0 ? -1 : close(fd);
}

static int remove_log(void **state)
{
        return unlink(path);
}

static const char *tail_since(const char *text, uint64_t since_us, size_t size)
{
        static char ret[1024];
        const struct pm2_home home = {.uid = geteuid()};

        assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, NULL), 0);
        assert_int_equal(pm2_home_tail(&home, path, since_us, ret, size), 0);
        return ret;
}

static const char *tail(const char *text)
{
        return tail_since(text, 0, 1024);
}

/* As PM2 writes an error that an app has not caught: console.error() of it. */
static void test_errors(void **state)
{
        assert_string_equal(tail("ready\nError: connect ECONNREFUSED 127.0.0.1:6379\n"
                                 "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16) {\n"
                                 "  errno: -111,\n  code: 'ECONNREFUSED',\n  syscall: 'connect',\n"
                                 "  address: '127.0.0.1',\n  port: 6379\n}\n"),
                            "Error: connect ECONNREFUSED 127.0.0.1:6379");
        assert_string_equal(
                tail("/srv/a.js:3\nthrow new Error('x');\n^\n\nTypeError: x is no function\n"
                     "    at Object.<anonymous> (/srv/a.js:3:7)\n    at node:internal/main:28:49\n"
                     "\nNode.js v20.18.0\n\n\n"),
                "TypeError: x is no function");
        assert_string_equal(tail("one\nFATAL ERROR: heap limit\n\n"), "FATAL ERROR: heap limit");
        assert_string_equal(tail("Error: first\nError: second\n  later words\n"), "Error: second");
}

static void test_words(void **state)
{
        assert_string_equal(tail("a\nb\n\n  c\n}\n   at x\n\nd  \n\n"), "b |   c | d");
        assert_string_equal(tail("no Redis at 6379"), "no Redis at 6379");
        assert_string_equal(tail("at the end\n"), "at the end"); /* words, no frame */
        assert_string_equal(tail(""), "");
        assert_string_equal(tail("\n \n}\n"), "");
        assert_string_equal(tail("a\tb\x1b[1mc\n"), "a b [1mc");
        assert_string_equal(tail_since("one\ntwo\nthree\n", 0, 8), "three");
        assert_string_equal(tail_since("Error: caf\xc3\xa9\n", 0, 12), "Error: caf");
}

static void test_long(void **state)
{
        static char text[40000];

        memset(text, 'x', sizeof(text) - 1);
        memcpy(text, "Error: of long ago\n", 19);
        strcpy(text + sizeof(text) - 20, "\nthe last words\n");
        assert_string_equal(tail(text), "the last words");
}

static void test_old(void **state)
{
        struct stat status;
        uint64_t written_us;

        tail("Error: of months ago\n");
        assert_int_equal(stat(path, &status), 0);
        written_us = (uint64_t)status.st_mtim.tv_sec * 1000000u;
        assert_string_equal(tail_since("Error: new\n", written_us, 1024), "Error: new");
        assert_string_equal(tail_since("Error: old\n", written_us + 600000000u, 1024), "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_errors, make_log, remove_log),
                cmocka_unit_test_setup_teardown(test_words, make_log, remove_log),
                cmocka_unit_test_setup_teardown(test_long, make_log, remove_log),
                cmocka_unit_test_setup_teardown(test_old, make_log, remove_log),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
