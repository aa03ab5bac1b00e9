/* redis.rewrite: BGREWRITEAOF, and the proof that it happened. The reply proves nothing: it comes before the
 * work, may mean "later", and a child that is killed on the way (SHUTDOWN, a full resync) leaves the last
 * status as it was. Proof is: the count of rewrites went up, none runs or waits, the status is ok, and the
 * manifest names another base than before. What was before is in the ledger when Redis is asked: an agent
 * that ended meanwhile proves it the same way. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/op/compact.h"
#include "agent/op/redis_look.h"
#include "agent/op/reply.h"
#include "agent/op/room.h"
#include "agent/op/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define ASK_USEC (60 * USEC_PER_SEC) /* the fork happens before the reply */

struct rewrite {
        struct compact compact;
        struct redis_look look;
        struct redis_seen before;
};

static struct rewrite *rewrite_free(struct rewrite *self)
{
        if (!self)
                return NULL;
        redis_look_end(&self->look);
        compact_end(&self->compact);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(struct rewrite *, rewrite_free);

/* What an earlier life's rewrite cannot be proven by is done again. */
static void fail(struct op *op, int r, const struct error *error)
{
        const struct rewrite *self = op->state;
        int result = self->compact.settles ? OP_UNSETTLED : r;

        op->state = rewrite_free(op->state);
        op_finish(op, result, "%s", error_text(error, r));
}

static void on_look(struct redis_look *look, int result, void *userdata);

static void look(struct op *op)
{
        struct rewrite *self = op->state;

        redis_look_begin(&self->look, op->event, self->compact.link, on_look, op);
}

static void look_again(struct op *op)
{
        struct rewrite *self = op->state;
        int r = compact_look_again(&self->compact);

        if (r < 0)
                fail(op, r, NULL);
}

/* --- before --------------------------------------------------------------------------------------------- */

/* Whether a rewrite can be asked of this Redis. */
static int check(const struct redis_seen *seen, struct error *error)
{
        const struct redis_state *info = &seen->info;
        struct room room = seen->room;
        char done[32], total[32];

        if (info->loading) {
                text_bytes(done, sizeof(done), info->loading_loaded_bytes);
                text_bytes(total, sizeof(total), info->loading_total_bytes);
                return error_set(error, -EBUSY,
                                 "Redis is still loading its data (%s of %s); rewrite when it is ready", done,
                                 total);
        }
        if (!info->aof_enabled)
                return error_set(error, -EOPNOTSUPP,
                                 "this Redis keeps no append-only file (appendonly no): there is nothing to "
                                 "rewrite");
        room.memory_used = info->used_memory;
        room.disk_needed = room_estimate(info->used_memory, info->aof_current_size);
        return room_check(&room, error);
}

static void on_asked(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct op *op = userdata;
        struct rewrite *self = op->state;
        struct error error = {0};
        char text[TEXT_SIZE];

        if (result < 0) {
                error_set(&error, result, "no answer to BGREWRITEAOF: %s", strerror(-result));
                fail(op, result, &error);
                return;
        }
        reply_text(text, sizeof(text), reply);
        if (reply->type == REDIS_REPLY_ERROR && !strstr(text, "already in progress")) {
                error_set(&error, -EREMOTEIO, "Redis refused BGREWRITEAOF: %s", text);
                fail(op, -EREMOTEIO, &error);
                return;
        }
        if (reply->type != REDIS_REPLY_STATUS && reply->type != REDIS_REPLY_ERROR) {
                error_set(&error, -EPROTO, "the answer to BGREWRITEAOF makes no sense: %s", text);
                fail(op, -EPROTO, &error);
                return;
        }
        /* One that began between the look and the question is waited for like one that ran before. */
        self->compact.asked = reply->type == REDIS_REPLY_STATUS;
        if (self->compact.asked)
                op_progress(op, 0, 0, "%s", text);
        look_again(op);
}

static int note(struct op *op, const struct redis_seen *seen, struct error *error)
{
        op->noted_count = 0; /* it may have been refused before, for another one was under way */
        op_note(op, "run-id", "%s", seen->info.run_id);
        if (seen->counted)
                op_note(op, "rewrites", "%" PRIu64, seen->info.aof_rewrites);
        if (seen->files) {
                op_note(op, "base-file", "%s", seen->base_name);
                op_note(op, "base-inode", "%" PRIu64, seen->base_inode);
        }
        op_note(op, "base-bytes", "%" PRIu64, seen->base_bytes);
        op_note(op, "incremental-bytes", "%" PRIu64, seen->incremental_bytes);
        return op_commit_notes(op, error);
}

static void read_notes(struct redis_seen *ret, const struct op *op)
{
        const char *run_id = op_noted(op, "run-id"), *base = op_noted(op, "base-file");

        text_copy_cut(ret->info.run_id, sizeof(ret->info.run_id), run_id ? run_id : "");
        ret->counted = op_noted(op, "rewrites");
        ret->info.aof_rewrites = op_noted_number(op, "rewrites");
        ret->files = base;
        text_copy_cut(ret->base_name, sizeof(ret->base_name), base ? base : "");
        ret->base_inode = op_noted_number(op, "base-inode");
        ret->base_bytes = op_noted_number(op, "base-bytes");
        ret->incremental_bytes = op_noted_number(op, "incremental-bytes");
}

static void prepare(struct op *op)
{
        struct rewrite *self = op->state;
        const struct redis_seen *seen = &self->look.seen;
        struct error error = {0};
        int r = check(seen, &error);

        if (r == 0 && (seen->info.aof_rewrite_in_progress || seen->info.aof_rewrite_scheduled)) {
                /* Not ours, and no progress: Redis may begin one that fails anew, again and again. */
                op_progress(op, 0, 0, "waiting for a rewrite that was under way already");
                look_again(op);
                return;
        }
        if (r == 0) {
                self->before = *seen;
                r = note(op, seen, &error);
        }
        if (r == 0)
                r = compact_ask(&self->compact, "BGREWRITEAOF", ASK_USEC, on_asked);
        if (r < 0)
                fail(op, r, &error);
}

/* --- after ---------------------------------------------------------------------------------------------- */

static void tell_figures(struct op *op, const struct redis_seen *before, const struct redis_seen *after)
{
        op_figure(op, "size-before", "%" PRIu64, before->base_bytes + before->incremental_bytes);
        op_figure(op, "size-after", "%" PRIu64, after->base_bytes + after->incremental_bytes);
        op_figure(op, "base-before", "%" PRIu64, before->base_bytes);
        op_figure(op, "base-after", "%" PRIu64, after->base_bytes);
        op_figure(op, "incremental-before", "%" PRIu64, before->incremental_bytes);
        if (after->counted)
                op_figure(op, "rewrites", "%" PRIu64 " -> %" PRIu64, before->info.aof_rewrites,
                          after->info.aof_rewrites);
        if (before->files && after->files)
                op_figure(op, "base-file", "%s -> %s", before->base_name, after->base_name);
}

static bool last_is_ok(const struct redis_seen *seen)
{
        return text_equal(seen->info.aof_last_rewrite_status, "ok");
}

static int tell_failed(const struct redis_seen *after, struct error *error)
{
        char status[NAME_SIZE];

        printable_copy(status, sizeof(status), after->info.aof_last_rewrite_status);
        return error_set(error, -EREMOTEIO,
                         "the rewrite failed: aof_last_bgrewrite_status is '%s'; see Redis's log", status);
}

/* 0 if what is seen now proves a rewrite since before. */
static int prove(const struct redis_seen *before, const struct redis_seen *after, struct error *error)
{
        const struct redis_state *info = &after->info;
        bool files = before->files && after->files;
        char folder[PATH_SIZE];

        if (after->counted && info->aof_rewrites == before->info.aof_rewrites)
                return error_set(error, -EREMOTEIO,
                                 "Redis accepted the rewrite and dropped it: its count of rewrites is still "
                                 "%" PRIu64 "; see its log",
                                 info->aof_rewrites);
        if (!last_is_ok(after))
                return tell_failed(after, error);
        if (files && before->base_inode == after->base_inode &&
            text_equal(before->base_name, after->base_name)) {
                printable_copy(folder, sizeof(folder), after->folder);
                return error_set(
                        error, -EREMOTEIO,
                        "the rewrite ended without a new base: it is still %s in %s; see Redis's log",
                        after->base_name, folder);
        }
        if (!files && !after->counted)
                return error_set(error, -EREMOTEIO,
                                 "the rewrite cannot be proven: this Redis does not count its rewrites, and "
                                 "its files cannot be seen from here");
        return 0;
}

static void finish(struct op *op, uint64_t took_us)
{
        struct rewrite *self = op->state;
        const struct redis_seen *before = &self->before, *after = &self->look.seen;
        bool files = before->files && after->files, settled = self->compact.settles;
        bool room = after->room.disk_known;
        char took[32], old_size[32], new_size[32];

        time_duration_text(took, sizeof(took), took_us);
        text_bytes(old_size, sizeof(old_size), before->base_bytes + before->incremental_bytes);
        text_bytes(new_size, sizeof(new_size), after->base_bytes + after->incremental_bytes);
        if (!settled)
                op_figure(op, "seconds", "%.1f", (double)took_us / (double)USEC_PER_SEC);
        op->state = rewrite_free(self);
        op_finish(
                op, 0, "rewritten %s%s: %s -> %s%s", settled ? "" : "in ", settled ? COMPACT_SETTLED : took,
                old_size, new_size,
                files  ? ", new base seen"
                : room ? " (by Redis's word: its files cannot be seen from here)"
                       : " (by Redis's word: its files cannot be seen from here, nor could the room for new "
                         "ones before)");
}

static void judge(struct op *op)
{
        struct rewrite *self = op->state;
        const struct redis_seen *seen = &self->look.seen;
        uint64_t took_us = time_monotonic_us() - self->compact.asked_us;
        struct error error = {0};
        char took[32];
        int r;

        time_duration_text(took, sizeof(took), took_us);
        if (!text_equal(seen->info.run_id, self->before.info.run_id)) {
                error_set(&error, -ECONNRESET, "Redis was restarted during the rewrite");
                fail(op, -ECONNRESET, &error);
                return;
        }
        if (seen->info.aof_rewrite_in_progress || seen->info.aof_rewrite_scheduled) {
                /* One that failed may be followed by others of Redis's own, without end. */
                if (last_is_ok(&self->before) && !last_is_ok(seen)) {
                        fail(op, tell_failed(seen, &error), &error);
                        return;
                }
                op_progress(op, seen->keys_done, seen->keys_total, "%s for %s",
                            seen->info.aof_rewrite_in_progress ? "rewriting" : "rewrite scheduled", took);
                look_again(op);
                return;
        }
        tell_figures(op, &self->before, seen);
        r = prove(&self->before, seen, &error);
        if (r < 0)
                fail(op, r, &error);
        else
                finish(op, took_us);
}

/* Before it is asked for, nothing was begun; after it, Redis may do it or hang with its disk. */
static void fail_hung(struct op *op)
{
        struct rewrite *self = op->state;
        struct error error = {0};
        char folder[PATH_SIZE];

        printable_copy(folder, sizeof(folder), self->look.seen.folder);
        error_set(&error, -ETIMEDOUT,
                  "%s does not answer: %s; first mend that disk or network file system (dmesg | tail; mount)",
                  folder,
                  self->compact.asked ? "whether the rewrite ends cannot be seen"
                                      : "a rewrite would hang, and was not asked for");
        fail(op, -ETIMEDOUT, &error);
}

static void on_look(struct redis_look *look, int result, void *userdata)
{
        struct op *op = userdata;
        struct rewrite *self = op->state;
        struct error error = {0};

        if (result == 0 && look->seen.hung) {
                fail_hung(op);
        } else if (result == 0) {
                compact_heard(&self->compact);
                if (self->compact.asked)
                        judge(op);
                else
                        prepare(op);
        } else if (result == -EACCES || compact_unheard(&self->compact, "Redis", result) < 0) {
                error_set(&error, result, "%s: %s",
                          look->refusal[0] ? "Redis does not answer INFO as it should"
                                           : "Redis does not answer",
                          look->refusal[0] ? look->refusal : strerror(-result));
                fail(op, result, &error);
        }
}

static int start(struct op *op, struct error *error)
{
        cleanup_with(rewrite_freep) struct rewrite *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        r = compact_begin(&self->compact, op, look, error);
        if (r < 0)
                return r;
        read_notes(&self->before, op);
        op->state = TAKE(self);
        look(op);
        return 0;
}

static void cancel(struct op *op)
{
        op->state = rewrite_free(op->state);
}

const struct op_type op_redis_rewrite = {OPERATION_REDIS_REWRITE, start, cancel};
