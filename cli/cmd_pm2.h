/* The parts of `muster pm2`, one file each; argv[0] is the second word. */
#pragma once

#include "cli/command.h"

int pm2_diff(const struct cli *cli, int argc, char **argv);
int pm2_save(const struct cli *cli, int argc, char **argv);
int pm2_restore(const struct cli *cli, int argc, char **argv);
