/* The commands of `muster`: one file each (cmd_*.c), one table of them all (commands.c).
 *
 * A command parses its own arguments, talks to the controller through a session (connect.h), prints, and
 * returns the program's exit code. What went wrong is one line on stderr. */
#pragma once

#include <stddef.h>

#include "common/base/error.h"

/* Part of the interface: scripts branch on these. */
enum cli_exit {
        CLI_DONE = 0,
        CLI_FAILED = 1,
        CLI_USAGE = 2,
        CLI_PART = 3,        /* done in part, or left before the end was seen */
        CLI_PAUSED = 4,      /* the run waits for a person */
        CLI_UNREACHABLE = 5, /* not reachable or not allowed */
};

/* What main parsed before the command's name. */
struct cli {
        const char *identity; /* --identity FILE; NULL: the usual places */
};

struct command {
        const char *name;
        const char *usage;   /* what follows the name: "[SCOPE] [--json]" */
        const char *summary; /* one line */
        /* argv[0] is the command's name. */
        int (*run)(const struct cli *cli, int argc, char **argv);
};

extern const struct command command_audit;
extern const struct command command_check;
extern const struct command command_exec;
extern const struct command command_host;
extern const struct command command_plan;
extern const struct command command_pm2;
extern const struct command command_redis;
extern const struct command command_reboot;
extern const struct command command_report;
extern const struct command command_restart;
extern const struct command command_run;
extern const struct command command_status;
extern const struct command command_user;

/* NULL for an unknown name. */
const struct command *command_find(const char *name);
/* The commands in the order of the help; NULL after the last. */
const struct command *command_at(size_t index);
/* What `muster --help` says, on stdout. */
void command_help(void);

/* Prints "muster: TEXT" on stderr, control characters replaced, and returns code. */
int cli_fail(enum cli_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));
