/* tile38.shrink: AOFSHRINK, and the proof that it happened. Its OK comes before the work, and a shrink that
 * fails is only logged; so the proof is another file: the process has an append-only file of another inode
 * open than before, none runs, and nothing is left of the work beside it. One that does not come to an end,
 * or grows beyond what it replaces, is given up on (shrink_bound.h); tile38 knows no way to end it, so it is
 * said what is left and what to do. tile38 swaps the files in two steps; where one ended between them, the
 * old file lies aside and a start has made an empty one: a shrink would put that over it, and is refused.
 * What was before is in the ledger when tile38 is asked: an agent that ended meanwhile proves it the same
 * way. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/op/compact.h"
#include "agent/op/reply.h"
#include "agent/op/shrink_bound.h"
#include "agent/op/table.h"
#include "agent/op/tile38_look.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define ASK_USEC (15 * USEC_PER_SEC)
/* How long a server may be at rest without a new file before that counts as failed: the work is begun after
 * the OK, and its traces are removed after it says to be at rest. */
#define REST_USEC (5 * USEC_PER_SEC)

struct shrink {
        struct compact compact;
        struct tile38_look look;
        struct tile38_seen before;
        struct shrink_bound bound;
        uint64_t rest_us; /* when it was first seen at rest since it was asked; 0 at work */
};

