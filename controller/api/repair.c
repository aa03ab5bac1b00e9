/* Repairs of what a check found, as a batch of operations by hand (batch.h). Then all hosts look anew, and
 * their states are awaited until the repaired findings are gone (or SETTLE_US has passed), and what remains
 * is told. What is under way tells how far it is. When the caller leaves, what is under way goes on at its
 * host; nothing more is begun. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/batch.h"
#include "controller/api/look.h"
#include "controller/core/load_saving.h"

/* Agents report at least every ten seconds. */
#define SETTLE_US (15 * USEC_PER_SEC)

struct repair {
        const struct finding *finding; /* into all->findings */
        bool done;
};

struct repairing {
        struct api_context *context;
        rpc_call *call;
        struct scope scope;        /* owned */
        struct finding *findings;  /* owned */
        struct plan_pm2_look *pm2; /* owned; what was seen of PM2 homes */
        struct repair *repairs;    /* owned; by the index of the batch's works */
        size_t count;
        struct batch *batch; /* NULL: not begun, or all have ended */
        bool settling;
        struct api_listener listener;
        sd_event_source *timer;
};

static void repairing_free(struct repairing *all)
{
        batch_leave(all->batch);
        if (all->settling)
                api_unlisten(all->context, &all->listener);
        sd_event_source_disable_unref(all->timer);
        scope_clear(&all->scope);
        free(all->findings);
        free(all->pm2);
        free(all->repairs);
        free(all);
}

static void give_up(struct repairing *all, const char *why, int code)
{
        rpc_call *call = all->call;

        repairing_free(all);
        api_fail(call, why, code);
}

/* Of what makes the next load shorter. */
static void saving_text(char *out, size_t size, const struct api_context *context,
                        const struct operation_report *report, const char *service)
{
        char low[32], high[32];
        struct load_saving saving;
        struct plan_rate rate = {0};

        (void)loads_rate(context->store, service, &rate); /* what is not learned makes the range wide */
        if (!load_saving(&saving, report->figures, report->figure_count, &rate))
                return;
        time_duration_text(low, sizeof(low), saving.low_us);
        time_duration_text(high, sizeof(high), saving.high_us);
        snprintf(out, size, "; the next load takes %s to %s less", low, high);
}

#define LINE_SIZE (ERROR_TEXT_SIZE + 256)

/* "db1/bds redis.rewrite: TEXT" */
static void write_line(char out[LINE_SIZE], const struct finding *finding, const char *text)
{
        const struct operation_type *type = operation_type(finding->fix);

        snprintf(out, LINE_SIZE, "%s%s%s %s: %s", finding->host, finding->service[0] ? "/" : "",
                 finding->service, type ? type->name : "?", text);
}

/* Progress is of the moment: a slow reader gets none. */
static void on_progress(size_t work, uint64_t done, uint64_t total, const char *text, void *userdata)
{
        Muster__V1__CheckUpdate update = MUSTER__V1__CHECK_UPDATE__INIT;
        struct repairing *all = userdata;
        char line[LINE_SIZE], progress[LINE_SIZE + 16];

        if (!rpc_call_writable(all->call))
                return;
        write_line(line, all->repairs[work].finding, text);
        if (total && done <= total)
                snprintf(progress, sizeof(progress), "%3.0f%% %s", 100.0 * (double)done / (double)total,
                         line);
        else
                snprintf(progress, sizeof(progress), "%s", line);
        update.progress = progress;
        (void)rpc_call_send(all->call, &update.base);
}

