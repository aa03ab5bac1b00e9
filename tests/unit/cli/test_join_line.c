/* The join line: its address exchanged, everything else untouched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/join_line.h"
#include "common/base/cleanup.h"

#define KEY   "aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00"
#define TOKEN "bb11bb11bb11bb11bb11bb11bb11bb11bb11bb11bb11bb11bb11bb11bb11bb11"

static void test_exchanged(void **state)
{
        static const struct {
                const char *line, *address, *result;
        } cases[] = {
                {"muster-join:1:db1:0.0.0.0:7117:" KEY ":" TOKEN, "10.0.0.1:7117",
                 "muster-join:1:db1:10.0.0.1:7117:" KEY ":" TOKEN},
                {"muster-join:1:db1:[::]:7117:" KEY ":" TOKEN, "bastion:17",
                 "muster-join:1:db1:bastion:17:" KEY ":" TOKEN},
                {"muster-join:1:db1:bastion:7117:" KEY ":" TOKEN, "[fd00::1]:7117",
                 "muster-join:1:db1:[fd00::1]:7117:" KEY ":" TOKEN},
        };
        char out[512];
        struct error error;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                assert_int_equal(
                        join_line_readdress(cases[i].line, cases[i].address, out, sizeof(out), &error), 0);
                assert_string_equal(out, cases[i].result);
        }
}

static void test_refused(void **state)
{
        static const char line[] = "muster-join:1:db1:bastion:7117:" KEY ":" TOKEN;
        static const char *const addresses[] = {
                "",          "bastion",      ":7117", "bastion:", "bastion:0", "bastion:65536",
                "bastion:x", "fd00::1:7117", "a b:1", "[]:1",     "a'b:1"};
        static const char *const lines[] = {"", "muster-join:1:", "muster-join:1:db1",
                                            "muster-join:1:db1:k:t", "muster-join:2:db1:a:1:k:t"};
        char out[512];
        struct error error;

        for (size_t i = 0; i < ELEMENTS(addresses); i++)
                assert_int_equal(join_line_readdress(line, addresses[i], out, sizeof(out), &error), -EINVAL);
        for (size_t i = 0; i < ELEMENTS(lines); i++)
                assert_int_equal(join_line_readdress(lines[i], "a:1", out, sizeof(out), &error), -EINVAL);
        assert_int_equal(join_line_readdress(line, "a:1", out, 40, &error), -ENAMETOOLONG);
}

static void test_local(void **state)
{
        assert_true(join_line_is_local("muster-join:1:db1:0.0.0.0:7117:k:t"));
        assert_true(join_line_is_local("muster-join:1:db1:[::]:7117:k:t"));
        assert_true(join_line_is_local("muster-join:1:db1:127.0.0.1:7117:k:t"));
        assert_false(join_line_is_local("muster-join:1:db1:10.127.0.1:7117:k:t"));
        assert_false(join_line_is_local("nonsense"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exchanged),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_local),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
