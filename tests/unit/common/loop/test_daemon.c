/* The options that both daemons have, and the loop that a signal ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/loop/daemon.h"

static unsigned usages;

static void usage(FILE *out)
{
        usages++;
}

struct parsed {
        const char *state;
        bool check;
        int first, exit;
        bool go_on;
};

static struct parsed parse(const char *const *words)
{
        struct parsed parsed = {.first = -1, .exit = -1};
        const struct daemon_option list[] = {{"state", &parsed.state, NULL}, {"check", NULL, &parsed.check}};
        char *argv[16] = {(char *)"daemon"};
        int argc = 1;

        for (; words[argc - 1]; argc++)
                argv[argc] = (char *)words[argc - 1];
        optind = 0; /* getopt's own way to begin anew */
        opterr = 0;
        parsed.go_on = daemon_options("daemon", usage, list, ELEMENTS(list), argc, argv, &parsed.first,
                                      &parsed.exit);
        return parsed;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void test_options(void **state)
{
        struct parsed parsed = PARSE("--state", "/x", "join", "LINE");

        assert_true(parsed.go_on);
        assert_string_equal(parsed.state, "/x");
        assert_false(parsed.check);
        assert_int_equal(parsed.first, 3);
        parsed = PARSE("--check", "--state=/y", "--verbose");
        assert_true(parsed.go_on && parsed.check);
        assert_string_equal(parsed.state, "/y");
        assert_int_equal(parsed.first, 4);
        log_set_level(LOG_INFO);
}

static void test_ends(void **state)
{
        static const struct {
                const char *word;
                int exit;
                unsigned usages;
        } cases[] = {{"--help", DAEMON_OK, 1},     {"-h", DAEMON_OK, 1},
                     {"--version", DAEMON_OK, 0},  {"--nothing", DAEMON_USAGE, 1},
                     {"--state", DAEMON_USAGE, 1}, {"--check=yes", DAEMON_USAGE, 1}};

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct parsed parsed;

                usages = 0;
                parsed = PARSE(cases[i].word);
                assert_false(parsed.go_on);
                assert_int_equal(parsed.exit, cases[i].exit);
                assert_int_equal(usages, cases[i].usages);
        }
}

static int fail_loop(sd_event_source *source, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(source), -EIO);
}

static int end_by_signal(sd_event_source *source, void *userdata)
{
        return kill(getpid(), SIGTERM);
}

static enum daemon_exit run_with(sd_event_handler_t once)
{
        sd_event_source *source = NULL;
        sd_event *event = NULL;
        enum daemon_exit code;

        assert_int_equal(daemon_event(&event, NULL, NULL), 0);
        assert_true(sd_event_add_defer(event, &source, once, NULL) >= 0);
        code = daemon_run(event);
        sd_event_source_unref(source);
        sd_event_unref(event);
        return code;
}

static void test_loop(void **state)
{
        daemon_block_signals();
        assert_int_equal(run_with(end_by_signal), DAEMON_OK);
        assert_int_equal(run_with(fail_loop), DAEMON_FAILED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_loop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
