/* Arguments: what is taken, and the one line that each mistake gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/subcommand.h"
#include "common/base/cleanup.h"

struct given {
        bool json;
        const char *format;
        struct arguments arguments;
        struct error error;
};

/* Parses up to eight words as arguments of "thing [A] [B]", with --json and --format. */
static int parse(struct given *given, bool rest, size_t words_min, const char *const *words)
{
        const struct option list[] = {
                {"json", &given->json, NULL, NULL, ""},
                {"format", NULL, &given->format, "FORMAT", ""},
        };
        const struct options options = {"thing", "A [B]", list, ELEMENTS(list), words_min, 2, rest};
        char *argv[10] = {(char *)"thing"};
        int argc = 1;

        *given = (struct given){0};
        for (; words[argc - 1]; argc++)
                argv[argc] = (char *)words[argc - 1];
        return options_parse(&options, argc, argv, &given->arguments, &given->error);
}

#define WORDS(...)                                                                                           \
        (const char *const[])                                                                                \
        {                                                                                                    \
                __VA_ARGS__ __VA_OPT__(, ) NULL                                                              \
        }

static void test_taken(void **state)
{
        struct given given;

        assert_int_equal(parse(&given, false, 0, WORDS()), 0);
        assert_int_equal(given.arguments.word_count, 0);
        assert_null(given.arguments.words[0]);
        assert_int_equal(parse(&given, false, 1, WORDS("a", "--json", "b", "--format", "md")), 0);
        assert_int_equal(given.arguments.word_count, 2);
        assert_string_equal(given.arguments.words[1], "b");
        assert_true(given.json);
        assert_string_equal(given.format, "md");
        assert_int_equal(parse(&given, false, 0, WORDS("--format=")), 0);
        assert_string_equal(given.format, "");
        /* A lone dash is a word. */
        assert_int_equal(parse(&given, false, 0, WORDS("-")), 0);
        assert_string_equal(given.arguments.words[0], "-");
}

static void test_rest(void **state)
{
        struct given given;

        assert_int_equal(parse(&given, true, 1, WORDS("a", "--", "ls", "--json", "--")), 0);
        assert_int_equal(given.arguments.rest_count, 3);
        assert_string_equal(given.arguments.rest[1], "--json");
        assert_false(given.json);
        assert_int_equal(parse(&given, true, 1, WORDS("a")), -EINVAL);
        assert_non_null(strstr(given.error.text, "no command"));
        assert_int_equal(parse(&given, true, 1, WORDS("a", "--")), -EINVAL);
        assert_int_equal(parse(&given, false, 1, WORDS("a", "--", "b")), -EINVAL);
}

static void test_help(void **state)
{
        struct given given;

        assert_int_equal(parse(&given, false, 2, WORDS("--help")), 1);
        assert_int_equal(parse(&given, false, 2, WORDS("a", "-h", "--nonsense")), 1);
        /* What follows "--" is the command's. */
        assert_int_equal(parse(&given, true, 1, WORDS("a", "--", "ls", "--help")), 0);
}

/* Each says what was wrong and what is allowed, on one line. */
static void test_mistakes(void **state)
{
        static const struct {
                const char *words[4];
                const char *says;
        } cases[] = {
                {{"--jsn"}, "unknown option '--jsn'"},
                {{"-j"}, "unknown option '-j'"},
                {{"--json=yes"}, "--json takes no value"},
                {{"--format"}, "--format needs a value"},
                {{"--format", "md", "--format=md"}, "given twice"},
                {{"a", "b", "c"}, "unexpected 'c'"},
        };
        struct given given;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                assert_int_equal(parse(&given, false, 0, cases[i].words), -EINVAL);
                assert_non_null(strstr(given.error.text, cases[i].says));
                assert_non_null(strstr(given.error.text, "thing: "));
                assert_null(strchr(given.error.text, '\n'));
        }
        assert_int_equal(parse(&given, false, 0, WORDS("--nope")), -EINVAL);
        assert_non_null(strstr(given.error.text, "A [B], --json, --format FORMAT"));
        assert_int_equal(parse(&given, false, 1, WORDS("--json")), -EINVAL);
        assert_non_null(strstr(given.error.text, "muster thing A [B]"));
}

static void test_scope(void **state)
{
        struct arguments arguments = {.words = {"reboot", "@data", "!db2"}, .word_count = 3};
        char scope[16];
        int exit = -1;

        assert_true(arguments_scope(&arguments, 1, scope, sizeof(scope), &exit));
        assert_string_equal(scope, "@data,!db2");
        assert_true(arguments_scope(&arguments, 3, scope, sizeof(scope), &exit));
        assert_string_equal(scope, "");
        assert_false(arguments_scope(&arguments, 0, scope, sizeof(scope), &exit));
        assert_int_equal(exit, CLI_USAGE);
}

static int answer(const struct cli *cli, int argc, char **argv)
{
        return 40 + argc;
}

static void test_subcommands(void **state)
{
        static const struct subcommand list[] = {{"ls", answer}, {"show", answer}};
        char *known[] = {(char *)"run", (char *)"show", (char *)"r1", NULL};
        char *unknown[] = {(char *)"run", (char *)"shwo", NULL};
        struct cli cli = {0};

        assert_int_equal(subcommand_run("run", list, ELEMENTS(list), &cli, 3, known), 42);
        assert_int_equal(subcommand_run("run", list, ELEMENTS(list), &cli, 2, unknown), CLI_USAGE);
        assert_int_equal(subcommand_run("run", list, ELEMENTS(list), &cli, 1, known), CLI_USAGE);
}

/* The table of commands: every name once, every text there. */
static void test_commands(void **state)
{
        const struct command *command;
        size_t count = 0;

        for (; (command = command_at(count)); count++) {
                assert_ptr_equal(command_find(command->name), command);
                assert_true(command->usage[0] && command->summary[0] && command->run);
        }
        assert_true(count >= 10);
        assert_null(command_find("nonsense"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_taken),    cmocka_unit_test(test_rest),
                cmocka_unit_test(test_help),     cmocka_unit_test(test_mistakes),
                cmocka_unit_test(test_scope),    cmocka_unit_test(test_subcommands),
                cmocka_unit_test(test_commands),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
