/* See operations.h. */
#include "agent/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/op/op.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define RUNNING_MOST      64u
#define WATCHERS_MOST     8u
#define RECORD_RETRY_USEC (1 * USEC_PER_SEC)

struct running {
        struct op op;
        struct operations *manager;
        struct running *next;
        struct operation_report report; /* ACCEPTED until it ends */
        uint64_t done, total;           /* what its progress last said; total 0: none yet */
        bool ended;                     /* op_finish came or the deadline passed */
        bool recorded;                  /* the end is in the ledger; waiting to be freed */
        sd_event_source *timer;         /* the deadline; after the end, the next try to record it */
        struct operations_watcher watchers[WATCHERS_MOST];
        size_t watcher_count;
};

struct operations {
        sd_event *event;
        sd_bus *bus;
        const char *folder;
        ledger *ledger;
        const struct boot *boot;
        struct running *running;
        sd_event_source *reaper;
};

static struct running *running_free(struct running *running)
{
        sd_event_source_disable_unref(running->timer);
        free(running);
        return NULL;
}

/* What ended in this turn is freed in a later one: op_finish may be called from deep within the operation. */
static int on_reap(sd_event_source *source, void *userdata)
{
        operations *operations = userdata;

        for (struct running **at = &operations->running; *at;) {
                struct running *running = *at;

                if (!running->recorded) {
                        at = &running->next;
                        continue;
                }
                *at = running->next;
                running_free(running);
        }
        return 0;
}

int operations_new(operations **ret, sd_event *event, sd_bus *bus, const char *folder, ledger *ledger,
                   const struct boot *boot)
{
        operations *created = calloc(1, sizeof(*created));
        int r;

        if (!created)
                return -ENOMEM;
        created->event = event;
        created->bus = bus;
        created->folder = folder;
        created->ledger = ledger;
        created->boot = boot;
        r = sd_event_add_defer(event, &created->reaper, on_reap, created);
        if (r >= 0)
                r = sd_event_source_set_enabled(created->reaper, SD_EVENT_OFF);
        if (r < 0) {
                operations_free(created);
                return r;
        }
        *ret = created;
        return 0;
}

operations *operations_free(operations *operations)
{
        if (!operations)
                return NULL;
        while (operations->running) {
                struct running *running = operations->running;

                operations->running = running->next;
                if (!running->ended)
                        running->op.type->cancel(&running->op);
                running_free(running);
        }
        sd_event_source_disable_unref(operations->reaper);
        free(operations);
        return NULL;
}

static void tell_end(struct running *running)
{
        size_t count = running->watcher_count;

        running->watcher_count = 0;
        for (size_t i = 0; i < count; i++)
                running->watchers[i].report(&running->report, running->watchers[i].userdata);
}

static int arm(struct running *running, uint64_t delay_us, sd_event_time_handler_t handler)
{
        sd_event_source_disable_unref(TAKE(running->timer));
        return sd_event_add_time_relative(running->manager->event, &running->timer, CLOCK_BOOTTIME, delay_us,
                                          10 * USEC_PER_MSEC, handler, running);
}

/* The result is told only when it is in the ledger; a full disk delays it, it does not lose it. */
static int on_record(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct running *running = userdata;
        struct error error = {0};
        int r = ledger_record(running->manager->ledger, &running->report, &error);

        if (r < 0) {
                log_error("result of operation %s waits: %s", running->report.id, error_text(&error, r));
                return arm(running, RECORD_RETRY_USEC, on_record);
        }
        sd_event_source_disable_unref(TAKE(running->timer));
        running->recorded = true;
        log_info("operation %s %s: %s: %s", running->report.id, operation_type(running->report.kind)->name,
                 operation_state_name(running->report.state), running->report.text);
        tell_end(running);
        return sd_event_source_set_enabled(running->manager->reaper, SD_EVENT_ONESHOT);
}

