/* The reader of tile38: ready means HEALTHZ says so. New versions listen first and refuse while they load;
 * old ones, some without HEALTHZ, refuse connections until they have loaded: that SERVER answers is then
 * enough. How far they are, only their open file tells. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/probe.h"
#include "agent/probe/service_link.h"
#include "agent/probe/tile38_files.h"
#include "agent/probe/unit_phase.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/loop/aside.h"
#include "common/loop/redis.h"

#define DEADLINE_USEC (2 * USEC_PER_SEC)
#define FILES_USEC    (2 * USEC_PER_SEC)

/* What is looked at beside the loop: files that do not answer must not hold up the agent. */
struct files_look {
        struct tile38_state state;
        pid_t pid;
        bool has_file;
};

struct tile38_probe {
        redis_link *link;
        aside *aside;
        struct service_state reading;
        uint64_t pid;         /* by SERVER; 0 not said */
        bool loading;         /* it said so */
        bool refused;         /* it wants a login */
        bool ready_by_server; /* it knows no HEALTHZ */
        unsigned pending;
        int failure;
};

static void detail_ready(struct service_state *state)
{
        const struct tile38_state *tile38 = &state->tile38;
        char size[32];

        text_bytes(size, sizeof(size), tile38->aof_size);
        snprintf(state->detail, sizeof(state->detail), "%" PRIu64 " objects, AOF %s%s%s%s", tile38->objects,
                 size, tile38->aof_rewrite_in_progress ? ", shrinking" : "",
                 tile38_keeps_backup(tile38) ? ", the old file of an interrupted shrink"
                 : tile38->leftover[0]       ? ", leftover of a failed shrink"
                                             : "",
                 tile38->directory_hung ? "; its files do not answer" : "");
}

static void judge_loading(struct service_state *state)
{
        const struct tile38_state *tile38 = &state->tile38;
        char done[32], total[32];

        state->phase = PHASE_LOADING;
        state->progress_done = tile38->loaded_bytes;
        state->progress_total = tile38->aof_size;
        text_bytes(done, sizeof(done), tile38->loaded_bytes);
        text_bytes(total, sizeof(total), tile38->aof_size);
        if (tile38->aof_size)
                snprintf(state->detail, sizeof(state->detail), "loading %s of %s", done, total);
        else
                snprintf(state->detail, sizeof(state->detail), "loading; how far, its files do not tell");
}

/* It refuses connections: an old version that loads has its file open and is active. */
static void judge_silent(struct probe *probe, struct service_state *state, int failure, bool has_file)
{
        char unit[TEXT_SIZE] = "";

        state->phase = PHASE_FAILED;
        if (probe->spec.unit[0] && probe->unit.load_state[0])
                state->phase = unit_phase(&probe->unit, unit, sizeof(unit));
        if (state->phase == PHASE_READY && failure == -ECONNREFUSED && has_file) {
                judge_loading(state);
                return;
        }
        if (state->phase == PHASE_READY)
                state->phase = failure == -ECONNREFUSED ? PHASE_STARTING : PHASE_DEGRADED;
        text_copy_cut(state->tile38.error, sizeof(state->tile38.error), strerror(-failure));
        snprintf(state->detail, sizeof(state->detail), "does not answer: %s%s%s", strerror(-failure),
                 unit[0] ? "; unit " : "", unit);
}

/* A path as it can be shown and sent. */
static void clean(char path[PATH_SIZE])
{
        char copy[PATH_SIZE];

        memcpy(copy, path, sizeof(copy));
        text_copy_clean(path, PATH_SIZE, copy);
}

static void judge(struct probe *probe, struct service_state *state, bool has_file)
{
        struct tile38_probe *tile38 = probe->state;

        clean(state->tile38.directory);
        clean(state->tile38.leftover);
        if (tile38->failure < 0) {
                judge_silent(probe, state, tile38->failure, has_file);
                return;
        }
        state->tile38.answering = true;
        if (tile38->loading) {
                judge_loading(state);
        } else if (!state->tile38.ready) {
                state->phase = PHASE_DEGRADED;
                snprintf(state->detail, sizeof(state->detail), "not healthy: %s",
                         state->tile38.error[0] ? state->tile38.error : "HEALTHZ is not OK");
        } else if (state->tile38.follower && !state->tile38.caught_up) {
                state->phase = PHASE_DEGRADED;
                snprintf(state->detail, sizeof(state->detail), "follower, not caught up");
        } else {
                state->phase = PHASE_READY;
                detail_ready(state);
        }
}

/* On a thread of its own. */
static void read_files(void *data)
{
        struct files_look *look = data;
        char file[PATH_SIZE];

        look->has_file = tile38_files_read(&look->state, look->pid, file) == 0;
}

static void on_files(int result, void *data, void *userdata)
{
        struct probe *probe = userdata;
        struct tile38_probe *tile38 = probe->state;
        struct service_state state = tile38->reading;
        const struct files_look *look = data;

        if (look)
                state.tile38 = look->state;
        state.tile38.directory_hung = result == -ETIMEDOUT || result == -EBUSY;
        tile38->reading = (struct service_state){0};
        judge(probe, &state, look && look->has_file);
        if (tile38->refused)
                tile38->link = redis_link_free(tile38->link);
        probe_done(probe, &state);
}

static void answered(struct probe *probe, int failure)
{
        struct tile38_probe *tile38 = probe->state;
        struct files_look look = {0};
        int r = 0;

        if (failure < 0 && tile38->failure == 0)
                tile38->failure = failure;
        if (--tile38->pending > 0)
                return;
        look.state = tile38->reading.tile38;
        look.pid = (pid_t)(tile38->pid ? tile38->pid : probe->unit.main_pid);
        if (look.pid <= 1)
                r = -ESRCH;
        else if (!tile38->aside)
                r = aside_new(&tile38->aside, probe->event);
        if (r == 0)
                r = aside_run(tile38->aside, &look, sizeof(look), read_files, FILES_USEC, on_files, probe);
        if (r < 0)
                on_files(r, NULL, probe);
}

