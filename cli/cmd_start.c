/* See cmd_start.h. The plan that was shown is the plan that runs: its digest goes with the order to start. */
#include "cli/cmd_start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd_follow.h"
#include "cli/cmd_plan_options.h"
#include "cli/cmd_plan_view.h"
#include "cli/confirm.h"
#include "cli/connect.h"
#include "cli/options.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/model/scope.h"

#define DIGEST_SIZE 32

struct starting {
        Muster__V1__PlanKind kind;
        char scope[SCOPE_TEXT_MAX];
        bool yes, detach, json, force;
        struct plan_asked asked;
        uint8_t digest[DIGEST_SIZE];
        size_t digest_size;
        size_t steps;
        char run[80];
        bool failed;
};

static void on_plan(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__PlanReply *plan = (const Muster__V1__PlanReply *)message;
        struct starting *starting = userdata;
        struct terminal terminal;

        if (plan->digest.len == sizeof(starting->digest)) {
                memcpy(starting->digest, plan->digest.data, plan->digest.len);
                starting->digest_size = plan->digest.len;
        }
        starting->steps = plan->n_steps;
        if (starting->json)
                return;
        terminal_read(&terminal, stdout);
        starting->failed = plan_view(plan, stdout, &terminal) < 0;
        fflush(stdout);
}

static void on_started(const ProtobufCMessage *message, void *userdata)
{
        struct starting *starting = userdata;

        text_copy_cut(starting->run, sizeof(starting->run), ((const Muster__V1__StartReply *)message)->run);
        clean_text(starting->run);
}

static int show_plan(session *session, struct starting *starting)
{
        Muster__V1__PlanRequest request = MUSTER__V1__PLAN_REQUEST__INIT;
        Muster__V1__PlanOptions wanted;
        struct ending ending;
        int exit;

        request.kind = starting->kind;
        request.scope = starting->scope;
        plan_options_fill(&wanted, &starting->asked);
        request.options = &wanted;
        session_call(session, "Plan", &request.base, CALL_DEADLINE_US, on_plan, starting, &ending);
        exit = ending_exit(&ending);
        if (exit == CLI_DONE && starting->failed)
                return cli_fail(CLI_FAILED, "out of memory");
        return exit;
}

static int begin(session *session, struct starting *starting)
{
        Muster__V1__StartRequest request = MUSTER__V1__START_REQUEST__INIT;
        Muster__V1__PlanOptions wanted;
        struct ending ending;

        request.kind = starting->kind;
        request.scope = starting->scope;
        request.digest.data = starting->digest;
        request.digest.len = starting->digest_size;
        request.force = starting->force;
        plan_options_fill(&wanted, &starting->asked);
        request.options = &wanted;
        session_call(session, "Start", &request.base, CALL_DEADLINE_US, on_started, starting, &ending);
        if (ending.code == RPC_UNAVAILABLE || ending.code == RPC_DEADLINE_EXCEEDED || ending.interrupted)
                return cli_fail(CLI_UNREACHABLE,
                                "whether the run was started is not known (%s): muster run ls", ending.text);
        return ending_exit(&ending);
}

static int plan_ask_start(const struct cli *cli, struct starting *starting)
{
        cleanup_with(session_freep) session *session = NULL;
        struct follow_options follow = {0};
        int exit;

        if (!session_open(&session, cli, &exit))
                return exit;
        exit = show_plan(session, starting);
        if (exit != CLI_DONE)
                return exit;
        if (!starting->yes && !confirm(session, plan_word(starting->kind), "nothing was started", &exit))
                return exit;
        exit = begin(session, starting);
        if (exit != CLI_DONE)
                return exit;
        if (starting->json)
                printf("{\"run\": \"%s\"}\n", starting->run);
        else
                printf("\nrun %s started\n", starting->run);
        fflush(stdout);
        if (starting->detach) {
                if (!starting->json)
                        printf("follow it: muster run watch %s\n", starting->run);
                return CLI_DONE;
        }
        follow.run = starting->run;
        follow.json = starting->json;
        return follow_run(session, &follow);
}

int start_run(const struct cli *cli, Muster__V1__PlanKind kind, int argc, char **argv)
{
        cleanup_free struct starting *starting = calloc(1, sizeof(*starting));
        struct arguments arguments;
        int exit;

        if (!starting)
                return cli_fail(CLI_FAILED, "out of memory");
        const struct option list[] = {
                {"yes", &starting->yes, NULL, NULL, "do not ask"},
                {"force", &starting->force, NULL, NULL, "go on although findings block"},
                {"detach", &starting->detach, NULL, NULL, "start it and return"},
                {"json", &starting->json, NULL, NULL,
                 "the run's updates as JSON, one object a line; needs --yes"},
                PLAN_OPTIONS(&starting->asked),
        };
        const struct options options = {plan_word(kind),    "[SCOPE]", list, ELEMENTS(list), 0,
                                        ARGUMENT_WORDS_MAX, false};

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, starting->scope, sizeof(starting->scope), &exit) ||
            !plan_options_read(&starting->asked, plan_word(kind), &exit))
                return exit;
        if (!starting->yes && (starting->json || !isatty(STDIN_FILENO)))
                return cli_fail(CLI_USAGE,
                                "%s: nobody can be asked here; give --yes if the plan may run unseen",
                                plan_word(kind));
        starting->kind = kind;
        return plan_ask_start(cli, starting);
}
