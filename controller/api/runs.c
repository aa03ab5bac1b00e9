/* Runs, WatchRun and Steer.
 *
 * WatchRun sends: how the run stands (event 0, with summary); its journal from the event asked for; how it
 * stands once more, which marks that what follows is of now; then events and progress as they come. Events
 * are never lost to a slow reader: sending stops, and goes on from the journal when the reader is back.
 * Progress is only of the moment and is dropped. The stream ends when the run has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/handlers.h"

#define RUNS_MOST 1000u

static void fill_summary(struct wire_arena *arena, const struct run_summary *summary,
                         Muster__V1__RunSummary *message)
{
        muster__v1__run_summary__init(message);
        message->run = wire_text(arena, summary->run);
        message->kind = (Muster__V1__PlanKind)summary->kind;
        message->scope = wire_text(arena, summary->scope);
        message->state = wire_text(arena, summary->state);
        message->user = wire_text(arena, summary->user);
        message->started_us = summary->started_us;
        message->finished_us = summary->finished_us;
        message->steps_done = summary->steps_done;
        message->steps_total = summary->steps_total;
        message->waiting_for = wire_text(arena, summary->waiting_for);
}

static Muster__V1__RunSummary *summary_message(struct wire_arena *arena, const struct run_summary *summary)
{
        Muster__V1__RunSummary *message = wire_alloc(arena, sizeof(*message));

        if (message)
                fill_summary(arena, summary, message);
        return message;
}

/* One that cannot be read has not ended: it holds its hosts until a person lets go of them. */
static bool is_finished(const struct run_summary *summary)
{
        return !text_equal(summary->state, "running") && !text_equal(summary->state, "paused") &&
               !text_equal(summary->state, "unreadable");
}

/* --- the way up from what was left down --- */

#define WAY_UP_MOST 512u

struct way_up {
        struct wire_arena *arena;
        Muster__V1__RunSummary *message;
};

static int add_line(const char *line, void *userdata)
{
        struct way_up *way_up = userdata;
        Muster__V1__RunSummary *message = way_up->message;

        if (message->n_way_up < WAY_UP_MOST)
                message->way_up[message->n_way_up++] = wire_text(way_up->arena, line);
        return 0;
}

static int fill_way_up(const struct api_context *context, struct wire_arena *arena,
                       Muster__V1__RunSummary *message)
{
        struct way_up way_up = {arena, message};
        uint64_t low, high;

        message->way_up = wire_alloc(arena, WAY_UP_MOST * sizeof(*message->way_up));
        return message->way_up ? runner_way_up(context->runner, message->run, add_line, &way_up, &low, &high)
                               : -ENOMEM;
}

/* Only a run that was aborted has left anything. */
static bool may_have_left(const struct run_summary *summary)
{
        return text_equal(summary->state, "aborted") || text_equal(summary->state, "failed");
}

/* Of one run, with what it left down. A run that cannot be read does not say. */
static Muster__V1__RunSummary *whole_summary(const struct api_context *context, struct wire_arena *arena,
                                             const struct run_summary *summary)
{
        Muster__V1__RunSummary *message = summary_message(arena, summary);

        if (message && may_have_left(summary))
                (void)fill_way_up(context, arena, message);
        return message;
}

/* --- Runs --- */

struct run_ids {
        char (*ids)[NAME_SIZE]; /* owned */
        size_t count, room;
};

static int take_id(const struct store_run *run, void *userdata)
{
        struct run_ids *list = userdata;

        if (list->count < list->room)
                TEXT_COPY(list->ids[list->count++], run->id);
        return 0;
}

struct held {
        struct wire_arena *arena;
        Muster__V1__RunSummary *message;
};

static int add_host(const char *host, void *userdata)
{
        struct held *held = userdata;

        if (held->message->n_hosts < FLEET_HOSTS_MAX)
                held->message->hosts[held->message->n_hosts++] = wire_text(held->arena, host);
        return 0;
}

/* The hosts that a run holds, by the locks themselves: also of one that cannot be read. */
static int add_hosts(const struct api_context *context, struct wire_arena *arena,
                     Muster__V1__RunSummary *message)
{
        struct held held = {arena, message};

        message->hosts = wire_alloc(arena, FLEET_HOSTS_MAX * sizeof(*message->hosts));
        return message->hosts ? store_lock_list(context->store, message->run, add_host, &held) : -ENOMEM;
}