static void end(struct running *running, int result, const char *text)
{
        struct operation_report *report = &running->report;
        int r;

        running->ended = true;
        report->state = result < 0               ? OPERATION_FAILED
                        : result == OP_UNSETTLED ? OPERATION_INTERRUPTED
                                                 : OPERATION_DONE;
        report->finished_us = time_realtime_us();
        text_copy_clean(report->text, sizeof(report->text), text);
        memcpy(report->figures, running->op.figures, sizeof(report->figures));
        report->figure_count = running->op.figure_count;
        r = on_record(NULL, 0, running);
        if (r < 0)
                log_error("operation %s: cannot arm a timer: %s", report->id, strerror(-r));
}

static void op_ended(struct op *op, int result, const char *text)
{
        struct running *running = op->manager;

        if (!running->ended)
                end(running, result, text);
}

/* What it saw before its work: in the ledger, or the work is not begun. */
static int op_noted_all(struct op *op, struct error *error)
{
        struct running *running = op->manager;

        memcpy(running->report.figures, op->noted, sizeof(running->report.figures));
        running->report.figure_count = op->noted_count;
        return ledger_note(running->manager->ledger, &running->report, error);
}

static void op_progressed(struct op *op, uint64_t done, uint64_t total, const char *text)
{
        struct running *running = op->manager;

        /* Its deadline is of standing still: what gets on begins it anew, and so does what counts something
         * else now, as one part of the work has ended. */
        if (total && (done != running->done || total != running->total) && !running->ended) {
                running->done = done;
                running->total = total;
                if (running->timer)
                        (void)sd_event_source_set_time_relative(running->timer,
                                                                running->op.request.deadline_us);
        }
        for (size_t i = 0; i < running->watcher_count; i++)
                running->watchers[i].progress(done, total, text, running->watchers[i].userdata);
}

static int on_deadline(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct running *running = userdata;
        char text[TEXT_SIZE], limit[32];

        running->op.type->cancel(&running->op);
        time_duration_text(limit, sizeof(limit), running->op.request.deadline_us);
        snprintf(text, sizeof(text),
                 running->total ? "not done, and no progress within %s" : "not done within %s", limit);
        end(running, -ETIMEDOUT, text);
        return 0;
}

static int watch(struct running *running, const struct operations_watcher *watcher, struct error *error)
{
        if (running->watcher_count == WATCHERS_MOST)
                return error_set(error, -EBUSY, "operation %s is watched by %u callers already",
                                 running->report.id, WATCHERS_MOST);
        running->watchers[running->watcher_count++] = *watcher;
        return 0;
}

/* Writes a data set anew, with the disk and the memory that its host has for one. */
static bool compacts(enum operation_kind kind)
{
        return kind == OPERATION_REDIS_REWRITE || kind == OPERATION_TILE38_SHRINK;
}

/* Two operations on one service at once would undo each other; on the host, a reboot excludes all, and one
 * compaction another, whoever asks for them. */
static int check_conflict(const operations *operations, const struct operation_request *request,
                          struct error *error)
{
        size_t count = 0;

        for (const struct running *running = operations->running; running; running = running->next) {
                const struct operation_request *other = &running->op.request;

                if (running->ended)
                        continue;
                if (other->kind == OPERATION_HOST_REBOOT)
                        return error_set(error, -EBUSY, "the host is rebooting (operation %s)", other->id);
                if (request->service.kind != SERVICE_NONE &&
                    text_equal(other->service.name, request->service.name))
                        return error_set(error, -EBUSY, "%s is under way on %s (operation %s)",
                                         operation_type(other->kind)->name, other->service.name, other->id);
                if (compacts(request->kind) && compacts(other->kind))
                        return error_set(error, -EBUSY,
                                         "%s is under way on %s (operation %s), and only one at a time is on "
                                         "a host",
                                         operation_type(other->kind)->name, other->service.name, other->id);
                count++;
        }
        if (count >= RUNNING_MOST)
                return error_set(error, -EBUSY, "%zu operations are under way; wait for one to end", count);
        return 0;
}

static int check_new(const operations *operations, const struct operation_request *request,
                     struct error *error)
{
        int r = operation_request_check(request, error);

        if (r < 0)
                return r;
        if (!op_type_find(request->kind))
                return error_set(error, -ENOTSUP, "this agent cannot do %s",
                                 operation_type(request->kind)->name);
        if (request->boot_id[0] && !text_equal(request->boot_id, operations->boot->id))
                return error_set(error, -ESTALE, "%s was meant for boot %s, this is boot %s",
                                 operation_type(request->kind)->name, request->boot_id, operations->boot->id);
        return check_conflict(operations, request, error);
}

