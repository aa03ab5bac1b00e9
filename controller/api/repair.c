/* Repairs of what a check found: each an ordinary operation with an id of its own and an entry in the audit
 * trail; one at a time a host, hosts side by side. A host that a run holds is left alone. Then all
 * hosts look anew, and their states are awaited until the repaired findings are gone (or SETTLE_US has
 * passed), and what remains is told. When the caller leaves, what is under way goes on at its host; nothing
 * more is begun. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/handlers.h"

/* Agents report at least every ten seconds. */
#define SETTLE_US (15 * USEC_PER_SEC)

enum repair_state {
        REPAIR_WAITING,
        REPAIR_RUNNING,
        REPAIR_DONE,
        REPAIR_FAILED,
        REPAIR_COVERED, /* another finding's repair is the same */
};

struct repair {
        struct repairing *all;
        const struct finding *finding; /* into all->findings */
        enum repair_state state;
        bool reported;
};

struct repairing {
        struct api_context *context;
        rpc_call *call; /* NULL: the caller has left */
        char user[RPC_NAME_SIZE];
        struct scope scope;       /* owned */
        struct finding *findings; /* owned */
        struct repair *repairs;   /* owned */
        size_t count, running;
        bool advancing;
        bool settling;
        struct api_listener listener;
        sd_event_source *timer;
};

static void advance(struct repairing *all);

static void repairing_free(struct repairing *all)
{
        if (all->settling)
                api_unlisten(all->context, &all->listener);
        sd_event_source_disable_unref(all->timer);
        scope_clear(&all->scope);
        free(all->findings);
        free(all->repairs);
        free(all);
}

/* The caller is told no more; the object goes when nothing refers to it any longer. */
static void give_up(struct repairing *all, const char *why, int code)
{
        rpc_call *call = TAKE(all->call);

        if (call)
                api_fail(call, why, code);
        if (all->running == 0 && !all->advancing)
                repairing_free(all);
}

/* Tells of one repair's end. text says what was done, or why not. */
static void repair_end(struct repair *repair, bool failed, const char *text)
{
        const struct finding *finding = repair->finding;
        const struct operation_type *type = operation_type(finding->fix);
        char line[ERROR_TEXT_SIZE + 256];

        repair->state = failed ? REPAIR_FAILED : REPAIR_DONE;
        snprintf(line, sizeof(line), "%s%s%s %s: %s", finding->host, finding->service[0] ? "/" : "",
                 finding->service, type ? type->name : "?",
                 text[0]  ? text
                 : failed ? "failed"
                          : "done");
        log_info("repair: %s", line);
        if (repair->all->call && api_check_send(repair->all->call, finding, line, failed, false) < 0)
                log_warning("a caller of check --fix cannot be told any more");
}

static void on_update(uint64_t done, uint64_t total, const char *text, const struct operation_report *report,
                      void *userdata)
{
        struct repair *repair = userdata;

        if (!report || repair->reported)
                return;
        repair->reported = true;
        repair_end(repair, report->state != OPERATION_DONE, report->text);
}

static void on_end(enum rpc_status code, const char *text, void *userdata)
{
        struct repair *repair = userdata;
        struct repairing *all = repair->all;

        all->running--;
        if (!repair->reported) {
                char why[ERROR_TEXT_SIZE];

                snprintf(why, sizeof(why), "no result came (%s): whether it was done is not known",
                         text[0] ? text : rpc_status_name(code));
                repair_end(repair, true, why);
        }
        advance(all);
}

static bool host_busy(const struct repairing *all, const char *host)
{
        for (size_t i = 0; i < all->count; i++)
                if (all->repairs[i].state == REPAIR_RUNNING &&
                    text_equal(all->repairs[i].finding->host, host))
                        return true;
        return false;
}

/* Negative errno: it was not begun, and why says so. */
static int begin(struct repair *repair, struct error *why)
{
        struct repairing *all = repair->all;
        const struct api_context *context = all->context;
        const struct finding *finding = repair->finding;
        const struct operation_type *type = operation_type(finding->fix);
        struct agents_operate callbacks = {on_update, on_end, repair};
        struct operation_request request = {.kind = finding->fix};
        char holder[NAME_SIZE], line[512], text[512];
        struct agent_view view;
        uint8_t id[16];
        int r, index = agents_find(context->agents, finding->host);

        if (index < 0 || !type)
                return error_set(why, -EINVAL, "there is no such host or operation");
        r = store_lock_holder(context->store, finding->host, holder);
        if (r == 0)
                return error_set(why, -EBUSY, "left alone: run %s holds the host", holder);
        if (r != -ENOENT)
                return r;
        agents_view(context->agents, (size_t)index, &view);
        if (!view.connected)
                return error_set(why, -ENOTCONN, "the host is not connected");
        randombytes_buf(id, sizeof(id));
        text_hex(request.id, id, sizeof(id));
        if (type->service_kinds)
                request.service = finding->fix_service;
        TEXT_COPY(request.boot_id, view.state->host.boot_id);
        snprintf(line, sizeof(line), "%s of %s%s%s, for %s", type->name, finding->host,
                 finding->service[0] ? "/" : "", finding->service, finding->id);
        text_copy_clean(text, sizeof(text), line);
        r = store_audit_add(context->store, time_realtime_us(), all->user, "fix", text);
        if (r < 0)
                return error_set(why, r, "the audit trail cannot be written");
        return agents_operate_start(context->agents, finding->host, &request, &callbacks);
}

