/* muster status: the fleet on one page; with --watch again whenever something changes. */
#include <stdio.h>

#include "cli/cmd_status_view.h"
#include "cli/connect.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "common/base/cleanup.h"
#include "common/model/scope.h"
#include "proto/fleet.pb-c.h"

struct showing {
        bool json, watch;
        unsigned shown;
        int failure;
};

static void on_status(const ProtobufCMessage *message, void *userdata)
{
        struct showing *showing = userdata;
        struct terminal terminal;

        if (showing->json) {
                showing->failure = json_print(message, showing->watch);
                return;
        }
        terminal_read(&terminal, stdout);
        if (showing->watch && terminal.tty)
                fputs("\033[H\033[2J", stdout);
        else if (showing->shown > 0)
                putchar('\n');
        showing->shown++;
        showing->failure = status_view((const Muster__V1__StatusReply *)message, stdout, &terminal);
        fflush(stdout);
}

static int run(const struct cli *cli, int argc, char **argv)
{
        struct showing showing = {0};
        const struct option list[] = {
                {"watch", &showing.watch, NULL, NULL, "show it again whenever something changes"},
                {"json", &showing.json, NULL, NULL, "as JSON (with --watch one object a line)"},
        };
        const struct options options = {"status", "[SCOPE]",          list, ELEMENTS(list),
                                        0,        ARGUMENT_WORDS_MAX, false};
        Muster__V1__StatusRequest request = MUSTER__V1__STATUS_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        struct ending ending;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, scope, sizeof(scope), &exit) ||
            !session_open(&session, cli, &exit))
                return exit;
        request.scope = scope;
        session_call(session, showing.watch ? "Watch" : "Status", &request.base,
                     showing.watch ? 0 : CALL_DEADLINE_US, on_status, &showing, &ending);
        if (showing.failure < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        if (showing.watch && ending.interrupted)
                return CLI_DONE;
        return ending_exit(&ending);
}

const struct command command_status = {
        .name = "status",
        .usage = "[SCOPE] [--watch] [--json]",
        .summary = "what stands where",
        .run = run,
};
