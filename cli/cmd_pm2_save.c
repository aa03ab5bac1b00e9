/* muster pm2 save: a snapshot of each PM2 home in scope, under one name.
 *
 * Exit: 0 all were saved, 3 some were, 5 none because their hosts are away, 1 none. */
#include <stdio.h>

#include "cli/cmd_pm2.h"
#include "cli/cmd_pm2_operation.h"
#include "cli/options.h"
#include "common/base/cleanup.h"
#include "common/model/scope.h"
#include "proto/fleet.pb-c.h"

static int save(const struct cli *cli, struct pm2_operations *operations, const char *scope)
{
        Muster__V1__FleetPm2SaveRequest request = MUSTER__V1__FLEET_PM2_SAVE_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct ending ending;
        int exit;

        if (!session_open(&session, cli, &exit))
                return exit;
        request.scope = (char *)scope;
        session_call(session, "Pm2Save", &request.base, 0, pm2_on_operation, operations, &ending);
        exit = pm2_left(&ending, scope);
        if (exit == CLI_DONE)
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

int pm2_save(const struct cli *cli, int argc, char **argv)
{
        struct pm2_operations operations = {0};
        bool json = false;
        const struct option list[] = {{"json", &json, NULL, NULL, "as JSON"}};
        const struct options options = {"pm2 save", "[SCOPE]",          list, ELEMENTS(list),
                                        0,          ARGUMENT_WORDS_MAX, false};
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, scope, sizeof(scope), &exit))
                return exit;
        terminal_read(&operations.terminal, stdout);
        if (json && !(operations.ends = json_array()))
                return cli_fail(CLI_FAILED, "out of memory");
        exit = save(cli, &operations, scope);
        json_decref(operations.ends);
        return exit;
}
