/* muster restart: the services in scope, in order, without a reboot; shows the plan, asks, runs, follows. */
#include "cli/cmd_start.h"

static int run(const struct cli *cli, int argc, char **argv)
{
        return start_run(cli, MUSTER__V1__PLAN_KIND__PLAN_KIND_RESTART, argc, argv);
}

const struct command command_restart = {
        .name = "restart",
        .usage = "[SCOPE] [--batch N] [--canary HOST] [--finish-by TIME] [--yes] [--force] [--detach] "
                 "[--json]",
        .summary = "restart services, not hosts",
        .run = run,
};