static struct shrink *shrink_free(struct shrink *self)
{
        if (!self)
                return NULL;
        tile38_look_end(&self->look);
        compact_end(&self->compact);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(struct shrink *, shrink_free);

static void end(struct op *op, int result, const char *text)
{
        op->state = shrink_free(op->state);
        op_finish(op, result, "%s", text);
}

/* What an earlier life's shrink cannot be proven by is done again. */
static void fail(struct op *op, int r, const struct error *error)
{
        const struct shrink *self = op->state;

        end(op, self->compact.settles ? OP_UNSETTLED : r, error_text(error, r));
}

static void look_again(struct op *op)
{
        struct shrink *self = op->state;
        int r = compact_look_again(&self->compact);

        if (r < 0)
                fail(op, r, NULL);
}

/* --- while it is at work -------------------------------------------------------------------------------- */

/* It goes on in tile38: what that leaves, and how it is ended without harm. */
static void give_up(struct op *op, int r, const struct error *why)
{
        struct shrink *self = op->state;
        const struct tile38_seen *seen = &self->look.seen;
        char file[PATH_SIZE], unit[UNIT_SIZE];
        struct error error = {0};

        printable_copy(file, sizeof(file), seen->state.aof_inode ? seen->file : "its file");
        printable_copy(unit, sizeof(unit), op->request.service.unit);
        error_set(&error, r,
                  "the shrink %s, and tile38 still runs it; to end it, restart tile38%s%s, then remove "
                  "%s-shrink (not before: the data would go with it)",
                  error_text(why, r), unit[0] ? ": systemctl restart " : "", unit, file);
        end(op, r, error_text(&error, r));
}

static void go_on(struct op *op, const char *text)
{
        struct shrink *self = op->state;
        const struct tile38_seen *seen = &self->look.seen;
        const struct shrink_sight sight = {
                .files = seen->state.aof_inode != 0,
                .aof_bytes = seen->state.aof_size,
                .work_bytes = seen->work_bytes,
                .disk_known = seen->room.disk_known,
                .disk_available = seen->room.disk_available,
        };
        struct error why = {0};
        char written[32];
        int r = shrink_bound_look(&self->bound, time_monotonic_us(), &sight, &why);

        if (r < 0) {
                give_up(op, r, &why);
                return;
        }
        text_bytes(written, sizeof(written), seen->work_bytes);
        op_progress(op, seen->work_bytes, 0, "%s, %s written", text, written);
        look_again(op);
}

/* --- before --------------------------------------------------------------------------------------------- */

static int check(const struct tile38_seen *seen, struct error *error)
{
        struct room room = seen->room;
        char leftover[PATH_SIZE];

        if (!seen->aof_enabled)
                return error_set(error, -EOPNOTSUPP,
                                 "this tile38 keeps no append-only file (--appendonly no): there is nothing "
                                 "to shrink");
        if (!seen->state.aof_inode)
                return error_set(error, -ENOENT,
                                 "the append-only file of this tile38 is not among the open files of its "
                                 "process %" PRIu64 " as this agent sees them: a shrink could be neither "
                                 "bounded nor proven, and was not asked for",
                                 seen->pid);
        if (tile38_keeps_backup(&seen->state)) {
                printable_copy(leftover, sizeof(leftover), seen->state.leftover);
                return error_set(error, -EEXIST,
                                 "%s is there: an AOFSHRINK was interrupted while it swapped the files, and "
                                 "that one may hold the only whole copy of the data; another shrink would "
                                 "overwrite it, so none was asked for: see muster check",
                                 leftover);
        }
        room.disk_needed = room_estimate(0, seen->state.aof_size);
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

static int note(struct op *op, const struct tile38_seen *seen, struct error *error)
{
        op_note(op, "pid", "%" PRIu64, seen->pid);
        op_note(op, "aof-inode", "%" PRIu64, seen->state.aof_inode);
        op_note(op, "aof-size", "%" PRIu64, seen->state.aof_size);
        return op_commit_notes(op, error);
}

static void read_notes(struct tile38_seen *ret, const struct op *op)
{
        ret->pid = op_noted_number(op, "pid");
        ret->state.aof_inode = op_noted_number(op, "aof-inode");
        ret->state.aof_size = op_noted_number(op, "aof-size");
}

static void prepare(struct op *op)
{
        struct shrink *self = op->state;
        struct error error = {0};
        int r;

        if (self->look.seen.state.aof_rewrite_in_progress) {
                go_on(op, "waiting for a shrink that was under way already");
                return;
        }
        r = check(&self->look.seen, &error);
        if (r == 0) {
                self->before = self->look.seen;
                r = note(op, &self->before, &error);
        }
        if (r == 0)
                r = compact_ask(&self->compact, "AOFSHRINK", ASK_USEC, on_asked);
        if (r < 0)
                fail(op, r, &error);
}

/* --- after ---------------------------------------------------------------------------------------------- */

/* 0 proven; 1 not yet, and what would be wrong if it stays so. */
static int prove(const struct shrink *self, struct error *error)
{
        const struct tile38_state *before = &self->before.state, *after = &self->look.seen.state;
        char leftover[PATH_SIZE];

        if (after->leftover[0]) {
                printable_copy(leftover, sizeof(leftover), after->leftover);
                (void)error_set(error, 0, "the shrink failed and left %s behind; see tile38's log", leftover);
                return 1;
        }
        if (after->aof_inode == before->aof_inode) {
                (void)error_set(error, 0,
                                "tile38 said OK, but its append-only file was not replaced; see its log");
                return 1;
        }
        if (!after->aof_inode) {
                (void)error_set(error, 0, "tile38's append-only file can no longer be seen");
                return 1;
        }
        return 0;
}

static void finish(struct op *op, uint64_t took_us)
{
        struct shrink *self = op->state;
        struct tile38_seen before = self->before, after = self->look.seen;
        bool settled = self->compact.settles,
             grew = after.state.aof_size > before.state.aof_size + before.state.aof_size / 8;
        char took[32], old_size[32], new_size[32];

        time_duration_text(took, sizeof(took), took_us);
        text_bytes(old_size, sizeof(old_size), before.state.aof_size);
        text_bytes(new_size, sizeof(new_size), after.state.aof_size);
        op_figure(op, "size-before", "%" PRIu64, before.state.aof_size);
        op_figure(op, "size-after", "%" PRIu64, after.state.aof_size);
        if (!settled)
                op_figure(op, "seconds", "%.1f", (double)took_us / (double)USEC_PER_SEC);
        op_figure(op, "aof-inode", "%" PRIu64 " -> %" PRIu64, before.state.aof_inode, after.state.aof_inode);
        op->state = shrink_free(self);
        op_finish(op, 0, "%s %s%s: %s -> %s, new file seen",
                  grew ? "written anew, and larger (its objects take more room than the commands that made "
                         "them),"
                       : "shrunk",
                  settled ? "" : "in ", settled ? COMPACT_SETTLED : took, old_size, new_size);
}

static void judge(struct op *op)
{
        struct shrink *self = op->state;
        uint64_t took_us = time_monotonic_us() - self->compact.asked_us;
        struct error error = {0};
        char took[32], text[64];

        if (self->look.seen.pid != self->before.pid) {
                error_set(&error, -ECONNRESET, "tile38 was restarted during the shrink");
                fail(op, -ECONNRESET, &error);
                return;
        }
        if (self->look.seen.state.aof_rewrite_in_progress) {
                self->rest_us = 0;
                time_duration_text(took, sizeof(took), took_us);
                snprintf(text, sizeof(text), "shrinking for %s", took);
                go_on(op, text);
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

/* Before it is asked for, nothing was begun; after it, tile38 may do it or hang with its disk. */
static void fail_hung(struct op *op)
{
        const struct shrink *self = op->state;
        struct error error = {0};

        error_set(&error, -ETIMEDOUT,
                  "the files of this tile38 do not answer: %s; first mend their disk or network file system "
                  "(dmesg | tail; mount)",
                  self->compact.asked ? "whether the shrink ends cannot be seen"
                                      : "a shrink would hang, and was not asked for");
        end(op, -ETIMEDOUT, error_text(&error, -ETIMEDOUT));
}

static void on_look(struct tile38_look *look, int result, void *userdata)
{
        struct op *op = userdata;
        struct shrink *self = op->state;
        struct error error = {0};

        if (result == 0 && look->seen.hung) {
                fail_hung(op);
        } else if (result == 0) {
                compact_heard(&self->compact);
                if (self->compact.asked)
                        judge(op);
                else
                        prepare(op);
        } else if (look->refusal[0] || compact_unheard(&self->compact, "tile38", result) < 0) {
                error_set(&error, result, "%s: %s",
                          look->refusal[0] ? "tile38 cannot be asked" : "tile38 does not answer",
                          look->refusal[0] ? look->refusal : strerror(-result));
                fail(op, result, &error);
        }
}

static void look(struct op *op)
{
        struct shrink *self = op->state;

        tile38_look_begin(&self->look, op->event, self->compact.link, on_look, op);
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
        shrink_bound_begin(&self->bound, time_monotonic_us(), op->request.deadline_us);
        read_notes(&self->before, op);
        op->state = TAKE(self);
        look(op);
        return 0;
}

static void cancel(struct op *op)
{
        op->state = shrink_free(op->state);
}

const struct op_type op_tile38_shrink = {OPERATION_TILE38_SHRINK, start, cancel};
