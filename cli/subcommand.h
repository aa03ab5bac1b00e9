/* Commands with a second word: `muster run ls`, `muster host invite`. */
#pragma once

#include <stddef.h>

#include "cli/command.h"

struct subcommand {
        const char *name;
        /* argv[0] is the second word. */
        int (*run)(const struct cli *cli, int argc, char **argv);
};

/* Finds argv[1] in the list and runs it, or says what the command takes. */
int subcommand_run(const char *command, const struct subcommand *list, size_t count, const struct cli *cli,
                   int argc, char **argv);