static void on_ended(size_t work, const struct batch_end *end, void *userdata)
{
        struct repairing *all = userdata;
        struct repair *repair = &all->repairs[work];
        const struct finding *finding = repair->finding;
        char line[LINE_SIZE], text[ERROR_TEXT_SIZE + 128], saving[128] = "";

        repair->done = end->report && end->report->state == OPERATION_DONE;
        if (repair->done)
                saving_text(saving, sizeof(saving), all->context, end->report, finding->service);
        snprintf(text, sizeof(text), "%s%s",
                 end->text[0]   ? end->text
                 : repair->done ? "done"
                                : "failed",
                 saving);
        write_line(line, finding, text);
        if (api_check_send(all->call, finding, line, !repair->done, false) < 0)
                log_warning("a caller of check --fix cannot be told any more");
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
                        if (all->repairs[k].done && same_place(&findings[i], all->repairs[k].finding))
                                return true;
        return false;
}

/* Ends the call with what remains, if the states are fresh enough or late is true. */
static void conclude(struct repairing *all, bool late)
{
        cleanup_free struct finding *findings = NULL;
        size_t count = 0;
        rpc_call *call;
        int r = api_check_run(all->context, &all->scope, NULL, all->pm2, &findings, &count);

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
        call = all->call;
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
        int r = sd_event_add_time_relative(all->context->event, &all->timer, CLOCK_BOOTTIME, SETTLE_US, 0,
                                           on_late, all);

        if (r < 0) {
                give_up(all, "the checks cannot be made again", r);
                return;
        }
        all->settling = true;
        all->listener = (struct api_listener){.news = on_news, .userdata = all};
        api_listen(all->context, &all->listener);
        api_look(all->context, &all->scope); /* what it sees comes as news */
        conclude(all, false);
}

static void on_done(void *userdata)
{
        struct repairing *all = userdata;

        all->batch = NULL;
        settle(all);
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        repairing_free(userdata);
}

/* One repair for each finding that has one; findings with the same repair share it. The caller frees *ret. */
static int list_repairs(struct repairing *all, size_t finding_count, struct batch_work **ret)
{
        cleanup_free struct batch_work *works = calloc(finding_count + 1, sizeof(*works));

        all->repairs = calloc(finding_count + 1, sizeof(*all->repairs));
        if (!works || !all->repairs)
                return -ENOMEM;
        for (size_t i = 0; i < finding_count; i++) {
                const struct finding *finding = &all->findings[i];
                struct batch_work *work = &works[all->count];
                bool covered = finding->fix == OPERATION_NONE;

                for (size_t k = 0; k < all->count && !covered; k++)
                        covered = works[k].kind == finding->fix && text_equal(works[k].host, finding->host) &&
                                  text_equal(works[k].service, finding->service);
                if (covered)
                        continue;
                *work = (struct batch_work){.kind = finding->fix, .spec = finding->fix_service};
                TEXT_COPY(work->host, finding->host);
                TEXT_COPY(work->service, finding->service);
                snprintf(work->why, sizeof(work->why), "for %s", finding->id);
                all->repairs[all->count++].finding = finding;
        }
        *ret = TAKE(works);
        return 0;
}

void api_repair(struct api_context *context, rpc_call *call, struct scope *scope, struct finding **findings,
                size_t count, struct plan_pm2_look **pm2)
{
        struct batch_events events = {.progress = on_progress, .ended = on_ended, .done = on_done};
        cleanup_free struct batch_work *works = NULL;
        struct repairing *all = calloc(1, sizeof(*all));
        int r;

        if (!all) {
                api_fail(call, "nothing can be repaired", -ENOMEM);
                return;
        }
        all->context = context;
        all->call = call;
        all->scope = *scope;
        *scope = (struct scope){0};
        all->findings = TAKE(*findings);
        all->pm2 = TAKE(*pm2);
        events.userdata = all;
        r = list_repairs(all, count, &works);
        if (r == 0 && all->count == 0) {
                repairing_free(all);
                rpc_call_end(call, RPC_OK, "%s", "");
                return;
        }
        if (r == 0)
                r = batch_start(&all->batch, context, rpc_peer_name(rpc_call_peer(call)), "fix", works,
                                all->count, &events);
        if (r < 0)
                give_up(all, "nothing can be repaired", r);
        else
                rpc_call_watch(call, on_cancelled, NULL, all);
}
