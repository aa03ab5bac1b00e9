/* muster exec: one command on all hosts in scope at once.
 *
 * Exit: 0 it ended with 0 everywhere, 1 nowhere, 3 somewhere, 5 it could be run nowhere. */
#include <stdio.h>

#include "cli/connect.h"
#include "cli/exec_output.h"
#include "cli/options.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/model/scope.h"
#include "proto/fleet.pb-c.h"

struct executing {
        struct exec_output output;
        bool failed;
        session *session;
};

static void on_status(const ProtobufCMessage *message, void *userdata)
{
        size_t *hosts = userdata;

        *hosts = ((const Muster__V1__StatusReply *)message)->n_hosts;
}

/* Bytes of several hosts would run into one another: that the scope is one host is known before anything
 * runs. */
static int one_host(session *session, char *scope)
{
        Muster__V1__StatusRequest request = MUSTER__V1__STATUS_REQUEST__INIT;
        struct ending ending;
        size_t hosts = 0;
        int exit;

        request.scope = scope;
        session_call(session, "Status", &request.base, CALL_DEADLINE_US, on_status, &hosts, &ending);
        exit = ending_exit(&ending);
        if (exit == CLI_DONE && hosts != 1)
                return cli_fail(CLI_USAGE, "exec: --raw is for one host; this scope holds %zu", hosts);
        return exit;
}

static void on_output(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__FleetExecOutput *update = (const Muster__V1__FleetExecOutput *)message;
        struct executing *executing = userdata;
        const Muster__V1__ExecOutput *output = update->output;
        struct exec_host *host = exec_output_host(&executing->output, update->host);

        if (!host) {
                executing->failed = true;
                session_stop(executing->session);
                return;
        }
        if (!output)
                return;
        if (output->data.len > 0 &&
            exec_output_bytes(&executing->output, host,
                              output->stream == MUSTER__V1__EXEC_OUTPUT__STREAM__STREAM_ERR ? EXEC_ERR
                                                                                            : EXEC_OUT,
                              output->data.data, output->data.len) < 0) {
                executing->failed = true;
                session_stop(executing->session);
                return;
        }
        if (output->finished)
                exec_output_finish(&executing->output, host, output->exit_code, output->failure);
        fflush(stdout);
}

static int execute(struct executing *executing, const Muster__V1__FleetExecRequest *request)
{
        struct ending ending;
        int exit;

        session_call(executing->session, "Exec", &request->base, 0, on_output, executing, &ending);
        if (executing->failed)
                return cli_fail(CLI_FAILED, "out of memory");
        if (ending.interrupted) {
                fputs("muster: interrupted; the command was ended on its hosts\n", stderr);
                exec_output_conclude(&executing->output);
                return CLI_PART;
        }
        exit = ending_exit(&ending);
        return exit == CLI_DONE ? exec_output_conclude(&executing->output) : exit;
}

static int run(const struct cli *cli, int argc, char **argv)
{
        const char *timeout = NULL, *user = NULL, *directory = NULL;
        bool raw = false;
        const struct option list[] = {
                {"timeout", NULL, &timeout, "TIME", "end the command after it: 30s, 5min (default: none)"},
                {"user", NULL, &user, "USER", "run it as this user (default: root)"},
                {"directory", NULL, &directory, "DIR", "run it there (default: /)"},
                {"raw", &raw, NULL, NULL, "one host's output as it is, without its name, unchecked"},
        };
        const struct options options = {"exec", "SCOPE", list, ELEMENTS(list), 1, ARGUMENT_WORDS_MAX, true};
        Muster__V1__FleetExecRequest request = MUSTER__V1__FLEET_EXEC_REQUEST__INIT;
        Muster__V1__ExecRequest command = MUSTER__V1__EXEC_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct executing executing = {0};
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        uint64_t timeout_us = 0;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, scope, sizeof(scope), &exit))
                return exit;
        if (timeout && (time_duration_parse(timeout, &timeout_us) < 0 || timeout_us < USEC_PER_MSEC))
                return cli_fail(CLI_USAGE, "exec: --timeout '%s' is not a time; write 30s, 5min, 2h",
                                timeout);
        if (directory && directory[0] != '/')
                return cli_fail(CLI_USAGE, "exec: --directory '%s' is not an absolute path", directory);
        if (!session_open(&session, cli, &exit))
                return exit;
        if (raw) {
                exit = one_host(session, scope);
                if (exit != CLI_DONE)
                        return exit;
        }
        command.argv = arguments.rest;
        command.n_argv = arguments.rest_count;
        command.timeout_ms = timeout_us / USEC_PER_MSEC;
        command.user = (char *)(user ? user : "");
        command.directory = (char *)(directory ? directory : "");
        request.scope = scope;
        request.exec = &command;
        executing.session = session;
        exec_output_init(&executing.output, raw);
        exit = execute(&executing, &request);
        exec_output_clear(&executing.output);
        return exit;
}

const struct command command_exec = {
        .name = "exec",
        .usage = "SCOPE [--timeout T] [--user U] [--raw] -- COMMAND…",
        .summary = "one command on many hosts",
        .run = run,
};
