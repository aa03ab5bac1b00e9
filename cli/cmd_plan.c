/* muster plan: what a reboot or restart would do, with estimates; changes nothing. */
#include "cli/cmd_plan_options.h"
#include "cli/cmd_plan_view.h"
#include "cli/connect.h"
#include "cli/json.h"
#include "cli/options.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/model/scope.h"

struct showing {
        bool json;
        int failure;
};

static void on_plan(const ProtobufCMessage *message, void *userdata)
{
        struct showing *showing = userdata;
        struct terminal terminal;

        terminal_read(&terminal, stdout);
        showing->failure = showing->json
                                   ? json_print(message, false)
                                   : plan_view((const Muster__V1__PlanReply *)message, stdout, &terminal);
}

static int run(const struct cli *cli, int argc, char **argv)
{
        struct showing showing = {0};
        struct plan_asked asked = {0};
        const struct option list[] = {{"json", &showing.json, NULL, NULL, "as JSON"}, PLAN_OPTIONS(&asked)};
        const struct options options = {"plan", "reboot|restart [SCOPE]", list, ELEMENTS(list),
                                        1,      ARGUMENT_WORDS_MAX,       false};
        Muster__V1__PlanRequest request = MUSTER__V1__PLAN_REQUEST__INIT;
        Muster__V1__PlanOptions wanted;
        cleanup_with(session_freep) session *session = NULL;
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        struct ending ending;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 1, scope, sizeof(scope), &exit) ||
            !plan_options_read(&asked, "plan", &exit))
                return exit;
        if (text_equal(arguments.words[0], "reboot"))
                request.kind = MUSTER__V1__PLAN_KIND__PLAN_KIND_REBOOT;
        else if (text_equal(arguments.words[0], "restart"))
                request.kind = MUSTER__V1__PLAN_KIND__PLAN_KIND_RESTART;
        else
                return cli_fail(CLI_USAGE, "plan: '%s' cannot be planned; it takes reboot or restart",
                                arguments.words[0]);
        if (!session_open(&session, cli, &exit))
                return exit;
        request.scope = scope;
        plan_options_fill(&wanted, &asked);
        request.options = &wanted;
        session_call(session, "Plan", &request.base, CALL_DEADLINE_US, on_plan, &showing, &ending);
        if (showing.failure < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        return ending_exit(&ending);
}

const struct command command_plan = {
        .name = "plan",
        .usage = "reboot|restart [SCOPE] [--batch N] [--canary HOST] [--finish-by TIME] [--json]",
        .summary = "what would happen; changes nothing",
        .run = run,
};
