/* Exec: one command on every host in scope, at once; what they print goes to the caller as it comes, each
 * piece with its host. When the caller is gone, the commands are ended. A host that prints faster than the
 * caller reads has its command ended, with a text that says so: nothing is dropped silently. */
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "controller/api/handlers.h"

#define ARGUMENTS_MOST     256u
#define ARGUMENT_BYTES_MAX (64u << 10) /* of all arguments together */

struct branch {
        struct fan *fan;
        const char *host; /* borrowed from the fleet */
        rpc_call *call;   /* to the agent; NULL: none is open */
        bool told;        /* its end was sent to the caller */
        int32_t exit_code;
        char failure[ERROR_TEXT_SIZE]; /* its end, while it could not be sent yet */
};

/* One call of Exec and its calls to agents. */
struct fan {
        rpc_call *call;
        size_t count, open; /* branches; branches that are not told */
        struct branch branches[];
};

static void fan_free(struct fan *fan)
{
        for (size_t i = 0; i < fan->count; i++)
                if (fan->branches[i].call)
                        rpc_call_cancel(fan->branches[i].call);
        free(fan);
}

static int send_output(const struct branch *branch, const Muster__V1__ExecOutput *output)
{
        Muster__V1__FleetExecOutput message = MUSTER__V1__FLEET_EXEC_OUTPUT__INIT;

        message.host = (char *)branch->host;
        message.output = (Muster__V1__ExecOutput *)output;
        return rpc_call_send(branch->fan->call, &message.base);
}

/* Sends the branch's end, if the caller can take it now. */
static void tell_end(struct branch *branch)
{
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;

        output.finished = true;
        output.exit_code = branch->exit_code;
        output.failure = branch->failure;
        if (send_output(branch, &output) < 0)
                return;
        branch->told = true;
        branch->fan->open--;
}

/* True: it was the last one; the call has ended and the fan is gone. */
static bool finish_if_done(struct fan *fan)
{
        rpc_call *call = fan->call;

        if (fan->open > 0)
                return false;
        fan_free(fan);
        rpc_call_end(call, RPC_OK, "%s", "");
        return true;
}

/* exit_code -1: it is not known how, or whether, the command ended. */
static void branch_end(struct branch *branch, int32_t exit_code, const char *failure)
{
        branch->exit_code = exit_code;
        text_copy_cut(branch->failure, sizeof(branch->failure), failure);
        tell_end(branch);
}

static void on_output(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__ExecOutput *output = (const Muster__V1__ExecOutput *)message;
        struct branch *branch = userdata;

        if (output->finished) {
                /* Kept until the agent ends the call: only then is it known to be all. */
                branch->exit_code = output->exit_code < 0 ? 255 : output->exit_code;
                text_copy_cut(branch->failure, sizeof(branch->failure), output->failure);
                return;
        }
        if (output->data.len == 0 || send_output(branch, output) == 0)
                return;
        rpc_call_cancel(TAKE(branch->call));
        branch_end(branch, -1, "it prints faster than this is read; the command was ended");
        finish_if_done(branch->fan);
}

static void on_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct branch *branch = userdata;

        branch->call = NULL;
        if (code != RPC_OK) {
                branch_end(branch, -1, text[0] ? text : rpc_status_name(code));
        } else {
                char failure[sizeof(branch->failure)];

                text_copy_cut(failure, sizeof(failure), branch->failure);
                branch_end(branch, branch->exit_code, failure);
        }
        finish_if_done(branch->fan);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        fan_free(userdata);
}

static void on_writable(rpc_call *call, void *userdata)
{
        struct fan *fan = userdata;

        for (size_t i = 0; i < fan->count; i++)
                if (!fan->branches[i].call && !fan->branches[i].told)
                        tell_end(&fan->branches[i]);
        finish_if_done(fan);
}

/* Ends the call if the command cannot be one. */
static bool sound(rpc_call *call, const Muster__V1__FleetExecRequest *wanted)
{
        size_t size = 0;

        if (!wanted->exec || wanted->exec->n_argv == 0 || !wanted->exec->argv[0][0]) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "no command is given");
                return false;
        }
        for (size_t i = 0; i < wanted->exec->n_argv && size <= ARGUMENT_BYTES_MAX; i++)
                size += strlen(wanted->exec->argv[i]) + 1;
        if (wanted->exec->n_argv > ARGUMENTS_MOST || size > ARGUMENT_BYTES_MAX) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "the command is too long: at most %u arguments of %u bytes together",
                             ARGUMENTS_MOST, ARGUMENT_BYTES_MAX);
                return false;
        }
        return true;
}

/* The command as the audit trail shows it. */
static void command_text(const Muster__V1__ExecRequest *exec, char *out, size_t size)
{
        size_t used = 0;

        out[0] = '\0';
        for (size_t i = 0; i < exec->n_argv && used < size; i++)
                used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "", exec->argv[i]);
        if (exec->user[0] && used < size)
                snprintf(out + used, size - used, " (as %s)", exec->user);
}

static struct fan *fan_new(const struct api_context *context, rpc_call *call, const struct scope *scope)
{
        const struct fleet *fleet = context->fleet;
        struct fan *fan = calloc(1, sizeof(*fan) + fleet->host_count * sizeof(fan->branches[0]));

        if (!fan)
                return NULL;
        fan->call = call;
        for (size_t i = 0; i < fleet->host_count; i++) {
                if (!scope->hosts[i])
                        continue;
                fan->branches[fan->count++] =
                        (struct branch){.fan = fan, .host = fleet->hosts[i].name, .exit_code = -1};
        }
        fan->open = fan->count;
        return fan;
}

static void branch_start(const struct api_context *context, struct branch *branch,
                         const Muster__V1__ExecRequest *exec)
{
        struct agent_view view;
        int r;

        agents_view(context->agents, (size_t)agents_find(context->agents, branch->host), &view);
        if (!view.connected) {
                branch_end(branch, -1, "not connected");
                return;
        }
        r = rpc_call_start(&branch->call, view.peer, &muster__v1__agent__descriptor, "Exec", &exec->base, 0,
                           on_output, on_end, branch);
        if (r < 0) {
                branch->call = NULL;
                branch_end(branch, -1, strerror(-r));
        }
}

void api_exec(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__FleetExecRequest *wanted = (const Muster__V1__FleetExecRequest *)request;
        const struct api_context *context = userdata;
        cleanup_scope struct scope scope = {0};
        char command[512];
        struct fan *fan;

        if (!sound(call, wanted) || !api_scope(context, call, wanted->scope, &scope))
                return;
        command_text(wanted->exec, command, sizeof(command));
        if (!api_record(context, call, "exec", "on %s: %s", api_scope_name(wanted->scope), command))
                return;
        fan = fan_new(context, call, &scope);
        if (!fan) {
                api_fail(call, "the command cannot be run", -ENOMEM);
                return;
        }
        rpc_call_watch(call, on_cancelled, on_writable, fan);
        for (size_t i = 0; i < fan->count; i++)
                branch_start(context, &fan->branches[i], wanted->exec);
        finish_if_done(fan);
}
