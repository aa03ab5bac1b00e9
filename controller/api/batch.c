/* See batch.h. */
#include "controller/api/batch.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"

struct item {
        struct batch *batch;
        struct batch_work work;
        enum { ITEM_WAITING, ITEM_RUNNING, ITEM_ENDED } state;
};

struct batch {
        struct api_context *context;
        struct batch_events events;
        char user[RPC_NAME_SIZE], action[NAME_SIZE];
        size_t count, running;
        bool left;              /* nobody is told any more */
        bool advancing;         /* items are begun or told of: the batch must not go */
        sd_event_source *begin; /* owned: the first items, in a later turn of the loop */
        struct item items[];
};

static void advance(struct batch *batch);

/* "db1/bds redis.rewrite" */
static void item_name(const struct item *item, char *out, size_t size)
{
        const struct operation_type *type = operation_type(item->work.kind);

        snprintf(out, size, "%s%s%s %s", item->work.host, item->work.service[0] ? "/" : "",
                 item->work.service, type ? type->name : "?");
}

static void item_end(struct item *item, const struct operation_report *report, enum rpc_status code,
                     const char *text)
{
        struct batch *batch = item->batch;
        struct batch_end end = {.report = report, .code = code, .text = text};
        char name[3 * NAME_SIZE];

        item->state = ITEM_ENDED;
        item_name(item, name, sizeof(name));
        log_info("%s: %s: %s", batch->action, name, text);
        if (!batch->left)
                batch->events.ended((size_t)(item - batch->items), &end, batch->events.userdata);
}

static void on_update(uint64_t done, uint64_t total, const char *text, const struct operation_report *report,
                      void *userdata)
{
        struct item *item = userdata;
        struct batch *batch = item->batch;

        if (item->state != ITEM_RUNNING)
                return;
        if (report)
                item_end(item, report, RPC_OK, report->text);
        else if (!batch->left && batch->events.progress)
                batch->events.progress((size_t)(item - batch->items), done, total, text,
                                       batch->events.userdata);
}

/* Codes by which an agent refuses before it accepts; anything else may be the link's. */
static bool is_refusal(enum rpc_status code)
{
        return code == RPC_INVALID_ARGUMENT || code == RPC_FAILED_PRECONDITION || code == RPC_ABORTED ||
               code == RPC_UNIMPLEMENTED || code == RPC_RESOURCE_EXHAUSTED || code == RPC_PERMISSION_DENIED;
}

static void on_end(enum rpc_status code, const char *text, void *userdata)
{
        struct item *item = userdata;
        struct batch *batch = item->batch;
        char why[ERROR_TEXT_SIZE];

        batch->running--;
        batch->advancing = true;
        if (item->state == ITEM_RUNNING) {
                /* An agent that ends well without a result has kept it for itself. */
                if (code == RPC_OK) {
                        code = RPC_DATA_LOSS;
                        text = "its agent ended without one";
                }
                if (!text[0])
                        text = rpc_status_name(code);
                snprintf(why, sizeof(why),
                         is_refusal(code) ? "refused by its agent: %s"
                                          : "no result came (%s): whether it was done is not known",
                         text);
                item_end(item, NULL, code, why);
        }
        advance(batch);
}

static bool host_busy(const struct batch *batch, const char *host)
{
        for (size_t i = 0; i < batch->count; i++)
                if (batch->items[i].state == ITEM_RUNNING && text_equal(batch->items[i].work.host, host))
                        return true;
        return false;
}

int batch_host_free(const struct api_context *context, const char *host, struct error *error)
{
        int r = runner_host_free(context->runner, host, error);

        return r == -EBUSY ? error_prefix(error, r, "left alone") : r;
}

static int add_audit(const struct item *item)
{
        const struct batch *batch = item->batch;
        const struct operation_type *type = operation_type(item->work.kind);
        char line[512], text[512];

        snprintf(line, sizeof(line), "%s of %s%s%s, %s", type->name, item->work.host,
                 item->work.service[0] ? "/" : "", item->work.service, item->work.why);
        text_copy_clean(text, sizeof(text), line);
        return store_audit_add(batch->context->store, time_realtime_us(), batch->user, batch->action, text);
}