static int fill_runs(const struct api_context *context, struct wire_arena *arena, const struct run_ids *ids,
                     Muster__V1__RunsReply *reply)
{
        reply->runs = wire_alloc(arena, (ids->count + 1) * sizeof(*reply->runs));
        if (!reply->runs)
                return -ENOMEM;
        for (size_t i = 0; i < ids->count; i++) {
                Muster__V1__RunSummary *message;
                struct run_summary summary;
                int r = runner_summary(context->runner, ids->ids[i], &summary);

                if (r < 0)
                        return r;
                message = summary_message(arena, &summary);
                if (!message)
                        return -ENOMEM;
                if (!is_finished(&summary)) {
                        r = add_hosts(context, arena, message);
                        if (r < 0)
                                return r;
                }
                reply->runs[reply->n_runs++] = message;
        }
        return 0;
}

void api_runs(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__RunsRequest *wanted = (const Muster__V1__RunsRequest *)request;
        const struct api_context *context = userdata;
        Muster__V1__RunsReply reply = MUSTER__V1__RUNS_REPLY__INIT;
        size_t limit = wanted->limit && wanted->limit < RUNS_MOST ? wanted->limit : RUNS_MOST;
        struct run_ids ids = {.ids = calloc(limit, NAME_SIZE), .room = limit};
        struct wire_arena arena = {0};
        int r = ids.ids ? store_run_list(context->store, limit, take_id, &ids) : -ENOMEM;

        if (r >= 0)
                r = fill_runs(context, &arena, &ids, &reply);
        free(ids.ids);
        if (r < 0) {
                wire_arena_clear(&arena);
                api_fail(call, "the runs cannot be listed", r);
                return;
        }
        api_reply(call, &arena, &reply.base);
}

/* --- WatchRun --- */

struct run_watch {
        struct api_context *context;
        rpc_call *call;
        char run[NAME_SIZE];
        uint64_t next;    /* the first event that was not sent */
        uint64_t handle;  /* of runner_watch; 0: none */
        bool catching_up; /* inside runner_watch: what comes is of the journal */
        bool caught_up;   /* the mark was sent */
        bool behind;      /* the reader is slow: an event was held back */
        bool over;        /* the run has ended */
        int failed;       /* negative errno: it cannot be sent at all */
        sd_event_source
                *later; /* ends the call, or takes the journal up again, outside of the runner's callback */
};

static void watch_free(struct run_watch *watch)
{
        if (watch->handle)
                runner_unwatch(watch->context->runner, watch->handle);
        sd_event_source_disable_unref(watch->later);
        free(watch);
}

static int send_summary(struct run_watch *watch)
{
        Muster__V1__RunUpdate update = MUSTER__V1__RUN_UPDATE__INIT;
        struct wire_arena arena = {0};
        struct run_summary summary;
        int r = runner_summary(watch->context->runner, watch->run, &summary);

        if (r < 0)
                return r;
        update.step = -1;
        update.time_us = time_realtime_us();
        update.summary = whole_summary(watch->context, &arena, &summary);
        r = arena.failed ? -ENOMEM : rpc_call_send(watch->call, &update.base);
        wire_arena_clear(&arena);
        return r;
}

static int send_news(struct run_watch *watch, const struct run_news *news)
{
        Muster__V1__RunUpdate update = MUSTER__V1__RUN_UPDATE__INIT;
        struct wire_arena arena = {0};
        int r;

        update.event = news->event;
        update.time_us = news->time_us;
        update.text = wire_text(&arena, news->text);
        update.step = news->step;
        update.step_state = wire_text(&arena, news->step_state);
        update.progress_done = news->progress_done;
        update.progress_total = news->progress_total;
        update.event_kind = wire_text(&arena, news->kind);
        update.host = wire_text(&arena, news->host);
        update.figures = wire_figures(&arena, news->figures, news->figure_count);
        update.n_figures = update.figures ? news->figure_count : 0;
        update.left_low_ms = news->left_low_us / 1000;
        update.left_high_ms = news->left_high_us / 1000;
        /* What a run was in the past is in the events; a summary is always of now. */
        if (news->summary && !watch->catching_up)
                update.summary = whole_summary(watch->context, &arena, news->summary);
        r = arena.failed ? -ENOMEM : rpc_call_send(watch->call, &update.base);
        wire_arena_clear(&arena);
        return r;
}

static void do_later(struct run_watch *watch)
{
        if (sd_event_source_set_enabled(watch->later, SD_EVENT_ONESHOT) < 0)
                log_warning("a watcher of run %s cannot be served any more", watch->run);
}