/* --- what remains --- */

static bool same_place(const struct finding *a, const struct finding *b)
{
        return text_equal(a->id, b->id) && text_equal(a->host, b->host) && text_equal(a->service, b->service);
}

/* Whether a finding that was repaired is still found: the agent's newest state is perhaps of before. */
static bool still_there(const struct repairing *all, const struct finding *findings, size_t count)
{
        for (size_t i = 0; i < count; i++)
                for (size_t k = 0; k < all->count; k++)
                        if (all->repairs[k].state == REPAIR_DONE &&
                            same_place(&findings[i], all->repairs[k].finding))
                                return true;
        return false;
}

/* Ends the call with what remains, if the states are fresh enough or late is true. */
static void conclude(struct repairing *all, bool late)
{
        cleanup_free struct finding *findings = NULL;
        size_t count = 0;
        rpc_call *call;
        int r = api_check_run(all->context, &all->scope, NULL, &findings, &count);

        if (r < 0) {
                give_up(all, "the checks cannot be made again", r);
                return;
        }
        if (!late && still_there(all, findings, count))
                return;
        for (size_t i = 0; i < count && r == 0; i++)
                r = api_check_send(all->call, &findings[i], NULL, false, true);
        if (r < 0) {
                give_up(all, "what remains cannot be told", r);
                return;
        }
        call = TAKE(all->call);
        repairing_free(all);
        rpc_call_end(call, RPC_OK, "%s", "");
}

static void on_news(size_t host, void *userdata)
{
        struct repairing *all = userdata;

        if (all->scope.hosts[host])
                conclude(all, false);
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
        conclude(userdata, true);
        return 0;
}

static void settle(struct repairing *all)
{
        struct api_look *look;
        int r = sd_event_add_time_relative(all->context->event, &all->timer, CLOCK_BOOTTIME, SETTLE_US, 0,
                                           on_late, all);

        if (r < 0) {
                give_up(all, "the checks cannot be made again", r);
                return;
        }
        all->settling = true;
        all->listener = (struct api_listener){.news = on_news, .userdata = all};
        api_listen(all->context, &all->listener);
        (void)api_look(&look, all->context, &all->scope, NULL, NULL); /* what it sees comes as news */
        conclude(all, false);
}

/* Begins what can be begun; goes on to what remains when all have ended. */
static void advance(struct repairing *all)
{
        all->advancing = true;
        for (size_t i = 0; i < all->count && all->call; i++) {
                struct repair *repair = &all->repairs[i];
                struct error why = {0};
                int r;

                if (repair->state != REPAIR_WAITING || host_busy(all, repair->finding->host))
                        continue;
                r = begin(repair, &why);
                if (r < 0) {
                        repair_end(repair, true, error_text(&why, r));
                        continue;
                }
                repair->state = REPAIR_RUNNING;
                all->running++;
        }
        all->advancing = false;
        if (all->running > 0)
                return;
        if (all->call)
                settle(all);
        else
                repairing_free(all);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        struct repairing *all = userdata;

        all->call = NULL;
        if (all->running == 0)
                repairing_free(all);
}

/* One repair for each finding that has one; findings with the same repair share it. */
static int list_repairs(struct repairing *all, size_t finding_count)
{
        all->repairs = calloc(finding_count + 1, sizeof(*all->repairs));
        if (!all->repairs)
                return -ENOMEM;
        for (size_t i = 0; i < finding_count; i++) {
                const struct finding *finding = &all->findings[i];
                struct repair repair = {.all = all, .finding = finding};

                if (finding->fix == OPERATION_NONE)
                        continue;
                for (size_t k = 0; k < all->count && repair.state == REPAIR_WAITING; k++)
                        if (all->repairs[k].finding->fix == finding->fix &&
                            text_equal(all->repairs[k].finding->host, finding->host) &&
                            text_equal(all->repairs[k].finding->service, finding->service))
                                repair.state = REPAIR_COVERED;
                all->repairs[all->count++] = repair;
        }
        return 0;
}

void api_repair(struct api_context *context, rpc_call *call, struct scope *scope, struct finding **findings,
                size_t count)
{
        struct repairing *all = calloc(1, sizeof(*all));

        if (!all) {
                api_fail(call, "nothing can be repaired", -ENOMEM);
                return;
        }
        all->context = context;
        all->call = call;
        text_copy_cut(all->user, sizeof(all->user), rpc_peer_name(rpc_call_peer(call)));
        all->scope = *scope;
        *scope = (struct scope){0};
        all->findings = TAKE(*findings);
        if (list_repairs(all, count) < 0) {
                give_up(all, "nothing can be repaired", -ENOMEM);
                return;
        }
        rpc_call_watch(call, on_cancelled, NULL, all);
        if (all->count == 0) {
                (void)TAKE(all->call);
                repairing_free(all);
                rpc_call_end(call, RPC_OK, "%s", "");
                return;
        }
        advance(all);
}
