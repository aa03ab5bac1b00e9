/* The runner's calls to agents: an operation, or a question to a ledger. A call that ends without an answer
 * is an input as well; whose fate it leaves unknown, the core asks again. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/runner_internal.h"

static struct call *call_new(struct live *live, const char *host, const char *operation)
{
        struct call *call = calloc(1, sizeof(*call));

        if (!call)
                return NULL;
        call->runner = live->runner;
        text_copy_cut(call->run, sizeof(call->run), run_id(live->run));
        text_copy_cut(call->host, sizeof(call->host), host);
        text_copy_cut(call->operation, sizeof(call->operation), operation);
        call->next = live->runner->calls;
        if (call->next)
                call->next->previous = call;
        live->runner->calls = call;
        return call;
}

static void call_free(struct call *call)
{
        if (call->next)
                call->next->previous = call->previous;
        if (call->previous)
                call->previous->next = call->next;
        else if (call->runner)
                call->runner->calls = call->next;
        free(call->asked);
        free(call);
}

/* The run that the call is for, unless it or the runner has ended. */
static struct live *live_of(const struct call *call)
{
        return call->runner ? live_find(call->runner, call->run) : NULL;
}

static void feed(const struct call *call, struct run_input *input)
{
        struct live *live = live_of(call);

        if (!live)
                return;
        (void)live_feed(live, input, NULL);
        runner_reap(call->runner);
}

/* Codes by which an agent says that it will not do it, now or ever; the rest may be the link's. */
static bool is_refusal(enum rpc_status code)
{
        return code == RPC_INVALID_ARGUMENT || code == RPC_FAILED_PRECONDITION ||
               code == RPC_PERMISSION_DENIED || code == RPC_UNIMPLEMENTED || code == RPC_NOT_FOUND ||
               code == RPC_OUT_OF_RANGE || code == RPC_UNAUTHENTICATED;
}

static void on_update(uint64_t done, uint64_t total, const char *text, const struct operation_report *report,
                      void *userdata)
{
        const struct call *call = userdata;
        struct run_input input = {
                .kind = report ? INPUT_REPORT : INPUT_PROGRESS,
                .operation = call->operation,
                .reports = report,
                .report_count = report ? 1 : 0,
                .done = done,
                .total = total,
                .text = text,
        };

        feed(call, &input);
}

static void on_operate_end(enum rpc_status code, const char *text, void *userdata)
{
        struct call *call = userdata;
        struct run_input input = {
                .kind = INPUT_ENDED,
                .operation = call->operation,
                .refused = is_refusal(code),
                .text = text,
        };

        if (code != RPC_OK)
                feed(call, &input);
        call_free(call);
}

static void on_ledger_end(enum rpc_status code, const struct operation_report *reports, size_t count,
                          void *userdata)
{
        struct call *call = userdata;
        struct run_input input = {
                .kind = code == RPC_OK ? INPUT_LEDGER : INPUT_LEDGER_ENDED,
                .host = call->host,
                .asked = (const char(*)[ID_SIZE])call->asked,
                .asked_count = call->asked_count,
                .reports = reports,
                .report_count = count,
                .text = rpc_status_name(code),
        };

        feed(call, &input);
        call_free(call);
}

int runner_operate(struct live *live, const struct run_effect *effect)
{
        struct operation_request request;
        struct agents_operate callbacks = {on_update, on_operate_end, NULL};
        struct call *call;
        int r;

        run_request(live->run, (size_t)effect->step, &request);
        if (!text_equal(request.id, effect->operation))
                return 0;
        call = call_new(live, effect->host, effect->operation);
        if (!call)
                return -ENOMEM;
        callbacks.userdata = call;
        r = agents_operate_start(live->runner->agents, effect->host, &request, &callbacks);
        if (r < 0) {
                struct run_input input = {.kind = INPUT_ENDED, .operation = effect->operation};

                call_free(call);
                return live_feed(live, &input, NULL);
        }
        return 0;
}

int runner_ask_ledger(struct live *live, const struct run_effect *effect)
{
        size_t limit = run_plan(live->run)->step_count;
        struct call *call = call_new(live, effect->host, "");
        int r;

        if (!call)
                return -ENOMEM;
        call->asked = calloc(limit, sizeof(*call->asked));
        if (!call->asked) {
                call_free(call);
                return -ENOMEM;
        }
        call->asked_count = run_pending(live->run, effect->host, call->asked, limit);
        r = agents_ledger(live->runner->agents, effect->host, (const char(*)[ID_SIZE])call->asked,
                          call->asked_count, on_ledger_end, call);
        if (r < 0) {
                struct run_input input = {.kind = INPUT_LEDGER_ENDED, .host = effect->host};

                call_free(call);
                return live_feed(live, &input, NULL);
        }
        return 0;
}