static void on_news(const struct run_news *news, void *userdata)
{
        struct run_watch *watch = userdata;
        int r;

        if (watch->behind || watch->failed)
                return;
        r = rpc_call_writable(watch->call) ? send_news(watch, news) : -ENOBUFS;
        if (r == -ENOBUFS) {
                watch->behind = news->event > 0;
                return;
        }
        if (r < 0) {
                watch->failed = r;
                do_later(watch);
                return;
        }
        if (news->event > 0)
                watch->next = news->event + 1;
        if (!watch->catching_up && news->summary && is_finished(news->summary)) {
                watch->over = true;
                do_later(watch);
        }
}

/* Sends the journal from watch->next on and subscribes to what follows. */
static int catch_up(struct run_watch *watch)
{
        int r;

        if (watch->handle)
                runner_unwatch(watch->context->runner, watch->handle);
        watch->handle = 0;
        watch->behind = false;
        watch->catching_up = true;
        r = runner_watch(watch->context->runner, watch->run, watch->next, on_news, watch, &watch->handle);
        watch->catching_up = false;
        if (r == 0)
                r = watch->failed;
        if (r < 0 || watch->behind)
                return r;
        if (!watch->caught_up || watch->handle == 0)
                r = send_summary(watch);
        if (r == -ENOBUFS) {
                watch->behind = true;
                return 0;
        }
        watch->caught_up = true;
        watch->over = watch->handle == 0;
        return r;
}

static int on_later(sd_event_source *source, void *userdata)
{
        struct run_watch *watch = userdata;
        rpc_call *call = watch->call;
        int r = watch->failed;

        if (r == 0 && !watch->over)
                r = catch_up(watch);
        if (r == 0 && !watch->over)
                return 0;
        watch_free(watch);
        if (r < 0)
                api_fail(call, "the run's journal cannot be read", r);
        else
                rpc_call_end(call, RPC_OK, "%s", "");
        return 0;
}

static void on_cancelled(rpc_call *call, void *userdata)
{
        watch_free(userdata);
}

static void on_writable(rpc_call *call, void *userdata)
{
        struct run_watch *watch = userdata;

        if (watch->behind)
                do_later(watch);
}

void api_watch_run(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__WatchRunRequest *wanted = (const Muster__V1__WatchRunRequest *)request;
        struct api_context *context = userdata;
        struct run_watch *watch;
        struct run_summary summary;
        int r = runner_summary(context->runner, wanted->run, &summary);

        if (r == -ENOENT) {
                rpc_call_end(call, RPC_NOT_FOUND,
                             wanted->run[0] ? "there is no run '%s'; muster run ls"
                                            : "%sthere are no runs yet",
                             wanted->run);
                return;
        }
        watch = r < 0 ? NULL : calloc(1, sizeof(*watch));
        if (!watch) {
                api_fail(call, "the run cannot be watched", r < 0 ? r : -ENOMEM);
                return;
        }
        *watch = (struct run_watch){.context = context, .call = call, .next = wanted->from_event};
        TEXT_COPY(watch->run, summary.run);
        if (watch->next == 0)
                watch->next = 1;
        r = sd_event_add_defer(context->event, &watch->later, on_later, watch);
        if (r >= 0)
                r = send_summary(watch);
        if (r < 0) {
                watch_free(watch);
                api_fail(call, "the run cannot be watched", r);
                return;
        }
        rpc_call_watch(call, on_cancelled, on_writable, watch);
        /* The deferred source, which is on, does the rest. */
}

/* --- Steer --- */

static const char *action_name(unsigned action)
{
        static const char *const names[] = {NULL, "pause", "resume", "retry", "skip", "abort", "leave"};

        return action < ELEMENTS(names) ? names[action] : NULL;
}

/* --- what an abort has still to bring up --- */

#define LEFT_MOST 4096u

struct left {
        struct wire_arena *arena;
        Muster__V1__SteerReply *reply;
};

static int add_left(const struct step *step, size_t index, void *userdata)
{
        struct left *left = userdata;
        Muster__V1__PlanStep *message;

        if (left->reply->n_left == LEFT_MOST)
                return 0;
        message = wire_alloc(left->arena, sizeof(*message));
        if (!message)
                return -ENOMEM;
        muster__v1__plan_step__init(message);
        message->index = (uint32_t)index;
        message->name = wire_text(left->arena, step->name);
        message->host = wire_text(left->arena, step->host);
        message->service = wire_text(left->arena, step->service.name);
        message->estimate_low_ms = step->low_us / USEC_PER_MSEC;
        message->estimate_high_ms = step->high_us / USEC_PER_MSEC;
        left->reply->left[left->reply->n_left++] = message;
        return 0;
}

