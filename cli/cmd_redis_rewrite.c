/* muster redis rewrite: the append-only files of a scope's Redis rewritten, one at a time a host, with their
 * sizes and what that saves at the next load.
 *
 * Exit: 0 all were rewritten, 3 some were, 5 none because their hosts are away, 1 none. */
#include <stdio.h>

#include "cli/cmd_operation.h"
#include "cli/cmd_redis.h"
#include "common/base/time.h"

static void on_operation(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__FleetOperation *operation = (const Muster__V1__FleetOperation *)message;
        struct operations *operations = userdata;
        char low[32], high[32];

        operations_on_message(message, operations);
        if (!operation->saves || operations->ends)
                return;
        time_duration_text(low, sizeof(low), operation->saved_low_ms * USEC_PER_MSEC);
        time_duration_text(high, sizeof(high), operation->saved_high_ms * USEC_PER_MSEC);
        printf("        the next load takes %s to %s less\n", low, high);
        fflush(stdout);
}

int redis_rewrite(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__FleetRedisRewriteRequest request = MUSTER__V1__FLEET_REDIS_REWRITE_REQUEST__INIT;

        return operations_command(cli, argc, argv, "redis rewrite", "RedisRewrite", &request.base,
                                  &request.scope, on_operation, "muster status");
}
