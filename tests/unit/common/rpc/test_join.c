/* The line that lets one host, or one person, in once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/rpc/join.h"

static struct join_line line_of(enum rpc_role role, const char *name, const char *address)
{
        struct join_line line = {.role = role};

        assert_int_equal(TEXT_COPY(line.name, name), 0);
        assert_int_equal(TEXT_COPY(line.address, address), 0);
        memset(line.controller, 0xa5, sizeof(line.controller));
        memset(line.token, 0x17, sizeof(line.token));
        return line;
}

static void test_there_and_back(void **state)
{
        static const struct {
                enum rpc_role role;
                const char *name, *address, *begins;
        } cases[] = {
                {RPC_AGENT, "db1", "bastion:7117", "muster-join:1:db1:bastion:7117:a5a5"},
                {RPC_AGENT, "db1", "[fd00::1]:7117", "muster-join:1:db1:[fd00::1]:7117:a5a5"},
                {RPC_USER, "ann", "[::1]:7117", "muster-user:1:ann:[::1]:7117:a5a5"},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct join_line line = line_of(cases[i].role, cases[i].name, cases[i].address), back;
                enum rpc_role other = cases[i].role == RPC_USER ? RPC_AGENT : RPC_USER;
                struct error error = {0};
                char text[JOIN_LINE_SIZE];

                assert_int_equal(join_line_format(&line, text, sizeof(text)), 0);
                assert_true(text_starts(text, cases[i].begins));
                assert_int_equal(join_line_parse(&back, cases[i].role, text, &error), 0);
                assert_string_equal(back.name, cases[i].name);
                assert_string_equal(back.address, cases[i].address);
                assert_memory_equal(back.token, line.token, sizeof(line.token));
                assert_memory_equal(back.controller, line.controller, sizeof(line.controller));
                assert_int_equal(join_line_parse(&back, other, text, &error), -EINVAL);
                assert_int_equal(join_line_format(&line, text, 40), -EMSGSIZE);
        }
}

static void test_damaged(void **state)
{
        static const char *const lines[] = {"",
                                            "muster-user:1:",
                                            "muster-user:1:ann",
                                            "muster-user:1:ann:bastion:7117",
                                            "muster-user:2:ann:b:1:00:00",
                                            "muster-user:1:ann:bastion:7117:a5:17",
                                            "muster-user:1:../ann:bastion:7117:a5:17"};
        struct join_line line = line_of(RPC_USER, "ann", "bastion:7117"), back;
        char text[JOIN_LINE_SIZE], longer[2 * JOIN_LINE_SIZE];
        struct error error = {0};

        for (size_t i = 0; i < ELEMENTS(lines); i++)
                assert_int_equal(join_line_parse(&back, RPC_USER, lines[i], &error), -EINVAL);
        assert_int_equal(join_line_format(&line, text, sizeof(text)), 0);
        for (size_t cut = strlen(text) - 1; cut > 0; cut--) {
                text[cut] = '\0';
                assert_int_equal(join_line_parse(&back, RPC_USER, text, &error), -EINVAL);
                assert_non_null(strstr(error.text, "muster user add"));
        }
        line = line_of(RPC_USER, "../ann", "bastion:7117"); /* whole, but no name */
        assert_int_equal(join_line_format(&line, text, sizeof(text)), 0);
        assert_int_equal(join_line_parse(&back, RPC_USER, text, &error), -EINVAL);
        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        memcpy(longer, "muster-user:1:", 14);
        assert_int_equal(join_line_parse(&back, RPC_USER, longer, &error), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_damaged),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