/* Negative errno: it was not begun, and why says so. */
static int begin(struct item *item, struct error *why)
{
        const struct api_context *context = item->batch->context;
        const struct operation_type *type = operation_type(item->work.kind);
        struct agents_operate callbacks = {on_update, on_end, item};
        struct operation_request request = {.kind = item->work.kind};
        struct agent_view view;
        uint8_t id[16];
        int r, index = agents_find(context->agents, item->work.host);

        if (index < 0 || !type)
                return error_set(why, -EINVAL, "there is no such host or operation");
        r = batch_host_free(context, item->work.host, why);
        if (r < 0)
                return r;
        agents_view(context->agents, (size_t)index, &view);
        if (!view.connected || !view.state)
                return error_set(why, -ENOTCONN, "the host is not connected");
        randombytes_buf(id, sizeof(id));
        text_hex(request.id, id, sizeof(id));
        if (type->service_kinds)
                request.service = item->work.spec;
        TEXT_COPY(request.snapshot, item->work.snapshot);
        request.start_errored = item->work.start_errored;
        request.settle_us = item->work.settle_us;
        TEXT_COPY(request.boot_id, view.state->host.boot_id);
        r = add_audit(item);
        if (r < 0)
                return error_set(why, r, "the audit trail cannot be written");
        return agents_operate_start(context->agents, item->work.host, &request, &callbacks);
}

static enum rpc_status code_of(int r)
{
        return r == -ENOTCONN  ? RPC_UNAVAILABLE
               : r == -EBUSY   ? RPC_FAILED_PRECONDITION
               : r == -EINVAL  ? RPC_INVALID_ARGUMENT
               : r == -ENOMEM  ? RPC_RESOURCE_EXHAUSTED
               : r == -ENOBUFS ? RPC_RESOURCE_EXHAUSTED
                               : RPC_INTERNAL;
}

static void batch_free(struct batch *batch)
{
        sd_event_source_disable_unref(batch->begin);
        free(batch);
}

/* Begins what can be begun; ends the batch when all have ended. */
static void advance(struct batch *batch)
{
        struct batch_events events = batch->events;
        bool left;

        batch->advancing = true;
        for (size_t i = 0; i < batch->count && !batch->left; i++) {
                struct item *item = &batch->items[i];
                struct error why = {0};
                int r;

                if (item->state != ITEM_WAITING || host_busy(batch, item->work.host))
                        continue;
                r = begin(item, &why);
                if (r < 0) {
                        item_end(item, NULL, code_of(r), error_text(&why, r));
                        continue;
                }
                item->state = ITEM_RUNNING;
                batch->running++;
        }
        batch->advancing = false;
        if (batch->running > 0)
                return;
        left = batch->left;
        batch_free(batch);
        if (!left)
                events.done(events.userdata);
}

static int on_begin(sd_event_source *source, void *userdata)
{
        advance(userdata);
        return 0;
}

int batch_start(struct batch **ret, struct api_context *context, const char *user, const char *action,
                const struct batch_work *works, size_t count, const struct batch_events *events)
{
        struct batch *batch = calloc(1, sizeof(*batch) + count * sizeof(batch->items[0]));
        int r;

        if (!batch)
                return -ENOMEM;
        batch->context = context;
        batch->events = *events;
        batch->count = count;
        text_copy_cut(batch->user, sizeof(batch->user), user);
        text_copy_cut(batch->action, sizeof(batch->action), action);
        for (size_t i = 0; i < count; i++)
                batch->items[i] = (struct item){.batch = batch, .work = works[i]};
        r = sd_event_add_defer(context->event, &batch->begin, on_begin, batch);
        if (r < 0) {
                free(batch);
                return r;
        }
        *ret = batch;
        return 0;
}

struct batch *batch_leave(struct batch *batch)
{
        if (!batch)
                return NULL;
        batch->left = true;
        if (!batch->advancing && batch->running == 0)
                batch_free(batch);
        return NULL;
}
