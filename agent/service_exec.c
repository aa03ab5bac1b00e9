/* Exec: a command by hand. It lives as long as its call. See service.h. */
#include <errno.h>
#include <stdlib.h>

#include "agent/exec/command.h"
#include "agent/service.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/rpc/wire.h"

#define EXECS_MOST 64u

struct exec_call {
        struct agent_service *service;
        rpc_call *call;
        command *command;
        struct exec_call *next;
};

static void forget(struct exec_call *exec)
{
        for (struct exec_call **at = &exec->service->execs; *at; at = &(*at)->next)
                if (*at == exec) {
                        *at = exec->next;
                        exec->service->exec_count--;
                        break;
                }
        free(exec);
}

static bool on_output(command *command, int stream, const void *data, size_t size, void *userdata)
{
        struct exec_call *exec = userdata;
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;

        output.stream = stream == 0 ? MUSTER__V1__EXEC_OUTPUT__STREAM__STREAM_OUT
                                    : MUSTER__V1__EXEC_OUTPUT__STREAM__STREAM_ERR;
        output.data.data = (uint8_t *)data;
        output.data.len = size;
        (void)rpc_call_send(exec->call, &output.base);
        return rpc_call_writable(exec->call);
}

static void on_finished(command *command, int exit_code, const char *failure, void *userdata)
{
        struct exec_call *exec = userdata;
        rpc_call *call = exec->call;
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;

        output.finished = true;
        output.exit_code = exit_code;
        output.failure = (char *)(failure ? failure : "");
        forget(exec);
        rpc_call_reply(call, &output.base);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        struct exec_call *exec = userdata;

        command_abandon(exec->command);
        forget(exec);
}

static void on_writable(rpc_call *call, void *userdata)
{
        struct exec_call *exec = userdata;

        command_resume(exec->command);
}

/* NULL if memory is out; the array is the caller's, its strings the request's. */
static char **copy_argv(const Muster__V1__ExecRequest *wanted)
{
        char **argv = calloc(wanted->n_argv + 1, sizeof(*argv));

        for (size_t i = 0; argv && i < wanted->n_argv; i++)
                argv[i] = wanted->argv[i];
        return argv;
}

void service_exec(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__ExecRequest *wanted = (const Muster__V1__ExecRequest *)request;
        struct agent_service *service = userdata;
        cleanup_free struct exec_call *exec = calloc(1, sizeof(*exec));
        cleanup_free char **argv = copy_argv(wanted);
        struct command_options options = {
                .argv = argv,
                .user = wanted->user,
                .directory = wanted->directory,
                .timeout_us = wanted->timeout_ms * 1000,
        };
        struct command_events events = {.output = on_output, .finished = on_finished, .userdata = exec};
        struct error error = {0};
        int r;

        if (!exec || !argv) {
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        if (probe_set_state(service->probes)->host.stopping) {
                rpc_call_end(call, RPC_UNAVAILABLE, "the host is shutting down; nothing new is begun");
                return;
        }
        if (service->exec_count >= EXECS_MOST) {
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "%zu commands are running on this host already",
                             service->exec_count);
                return;
        }
        if (wanted->n_argv == 0 || wanted->timeout_ms > UINT64_MAX / 1000 ||
            (wanted->user[0] && !text_is_name(wanted->user)) ||
            (wanted->directory[0] && wanted->directory[0] != '/')) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "a command, a user's name and an absolute folder are needed, if given");
                return;
        }
        *exec = (struct exec_call){.service = service, .call = call};
        r = command_start(&exec->command, service->event, &options, &events, &error);
        if (r < 0) {
                rpc_call_end(call, r == -EINVAL ? RPC_INVALID_ARGUMENT : RPC_FAILED_PRECONDITION, "%s",
                             error_text(&error, r));
                return;
        }
        log_info("exec: %s%s", argv[0], argv[1] ? " …" : "");
        exec->next = service->execs;
        service->execs = exec;
        service->exec_count++;
        rpc_call_watch(call, on_cancelled, on_writable, TAKE(exec));
}

void agent_service_stop(struct agent_service *service)
{
        service_pm2_stop(service);
        for (struct exec_call *exec = service->execs; exec; exec = exec->next)
                command_abandon(exec->command);
        while (service->execs) {
                struct exec_call *next = service->execs->next;

                rpc_call_watch(service->execs->call, NULL, NULL, NULL);
                free(service->execs);
                service->execs = next;
        }
}
