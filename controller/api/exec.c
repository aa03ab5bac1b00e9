/* Exec: one command on every host in scope, at once; what they print goes to the caller as it comes, each
 * piece with its host. When the caller is gone, the commands are ended.
 *
 * A caller that reads slowly makes the commands wait, and loses nothing: what came of a host meanwhile is
 * kept, and the host's stream gets no more credit (rpc_call_hold), so that a host keeps at most one window of
 * it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/api/handlers.h"

#define ARGUMENTS_MOST     256u
#define KEPT_MAX           (1u << 20)  /* of one host; an agent that is held sends no more than 256 KiB */
#define ARGUMENT_BYTES_MAX (64u << 10) /* of all arguments together */

struct branch {
        struct fan *fan;
        const char *host;   /* borrowed from the fleet */
        rpc_call *call;     /* to the agent; NULL: none is open */
        struct buffer kept; /* pieces that could not be sent yet: a struct piece, then its bytes */
        bool told;          /* its end was sent to the caller */
        int32_t exit_code;  /* -1: it is not known how, or whether, the command ended */
        char failure[TEXT_SIZE];
};

struct piece {
        uint32_t stream, size;
};

/* One call of Exec and its calls to agents. */
struct fan {
        rpc_call *call;
        size_t count, open; /* branches; branches that are not told */
        size_t turn;        /* whose kept pieces go first */
        struct branch branches[];
};

static void fan_free(struct fan *fan)
{
        for (size_t i = 0; i < fan->count; i++) {
                if (fan->branches[i].call)
                        rpc_call_cancel(fan->branches[i].call);
                buffer_clear(&fan->branches[i].kept);
        }
        free(fan);
}

static int send_output(const struct branch *branch, const Muster__V1__ExecOutput *output)
{
        Muster__V1__FleetExecOutput message = MUSTER__V1__FLEET_EXEC_OUTPUT__INIT;

        message.host = (char *)branch->host;
        message.output = (Muster__V1__ExecOutput *)output;
        return rpc_call_send(branch->fan->call, &message.base);
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

/* --- what is kept --- */

static int keep(struct branch *branch, const Muster__V1__ExecOutput *output)
{
        struct piece piece = {(uint32_t)output->stream, (uint32_t)output->data.len};
        int r = -ENOBUFS;

        /* More than an agent could send while it is held: it does not keep to its credit. */
        if (output->data.len > KEPT_MAX || branch->kept.size > KEPT_MAX - output->data.len)
                return r;
        r = buffer_reserve(&branch->kept, sizeof(piece) + output->data.len);
        if (r < 0)
                return r;
        buffer_append(&branch->kept, &piece, sizeof(piece));
        buffer_append(&branch->kept, output->data.data, output->data.len);
        rpc_call_hold(branch->call, true);
        return 0;
}

/* Sends what is kept while the caller can take it. True: nothing is kept any more. */
static bool send_kept(struct branch *branch)
{
        size_t at = 0;

        while (at < branch->kept.size && rpc_call_writable(branch->fan->call)) {
                Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;
                struct piece piece;

                memcpy(&piece, branch->kept.data + at, sizeof(piece));
                output.stream = (Muster__V1__ExecOutput__Stream)piece.stream;
                output.data.data = branch->kept.data + at + sizeof(piece);
                output.data.len = piece.size;
                if (send_output(branch, &output) < 0)
                        break;
                at += sizeof(piece) + piece.size;
        }
        buffer_consume(&branch->kept, at);
        if (branch->kept.size > 0)
                return false;
        buffer_clear(&branch->kept);
        if (branch->call)
                rpc_call_hold(branch->call, false);
        return true;
}

/* Sends the end of a branch whose call has ended, after all that it printed. */
static void tell_end(struct branch *branch)
{
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;

        if (branch->call || branch->told || branch->kept.size > 0)
                return;
        output.finished = true;
        output.exit_code = branch->exit_code;
        output.failure = branch->failure;
        if (send_output(branch, &output) < 0)
                return;
        branch->told = true;
        branch->fan->open--;
}

/* The caller reads again: each branch in turn, so that one that prints much does not starve the others. */
static void on_writable(rpc_call *call, void *userdata)
{
        struct fan *fan = userdata;

        for (size_t i = 0; i < fan->count; i++) {
                struct branch *branch = &fan->branches[fan->turn];

                if (!send_kept(branch))
                        break;
                tell_end(branch);
                fan->turn = (fan->turn + 1) % fan->count;
        }
        if (rpc_call_writable(call))
                for (size_t i = 0; i < fan->count; i++)
                        tell_end(&fan->branches[i]);
        finish_if_done(fan);
}

/* --- what comes --- */

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
                /* Told when the agent ends the call: only then is it known to be all. */
                branch->exit_code = output->exit_code < 0 ? 255 : output->exit_code;
                text_copy_cut(branch->failure, sizeof(branch->failure), output->failure);
                return;
        }
        if (output->data.len == 0)
                return;
        if (branch->kept.size == 0 && rpc_call_writable(branch->fan->call) &&
            send_output(branch, output) == 0)
                return;
        if (keep(branch, output) == 0)
                return;
        rpc_call_cancel(TAKE(branch->call));
        branch_end(branch, -1, "what it prints cannot be kept; the command was ended");
        finish_if_done(branch->fan);
}

static void on_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct branch *branch = userdata;

        branch->call = NULL;
        if (code == RPC_OK)
                tell_end(branch);
        else
                branch_end(branch, -1, text[0] ? text : rpc_status_name(code));
        finish_if_done(branch->fan);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        fan_free(userdata);
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
                        (struct branch){.fan = fan,
                                        .host = fleet->hosts[i].name,
                                        .exit_code = -1,
                                        .failure = "the agent did not say how it ended"};
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