static struct running *running_new(operations *operations, const struct operation_request *request)
{
        struct running *running = calloc(1, sizeof(*running));

        if (!running)
                return NULL;
        running->manager = operations;
        running->op = (struct op){
                .event = operations->event,
                .bus = operations->bus,
                .folder = operations->folder,
                .boot = operations->boot,
                .request = *request,
                .type = op_type_find(request->kind),
                .on_progress = op_progressed,
                .on_finish = op_ended,
                .on_noted = op_noted_all,
                .manager = running,
        };
        if (!running->op.request.deadline_us)
                running->op.request.deadline_us = operation_deadline_us(request->kind, request->settle_us);
        running->report.kind = request->kind;
        running->report.state = OPERATION_ACCEPTED;
        running->report.accepted_us = time_realtime_us();
        TEXT_COPY(running->report.id, request->id);
        TEXT_COPY(running->report.boot_id, operations->boot->id);
        return running;
}

/* What an earlier life of this agent began in this boot, and knows how to look for. */
static bool can_settle(const operations *operations, const struct operation_report *known,
                       const struct operation_request *request)
{
        return known->state == OPERATION_INTERRUPTED && known->figure_count > 0 &&
               known->kind == request->kind && operation_type(known->kind)->settle == SETTLE_LOOK &&
               text_equal(known->boot_id, operations->boot->id);
}

/* Accepts it in the ledger; or takes up what is there already (known) under its own id. */
static int accept_or_take_up(struct running *running, const struct operation_report *known,
                             struct error *error)
{
        if (!known)
                return ledger_record(running->manager->ledger, &running->report, error);
        running->report.accepted_us = known->accepted_us;
        memcpy(running->op.noted, known->figures, sizeof(running->op.noted));
        running->op.noted_count = known->figure_count;
        return 0;
}

/* known: of an earlier life; NULL: it is new. */
static int begin(operations *operations, const struct operation_request *request,
                 const struct operation_report *known, const struct operations_watcher *watcher,
                 struct error *error)
{
        struct running *running;
        struct error why = {0};
        int r = check_new(operations, request, error);

        if (r < 0)
                return r;
        running = running_new(operations, request);
        if (!running)
                return -ENOMEM;
        r = arm(running, running->op.request.deadline_us, on_deadline);
        if (r == 0)
                r = accept_or_take_up(running, known, error);
        if (r < 0) {
                running_free(running);
                return r;
        }
        running->watchers[running->watcher_count++] = *watcher;
        running->next = operations->running;
        operations->running = running;
        log_info("operation %s %s%s%s: %s", request->id, operation_type(request->kind)->name,
                 request->service.name[0] ? " " : "", request->service.name,
                 known ? "was interrupted, looking whether it was done" : "accepted");
        r = running->op.type->start(&running->op, &why);
        if (r < 0 && !running->ended)
                end(running, r, error_text(&why, r));
        return 0;
}

int operations_submit(operations *operations, const struct operation_request *request,
                      const struct operations_watcher *watcher, const struct operation_report **ret_report,
                      struct error *error)
{
        const struct operation_report *known;

        for (struct running *running = operations->running; running; running = running->next)
                if (!running->recorded && text_equal(running->report.id, request->id))
                        return watch(running, watcher, error);
        known = ledger_find(operations->ledger, request->id);
        if (known && !can_settle(operations, known, request)) {
                *ret_report = known;
                return 1;
        }
        return begin(operations, request, known, watcher, error);
}

void operations_unwatch(operations *operations, const void *userdata)
{
        for (struct running *running = operations->running; running; running = running->next)
                for (size_t i = 0; i < running->watcher_count;) {
                        if (running->watchers[i].userdata == userdata)
                                running->watchers[i] = running->watchers[--running->watcher_count];
                        else
                                i++;
                }
}

size_t operations_running(const operations *operations)
{
        size_t count = 0;

        for (const struct running *running = operations->running; running; running = running->next)
                count += !running->ended;
        return count;
}