static int fill_estimate(const struct api_context *context, const char *run, Muster__V1__SteerReply *reply)
{
        uint64_t low, high;
        int r = runner_way_up(context->runner, run, NULL, NULL, &low, &high);

        if (r == 0) {
                reply->estimate_low_ms = low / USEC_PER_MSEC;
                reply->estimate_high_ms = high / USEC_PER_MSEC;
        }
        return r;
}

static int fill_left(const struct api_context *context, const char *run, bool leaves,
                     struct wire_arena *arena, Muster__V1__SteerReply *reply)
{
        struct left left = {arena, reply};
        int r;

        reply->left = wire_alloc(arena, LEFT_MOST * sizeof(*reply->left));
        if (!reply->left)
                return -ENOMEM;
        r = runner_left(context->runner, run, add_left, &left);
        if (r == 0)
                r = fill_estimate(context, run, reply);
        if (r == 0 && leaves && reply->summary)
                r = fill_way_up(context, arena, reply->summary);
        return r == -EPROTO || r == -EINVAL ? 0 : r; /* a run that cannot be read has let go of its hosts */
}

static void reply_steered(const struct api_context *context, rpc_call *call,
                          const Muster__V1__SteerRequest *wanted, const struct run_summary *summary)
{
        Muster__V1__SteerReply reply = MUSTER__V1__STEER_REPLY__INIT;
        struct wire_arena arena = {0};
        int r = 0;

        reply.summary = summary_message(&arena, summary);
        if (wanted->action >= MUSTER__V1__STEER_ACTION__STEER_ACTION_ABORT)
                r = fill_left(context, wanted->run,
                              wanted->action == MUSTER__V1__STEER_ACTION__STEER_ACTION_LEAVE, &arena, &reply);
        api_reply(call, &arena, r == 0 && reply.summary ? &reply.base : NULL);
}

/* What an abort would bring up if it came now. */
static void look_ahead(const struct api_context *context, rpc_call *call,
                       const Muster__V1__SteerRequest *wanted)
{
        struct run_summary summary;
        int r = runner_summary(context->runner, wanted->run, &summary);

        if (r == -ENOENT)
                rpc_call_end(call, RPC_NOT_FOUND, "there is no run '%s'; muster run ls", wanted->run);
        else if (r < 0)
                api_fail(call, "the run cannot be read", r);
        else if (wanted->action < MUSTER__V1__STEER_ACTION__STEER_ACTION_ABORT)
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "only an abort can be looked at before");
        else if (is_finished(&summary))
                rpc_call_end(call, RPC_FAILED_PRECONDITION, "run %s has ended (%s)", wanted->run,
                             summary.state);
        else
                reply_steered(context, call, wanted, &summary);
}

void api_steer(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__SteerRequest *wanted = (const Muster__V1__SteerRequest *)request;
        const struct api_context *context = userdata;
        const char *user = rpc_peer_name(rpc_call_peer(call)),
                   *action = action_name((unsigned)wanted->action);
        struct run_summary summary;
        struct error error = {0};
        char step[32] = "";
        int r;

        if (!action || !wanted->run[0]) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "name a run, and pause, resume, retry, skip, abort or leave");
                return;
        }
        if (wanted->dry_run) {
                look_ahead(context, call, wanted);
                return;
        }
        r = runner_steer(context->runner, wanted->run, (enum steer_action)wanted->action, wanted->step, user,
                         wanted->why, &error);
        if (r == -ENOENT) {
                rpc_call_end(call, RPC_NOT_FOUND, "there is no run '%s' that could be steered; muster run ls",
                             wanted->run);
                return;
        }
        if (r < 0) {
                rpc_call_end(call, r == -EINVAL ? RPC_FAILED_PRECONDITION : RPC_INTERNAL, "%s",
                             error_text(&error, r));
                return;
        }
        log_info("run %s: %s by %s", wanted->run, action, user);
        if (wanted->step >= 0)
                snprintf(step, sizeof(step), ", step %d", wanted->step);
        if (!api_record(context, call, action, "run %s%s%s%s", wanted->run, step, wanted->why[0] ? ": " : "",
                        wanted->why))
                return;
        r = runner_summary(context->runner, wanted->run, &summary);
        if (r < 0)
                api_fail(call, "it was done, but how the run stands cannot be read", r);
        else
                reply_steered(context, call, wanted, &summary);
}
