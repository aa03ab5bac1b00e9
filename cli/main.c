/* muster: how people see and steer a fleet. Finds the command and runs it; see command.h. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/terminal.h"
#include "common/base/suggest.h"
#include "common/base/text.h"

/* Parses what stands before the command. Returns -1 to go on with argv[*at], else the exit code. */
static int read_globals(struct cli *cli, int argc, char **argv, int *at)
{
        int i = 1;

        for (; i < argc && argv[i][0] == '-'; i++) {
                if (text_equal(argv[i], "--help") || text_equal(argv[i], "-h")) {
                        command_help();
                        return CLI_DONE;
                }
                if (text_equal(argv[i], "--version")) {
                        puts("muster " MUSTER_VERSION);
                        return CLI_DONE;
                }
                if (text_starts(argv[i], "--identity=")) {
                        cli->identity = argv[i] + strlen("--identity=");
                } else if (text_equal(argv[i], "--identity")) {
                        if (i + 1 >= argc)
                                return cli_fail(CLI_USAGE, "--identity needs a value: --identity FILE");
                        cli->identity = argv[++i];
                } else {
                        return cli_fail(CLI_USAGE,
                                        "unknown option '%s'; before the command it takes --identity FILE, "
                                        "--version, --help",
                                        argv[i]);
                }
        }
        *at = i;
        return -1;
}

static int unknown_command(const char *name)
{
        const struct command *command;
        struct suggest suggest;

        suggest_begin(&suggest, name);
        for (size_t i = 0; (command = command_at(i)); i++)
                suggest_offer(&suggest, command->name);
        return cli_fail(CLI_USAGE, "unknown command '%s'%s (muster --help lists them)", name,
                        suggest_text(&suggest));
}

static void block_signals(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
        struct cli cli = {0};
        const struct command *command;
        int at = 0, r;

        terminal_init();
        r = read_globals(&cli, argc, argv, &at);
        if (r >= 0)
                return r;
        if (at >= argc)
                return cli_fail(CLI_USAGE, "no command is given (muster --help lists them)");
        if (text_equal(argv[at], "help")) {
                command_help();
                return CLI_DONE;
        }
        command = command_find(argv[at]);
        if (!command)
                return unknown_command(argv[at]);
        /* Before any thread begins, so that signals reach the session's loop only. */
        block_signals();
        if (sodium_init() < 0)
                return cli_fail(CLI_FAILED, "libsodium cannot be used on this machine");
        r = command->run(&cli, argc - at, argv + at);
        if (fflush(stdout) != 0 || ferror(stdout))
                return cli_fail(CLI_FAILED, "cannot write to stdout");
        return r;
}
