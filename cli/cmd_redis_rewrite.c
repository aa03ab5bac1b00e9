/* muster redis rewrite: the append-only files of a scope's Redis rewritten, one at a time a host, with their
 * sizes and what that saves at the next load.
 *
 * Exit: 0 all were rewritten, 3 some were, 5 none because their hosts are away, 1 none. */
#include <stdio.h>

#include "cli/cmd_pm2_operation.h"
#include "cli/cmd_redis.h"
#include "cli/options.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/model/scope.h"

static void on_operation(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__FleetOperation *operation = (const Muster__V1__FleetOperation *)message;
        struct pm2_operations *operations = userdata;
        char low[32], high[32];

        pm2_on_operation(message, operations);
        if (!operation->saves || operations->ends)
                return;
        time_duration_text(low, sizeof(low), operation->saved_low_ms * USEC_PER_MSEC);
        time_duration_text(high, sizeof(high), operation->saved_high_ms * USEC_PER_MSEC);
        printf("        the next load takes %s to %s less\n", low, high);
        fflush(stdout);
}

static int rewrite(const struct cli *cli, struct pm2_operations *operations, const char *scope)
{
        Muster__V1__FleetRedisRewriteRequest request = MUSTER__V1__FLEET_REDIS_REWRITE_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct ending ending;
        int exit;

        if (!session_open(&session, cli, &exit))
                return exit;
        request.scope = (char *)scope;
        session_call(session, "RedisRewrite", &request.base, 0, on_operation, operations, &ending);
        if (ending.interrupted || ending.code == RPC_UNAVAILABLE || ending.code == RPC_DEADLINE_EXCEEDED)
                return cli_fail(CLI_PART, "%s; a rewrite that was begun goes on at its host: muster status",
                                ending.interrupted ? "left" : "the controller was lost");
        exit = ending_exit(&ending);
        if (exit != CLI_DONE)
                return exit;
        if (operations->ends) {
                json_t *all = json_pack("{s:O}", "operations", operations->ends);

                operations->out_of_memory |= !all || json_dumpf(all, stdout, JSON_INDENT(2)) < 0;
                json_decref(all);
                putchar('\n');
        }
        return pm2_operations_exit(operations);
}

int redis_rewrite(const struct cli *cli, int argc, char **argv)
{
        struct pm2_operations operations = {0};
        bool json = false;
        const struct option list[] = {{"json", &json, NULL, NULL, "as JSON"}};
        const struct options options = {"redis rewrite",    "[SCOPE]", list, ELEMENTS(list), 0,
                                        ARGUMENT_WORDS_MAX, false};
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, scope, sizeof(scope), &exit))
                return exit;
        terminal_read(&operations.terminal, stdout);
        if (json && !(operations.ends = json_array()))
                return cli_fail(CLI_FAILED, "out of memory");
        exit = rewrite(cli, &operations, scope);
        json_decref(operations.ends);
        return exit;
}
