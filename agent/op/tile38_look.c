/* See tile38_look.h. */
#include "agent/op/tile38_look.h"

#include <errno.h>
#include <string.h>

#include "agent/op/reply.h"
#include "agent/probe/tile38_files.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define ASK_USEC (15 * USEC_PER_SEC)
/* A disk that a shrink keeps busy is slow; one that says nothing for so long is more than that. */
#define FILES_USEC (10 * USEC_PER_SEC)

/* --- the files, on a thread of their own ---------------------------------------------------------------- */

static void read_files(void *data)
{
        struct tile38_seen *seen = data;

        if (tile38_files_read(&seen->state, (pid_t)seen->pid, seen->file) < 0)
                seen->state.aof_inode = 0;
        else
                seen->work_bytes = tile38_files_work(seen->file);
        room_read(&seen->room, seen->state.directory);
}

static void on_files(int result, void *data, void *userdata)
{
        struct tile38_look *look = userdata;

        if (data)
                look->seen = *(const struct tile38_seen *)data;
        /* -EBUSY: the look before still hangs */
        look->seen.hung = result == -ETIMEDOUT || result == -EBUSY;
        look->ready(look, result < 0 && !look->seen.hung ? result : 0, look->userdata);
}

static void look_at_files(struct tile38_look *look)
{
        int r = aside_run(look->aside, &look->seen, sizeof(look->seen), read_files, FILES_USEC, on_files,
                          look);

        if (r < 0)
                on_files(r, NULL, look);
}

/* --- asking --------------------------------------------------------------------------------------------- */

static void answered(struct tile38_look *look, int failure)
{
        if (failure < 0 && look->failure == 0)
                look->failure = failure;
        if (--look->pending > 0)
                return;
        if (look->failure < 0)
                look->ready(look, look->failure, look->userdata);
        else
                look_at_files(look);
}

/* What is not the reply that was asked for: loading, no permission, or not a tile38 at all. */
static int refuse(struct tile38_look *look, const redisReply *reply)
{
        reply_text(look->refusal, sizeof(look->refusal), reply);
        return reply->type == REDIS_REPLY_ERROR ? -EACCES : -EPROTO;
}

static void on_server(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct tile38_look *look = userdata;
        struct tile38_seen *seen = &look->seen;

        if (result == 0 && reply->type != REDIS_REPLY_ARRAY)
                result = refuse(look, reply);
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
                TEXT_COPY(look->refusal, "it does not tell its process id: not a tile38");
        }
        answered(look, result);
}

static void on_persistence(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct tile38_look *look = userdata;

        if (result == 0 && reply->type != REDIS_REPLY_STRING)
                result = refuse(look, reply);
        if (result == 0) {
                look->seen.state.aof_rewrite_in_progress = strstr(reply->str, "aof_rewrite_in_progress:1");
                look->seen.aof_enabled = !strstr(reply->str, "aof_enabled:0");
        }
        answered(look, result);
}

static int ask(struct tile38_look *look, const char *const *argv, size_t count, redis_answer answer)
{
        int r = redis_link_ask(look->link, argv, count, ASK_USEC, answer, look);

        if (r == 0)
                look->pending++;
        return r;
}

void tile38_look_begin(struct tile38_look *look, sd_event *event, redis_link *link, tile38_look_ready ready,
                       void *userdata)
{
        int r = 0;

        *look = (struct tile38_look){
                .aside = look->aside, .link = link, .ready = ready, .userdata = userdata};
        look->pending = 1; /* our own hand on it while asking */
        if (!look->aside)
                r = aside_new_once(&look->aside, event);
        if (r == 0)
                r = ask(look, (const char *const[]){"SERVER"}, 1, on_server);
        if (r == 0)
                r = ask(look, (const char *const[]){"INFO", "persistence"}, 2, on_persistence);
        answered(look, r);
}

void tile38_look_end(struct tile38_look *look)
{
        look->aside = aside_free(look->aside);
}
