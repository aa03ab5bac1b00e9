/* muster redis: what is done and seen of Redis in particular. */
#include "cli/cmd_redis.h"
#include "cli/subcommand.h"
#include "common/base/cleanup.h"

static int run(const struct cli *cli, int argc, char **argv)
{
        static const struct subcommand list[] = {
                {"rewrite", redis_rewrite},
                {"watch", redis_watch},
        };

        return subcommand_run("redis", list, ELEMENTS(list), cli, argc, argv);
}

const struct command command_redis = {
        .name = "redis",
        .usage = "rewrite|watch [SCOPE] [--json]",
        .summary = "AOFs rewritten, loads watched",
        .run = run,
};
