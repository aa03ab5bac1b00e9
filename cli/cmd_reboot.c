/* muster reboot: all hosts in scope, in order; shows the plan, asks, runs, follows. */
#include "cli/cmd_start.h"

static int run(const struct cli *cli, int argc, char **argv)
{
        return start_run(cli, MUSTER__V1__PLAN_KIND__PLAN_KIND_REBOOT, argc, argv);
}

const struct command command_reboot = {
        .name = "reboot",
        .usage = "[SCOPE] [--batch N] [--canary HOST] [--finish-by TIME] [--yes] [--force] [--detach] "
                 "[--json]",
        .summary = "reboot hosts and bring all back",
        .run = run,
};