/* An error reply: loading, or what is wrong. The first that is heard counts; one for want of a login makes
 * the next reading look at the passwords again. */
static void note_error(struct probe *probe, const redisReply *reply)
{
        struct tile38_probe *tile38 = probe->state;
        struct tile38_state *state = &tile38->reading.tile38;

        if (reply->type != REDIS_REPLY_ERROR)
                return;
        if (text_starts(reply->str, "LOADING") || strstr(reply->str, "loading"))
                tile38->loading = true;
        if (strstr(reply->str, "authentication required"))
                tile38->refused = true;
        if (!state->error[0] || tile38->refused)
                service_link_advice(state->error, sizeof(state->error), tile38->link, reply->str,
                                    &probe->spec, probe->agent_folder);
}

/* Servers from before HEALTHZ do not listen until they have loaded: SERVER's answer then says it all. */
static bool health_unknown(const redisReply *reply)
{
        return reply->type == REDIS_REPLY_ERROR && text_starts(reply->str, "ERR unknown command");
}

static void on_health(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct probe *probe = userdata;
        struct tile38_probe *tile38 = probe->state;

        if (result == 0 && health_unknown(reply)) {
                tile38->ready_by_server = true;
        } else if (result == 0) {
                note_error(probe, reply);
                tile38->reading.tile38.ready =
                        (reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_STRING) &&
                        text_equal(reply->str, "OK");
        }
        answered(probe, result);
}

static void keep_pair(struct tile38_probe *tile38, const char *key, const char *value)
{
        struct tile38_state *state = &tile38->reading.tile38;

        if (text_equal(key, "aof_size"))
                (void)text_to_u64(value, &state->aof_size);
        else if (text_equal(key, "num_objects"))
                (void)text_to_u64(value, &state->objects);
        else if (text_equal(key, "in_memory_size"))
                (void)text_to_u64(value, &state->memory_bytes);
        else if (text_equal(key, "pid"))
                (void)text_to_u64(value, &tile38->pid);
        else if (text_equal(key, "version"))
                text_copy_clean(state->version, sizeof(state->version), value);
        else if (text_equal(key, "id"))
                text_copy_clean(state->id, sizeof(state->id), value);
        else if (text_equal(key, "following"))
                state->follower = value[0] != '\0';
        else if (text_equal(key, "caught_up"))
                state->caught_up = text_equal(value, "true") || text_equal(value, "1");
}

static void on_server(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct probe *probe = userdata;
        struct tile38_probe *tile38 = probe->state;

        if (result == 0)
                note_error(probe, reply);
        if (result == 0 && reply->type == REDIS_REPLY_ARRAY)
                for (size_t i = 0; i + 1 < reply->elements; i += 2)
                        if (reply->element[i]->str && reply->element[i + 1]->str)
                                keep_pair(tile38, reply->element[i]->str, reply->element[i + 1]->str);
        if (result == 0 && tile38->ready_by_server)
                tile38->reading.tile38.ready =
                        reply->type == REDIS_REPLY_ARRAY && tile38->reading.tile38.id[0];
        answered(probe, result);
}

static void on_persistence(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct probe *probe = userdata;
        struct tile38_probe *tile38 = probe->state;

        if (result == 0 && reply->type == REDIS_REPLY_STRING)
                tile38->reading.tile38.aof_rewrite_in_progress =
                        strstr(reply->str, "aof_rewrite_in_progress:1") != NULL;
        answered(probe, result);
}

static int ask_all(struct probe *probe)
{
        static const struct {
                const char *argv[2];
                size_t count;
                redis_answer answer;
        } questions[] = {
                {{"HEALTHZ"}, 1, on_health},
                {{"SERVER"}, 1, on_server},
                {{"INFO", "persistence"}, 2, on_persistence},
        };
        struct tile38_probe *tile38 = probe->state;

        for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
                int r = redis_link_ask(tile38->link, questions[i].argv, questions[i].count, DEADLINE_USEC,
                                       questions[i].answer, probe);

                if (r < 0)
                        return r;
                tile38->pending++;
        }
        return 0;
}

static int begin(struct probe *probe)
{
        struct tile38_probe *tile38 = probe->state;
        struct service_state state = {.phase = PHASE_UNKNOWN};
        struct error error = {0};
        int r = 0;

        if (!tile38->link)
                r = service_link_new(&tile38->link, probe->event, &probe->spec, probe->agent_folder, &error);
        if (r < 0) {
                text_copy_cut(state.detail, sizeof(state.detail), error_text(&error, r));
                probe_done(probe, &state);
                return 0;
        }
        tile38->failure = 0;
        tile38->pid = 0;
        tile38->loading = tile38->refused = tile38->ready_by_server = false;
        tile38->reading = (struct service_state){0};
        tile38->pending = 1; /* our own hand on it while asking */
        answered(probe, ask_all(probe));
        return 0;
}

static int read_tile38(struct probe *probe)
{
        if (!probe->state)
                probe->state = calloc(1, sizeof(struct tile38_probe));
        return probe->state ? begin(probe) : -ENOMEM;
}

static void cancel_tile38(struct probe *probe)
{
        struct tile38_probe *tile38 = probe->state;

        if (!tile38)
                return;
        redis_link_free(tile38->link);
        aside_free(tile38->aside);
        free(tile38);
        probe->state = NULL;
}

const struct probe_reader probe_tile38 = {SERVICE_TILE38, read_tile38, cancel_tile38};
