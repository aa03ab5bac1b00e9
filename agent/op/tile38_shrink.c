/* tile38.shrink: AOFSHRINK, and the proof that it happened. Its OK comes before the work, and a shrink that
 * fails is only logged; so the proof is another file: the process has an append-only file of another inode
 * open than before, none runs, and nothing is left of the work beside it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/op/compact.h"
#include "agent/op/reply.h"
#include "agent/op/room.h"
#include "agent/op/table.h"
#include "agent/probe/tile38_files.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define ASK_USEC (15 * USEC_PER_SEC)
/* How long a server may be at rest without a new file before that counts as failed: the work is begun after
 * the OK, and its traces are removed after it says to be at rest. */
#define REST_USEC (5 * USEC_PER_SEC)

struct seen {
        struct tile38_state state; /* its files are known where aof_inode is not 0 */
        uint64_t pid;
        bool aof_enabled;
};

struct shrink {
        struct compact compact;
        struct seen seen, before;
        char refusal[TEXT_SIZE];
        unsigned pending;
        int failure;
        bool watched;     /* seen at work since it was asked */
        uint64_t rest_us; /* when it was first seen at rest since it was asked; 0 at work */
};

static struct shrink *shrink_free(struct shrink *self)
{
        if (!self)
                return NULL;
        compact_end(&self->compact);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(struct shrink *, shrink_free);

static void fail(struct op *op, int r, const struct error *error)
{
        op->state = shrink_free(op->state);
        op_finish(op, r, "%s", error_text(error, r));
}

static void look_again(struct op *op)
{
        struct shrink *self = op->state;
        int r = compact_look_again(&self->compact);

        if (r < 0)
                fail(op, r, NULL);
}

/* --- before --------------------------------------------------------------------------------------------- */

static int check(const struct seen *seen, struct error *error)
{
        struct room room = {.disk_needed = room_estimate(0, seen->state.aof_size)};

        if (!seen->aof_enabled)
                return error_set(error, -EOPNOTSUPP,
                                 "this tile38 keeps no append-only file (--appendonly no): there is nothing "
                                 "to shrink");
        room_read(&room, seen->state.directory);
        return room_check(&room, error);
}

static void on_asked(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct op *op = userdata;
        struct shrink *self = op->state;
        struct error error = {0};
        char text[TEXT_SIZE];

        if (result == 0 && reply->type == REDIS_REPLY_STATUS) {
                self->compact.asked = true;
                op_progress(op, 0, 0, "shrink accepted");
                look_again(op);
                return;
        }
        if (result < 0) {
                error_set(&error, result, "no answer to AOFSHRINK: %s", strerror(-result));
        } else {
                reply_text(text, sizeof(text), reply);
                result = error_set(&error, -EREMOTEIO, "tile38 refused AOFSHRINK: %s", text);
        }
        fail(op, result, &error);
}

static void prepare(struct op *op)
{
        struct shrink *self = op->state;
        struct error error = {0};
        int r = check(&self->seen, &error);

        if (r == 0 && self->seen.state.aof_rewrite_in_progress) {
                op_progress(op, 0, 0, "waiting for a shrink that was under way already");
                look_again(op);
                return;
        }
        if (r == 0) {
                self->before = self->seen;
                r = compact_ask(&self->compact, "AOFSHRINK", ASK_USEC, on_asked);
        }
        if (r < 0)
                fail(op, r, &error);
}

/* --- after ---------------------------------------------------------------------------------------------- */

/* 0 proven; 1 not yet, and what would be wrong if it stays so. */
static int prove(const struct shrink *self, struct error *error)
{
        const struct tile38_state *before = &self->before.state, *after = &self->seen.state;
        char leftover[PATH_SIZE];

        if (after->leftover[0]) {
                printable_copy(leftover, sizeof(leftover), after->leftover);
                (void)error_set(error, 0, "the shrink failed and left %s behind; see tile38's log", leftover);
                return 1;
        }
        if (before->aof_inode && after->aof_inode == before->aof_inode) {
                (void)error_set(error, 0,
                                "tile38 said OK, but its append-only file was not replaced; see its log");
                return 1;
        }
        if (before->aof_inode && !after->aof_inode) {
                (void)error_set(error, 0, "tile38's append-only file can no longer be seen");
                return 1;
        }
        if (!before->aof_inode && !self->watched && after->aof_size == before->aof_size) {
                (void)error_set(error, 0,
                                "the shrink cannot be proven: tile38's files cannot be seen from here, and "
                                "the size it tells is the same");
                return 1;
        }
        return 0;
}

static void finish(struct op *op, uint64_t took_us)
{
        struct shrink *self = op->state;
        struct seen before = self->before, after = self->seen;
        bool files = before.state.aof_inode != 0;
        char took[32], old_size[32], new_size[32];

        time_duration_text(took, sizeof(took), took_us);
        text_bytes(old_size, sizeof(old_size), before.state.aof_size);
        text_bytes(new_size, sizeof(new_size), after.state.aof_size);
        op_figure(op, "size-before", "%" PRIu64, before.state.aof_size);
        op_figure(op, "size-after", "%" PRIu64, after.state.aof_size);
        op_figure(op, "seconds", "%.1f", (double)took_us / (double)USEC_PER_SEC);
        if (files)
                op_figure(op, "aof-inode", "%" PRIu64 " -> %" PRIu64, before.state.aof_inode,
                          after.state.aof_inode);
        op->state = shrink_free(self);
        op_finish(op, 0, "shrunk in %s: %s -> %s%s", took, old_size, new_size,
                  files ? ", new file seen" : " (by tile38's word: its files cannot be seen from here)");
}

static void judge(struct op *op)
{
        struct shrink *self = op->state;
        uint64_t took_us = time_monotonic_us() - self->compact.asked_us;
        struct error error = {0};
        char took[32];

        if (self->seen.pid != self->before.pid) {
                error_set(&error, -ECONNRESET, "tile38 was restarted during the shrink");
                fail(op, -ECONNRESET, &error);
                return;
        }
        if (self->seen.state.aof_rewrite_in_progress) {
                self->watched = true;
                self->rest_us = 0;
                time_duration_text(took, sizeof(took), took_us);
                op_progress(op, 0, 0, "shrinking for %s", took);
                look_again(op);
        } else if (prove(self, &error) == 0) {
                finish(op, took_us);
        } else if (!self->rest_us || time_monotonic_us() - self->rest_us < REST_USEC) {
                if (!self->rest_us)
                        self->rest_us = time_monotonic_us();
                look_again(op);
        } else {
                fail(op, -EREMOTEIO, &error);
        }
}

/* --- looking -------------------------------------------------------------------------------------------- */

static void looked(struct op *op)
{
        struct shrink *self = op->state;
        struct error error = {0};
        int failure = self->failure;

        if (failure == 0) {
                compact_heard(&self->compact);
                if (tile38_files_read(&self->seen.state, (pid_t)self->seen.pid) < 0)
                        self->seen.state.aof_inode = 0;
                if (self->compact.asked)
                        judge(op);
                else
                        prepare(op);
        } else if (self->refusal[0] || compact_unheard(&self->compact, "tile38", failure) < 0) {
                error_set(&error, failure, "%s: %s",
                          self->refusal[0] ? "tile38 cannot be asked" : "tile38 does not answer",
                          self->refusal[0] ? self->refusal : strerror(-failure));
                fail(op, failure, &error);
        }
}

static void answered(struct op *op, int failure)
{
        struct shrink *self = op->state;

        if (failure < 0 && self->failure == 0)
                self->failure = failure;
        if (--self->pending == 0)
                looked(op);
}

/* What is not the reply that was asked for: loading, no permission, or not a tile38 at all. */
static int refuse(struct shrink *self, const redisReply *reply)
{
        reply_text(self->refusal, sizeof(self->refusal), reply);
        return reply->type == REDIS_REPLY_ERROR ? -EACCES : -EPROTO;
}

static void on_server(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct op *op = userdata;
        struct shrink *self = op->state;
        struct seen *seen = &self->seen;

        if (result == 0 && reply->type != REDIS_REPLY_ARRAY)
                result = refuse(self, reply);
        for (size_t i = 0; result == 0 && i + 1 < reply->elements; i += 2) {
                const redisReply *key = reply->element[i], *value = reply->element[i + 1];

                if (key->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
                        continue;
                if (text_equal(key->str, "pid"))
                        (void)text_to_u64(value->str, &seen->pid);
                else if (text_equal(key->str, "aof_size"))
                        (void)text_to_u64(value->str, &seen->state.aof_size);
        }
        if (result == 0 && (seen->pid < 1 || seen->pid > INT32_MAX)) {
                result = -EPROTO;
                TEXT_COPY(self->refusal, "it does not tell its process id: not a tile38");
        }
        answered(op, result);
}

static void on_persistence(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct op *op = userdata;
        struct shrink *self = op->state;

        if (result == 0 && reply->type != REDIS_REPLY_STRING)
                result = refuse(self, reply);
        if (result == 0) {
                self->seen.state.aof_rewrite_in_progress = strstr(reply->str, "aof_rewrite_in_progress:1");
                self->seen.aof_enabled = !strstr(reply->str, "aof_enabled:0");
        }
        answered(op, result);
}

static void look(struct op *op)
{
        struct shrink *self = op->state;
        int r;

        self->seen = (struct seen){0};
        self->refusal[0] = '\0';
        self->failure = 0;
        self->pending = 1; /* our own hand on it while asking */
        r = redis_link_ask(self->compact.link, (const char *const[]){"SERVER"}, 1, ASK_USEC, on_server, op);
        if (r == 0) {
                self->pending++;
                r = redis_link_ask(self->compact.link, (const char *const[]){"INFO", "persistence"}, 2,
                                   ASK_USEC, on_persistence, op);
                if (r == 0)
                        self->pending++;
        }
        answered(op, r);
}

static int start(struct op *op, struct error *error)
{
        cleanup_with(shrink_freep) struct shrink *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        r = compact_begin(&self->compact, op, look, error);
        if (r < 0)
                return r;
        op->state = TAKE(self);
        look(op);
        return 0;
}

static void cancel(struct op *op)
{
        op->state = shrink_free(op->state);
}

const struct op_type op_tile38_shrink = {OPERATION_TILE38_SHRINK, start, cancel};
