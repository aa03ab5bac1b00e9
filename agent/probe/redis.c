/* The reader of Redis: INFO first (it answers while loading), PING for what INFO cannot promise, CONFIG for
 * where the files are, the manifest for what a load will have to read. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/probe/disk_name.h"
#include "agent/probe/probe.h"
#include "agent/probe/redis_text.h"
#include "agent/probe/service_link.h"
#include "agent/probe/unit_phase.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/loop/aside.h"
#include "common/loop/redis.h"

#define DEADLINE_USEC (2 * USEC_PER_SEC)
#define FILES_USEC    (2 * USEC_PER_SEC)
#define MANIFEST_MOST (1u << 20)

/* What CONFIG said last; it is not asked while the server is loading. */
struct places {
        char directory[PATH_SIZE];
        char append_folder[NAME_SIZE * 2];
        char append_file[NAME_SIZE * 2];
        bool append_only, save_points;
};

/* What is looked at beside the loop: a folder that does not answer must not hold up the agent. */
struct files_look {
        struct places places;
        struct redis_state state;
};

struct redis_probe {
        redis_link *link;
        aside *aside;
        struct service_state reading;
        struct places places;
        unsigned pending;
        int failure;
};

static uint64_t size_of_file(const char *name, void *userdata)
{
        char path[PATH_MAX];
        struct stat info;

        if (snprintf(path, sizeof(path), "%s/%s", (const char *)userdata, name) >= (int)sizeof(path) ||
            stat(path, &info) < 0)
                return 0;
        return (uint64_t)info.st_size;
}

/* The sizes by the files of a multi-part AOF (7.0 on), where this agent can see them. */
static bool read_manifest(const struct places *places, struct redis_state *state)
{
        char folder[PATH_MAX], path[PATH_MAX + NAME_MAX];
        cleanup_free char *manifest = NULL;
        struct redis_state files = {0};

        if (!places->append_file[0] || !places->append_folder[0] || strchr(places->append_file, '/') ||
            strchr(places->append_folder, '/'))
                return false;
        snprintf(folder, sizeof(folder), "%s/%s", places->directory, places->append_folder);
        snprintf(path, sizeof(path), "%s/%s.manifest", folder, places->append_file);
        if (file_read(path, MANIFEST_MOST, &manifest, NULL, NULL) < 0 ||
            redis_text_manifest(&files, manifest, size_of_file, folder) < 0)
                return false;
        state->base_bytes = files.base_bytes;
        state->incremental_bytes = files.incremental_bytes;
        text_copy_clean(state->base_file, sizeof(state->base_file), files.base_file);
        return true;
}

/* Where its files are, how much room is there, how much a load has to read. On a thread of its own. */
static void read_files(void *data)
{
        struct files_look *look = data;
        const struct places *places = &look->places;
        struct redis_state *state = &look->state;
        struct statvfs space;
        struct stat info;

        if (places->directory[0] == '/' && statvfs(places->directory, &space) == 0) {
                text_copy_clean(state->directory, sizeof(state->directory), places->directory);
                state->directory_available = space.f_bavail * space.f_frsize;
        }
        if (state->directory[0] && stat(places->directory, &info) == 0)
                disk_name(state->disk, &info);
        if (state->aof_enabled && state->directory[0])
                (void)read_manifest(places, state);
}

/* The sizes that the files did not tell, by INFO. */
static void fill_sizes(struct redis_state *state)
{
        if (!state->aof_enabled || state->base_bytes || state->incremental_bytes)
                return;
        state->base_bytes = state->aof_base_size < state->aof_current_size ? state->aof_base_size
                                                                           : state->aof_current_size;
        state->incremental_bytes = state->aof_current_size - state->base_bytes;
}

/* --- what it all means ---------------------------------------------------------------------------------- */

static void detail_sizes(struct service_state *state)
{
        const struct redis_state *redis = &state->redis;
        const char *hung = redis->directory_hung ? "; its folder does not answer" : "";
        char memory[32], base[32], incremental[32];

        text_bytes(memory, sizeof(memory), redis->used_memory);
        text_bytes(base, sizeof(base), redis->base_bytes);
        text_bytes(incremental, sizeof(incremental), redis->incremental_bytes);
        if (!redis->aof_enabled)
                snprintf(state->detail, sizeof(state->detail), "%s, %" PRIu64 " keys, %s, AOF off%s",
                         redis->role, redis->keys, memory, hung);
        else
                snprintf(state->detail, sizeof(state->detail), "%s, %" PRIu64 " keys, %s, AOF %s + %s%s%s",
                         redis->role, redis->keys, memory, base, incremental,
                         redis->aof_rewrite_in_progress ? ", rewriting" : "", hung);
}

static void judge_loading(struct service_state *state)
{
        const struct redis_state *redis = &state->redis;
        char done[32], total[32];

        state->phase = PHASE_LOADING;
        if (!redis->loading) { /* it began between two answers: how far it is comes with the next reading */
                snprintf(state->detail, sizeof(state->detail), "loading");
                return;
        }
        state->progress_done = redis->loading_loaded_bytes;
        state->progress_total = redis->loading_total_bytes;
        text_bytes(done, sizeof(done), redis->loading_loaded_bytes);
        text_bytes(total, sizeof(total), redis->loading_total_bytes);
        snprintf(state->detail, sizeof(state->detail), "loading %s of %s (%.1f %%)", done, total,
                 redis->loading_total_bytes
                         ? 100.0 * (double)redis->loading_loaded_bytes / (double)redis->loading_total_bytes
                         : 0.0);
}

/* While its master saves and sends, nothing of it can be used, and its bytes are all that tells how far it
 * is. Without a disk on the way its master does not know how many they will be. */
static void judge_syncing(struct service_state *state)
{
        const struct redis_state *redis = &state->redis;
        char done[32], total[32];

        state->phase = PHASE_LOADING;
        state->progress_done = redis->sync_read_bytes;
        state->progress_total = redis->sync_total_bytes;
        text_bytes(done, sizeof(done), redis->sync_read_bytes);
        text_bytes(total, sizeof(total), redis->sync_total_bytes);
        if (redis->sync_total_bytes)
                snprintf(state->detail, sizeof(state->detail), "full sync from its master, %s of %s", done,
                         total);
        else if (redis->sync_read_bytes)
                snprintf(state->detail, sizeof(state->detail), "full sync from its master, %s so far", done);
        else
                snprintf(state->detail, sizeof(state->detail), "full sync, its master is preparing it");
}

static void judge_answering(const struct probe *probe, struct service_state *state)
{
        const struct redis_state *redis = &state->redis;
        bool replica = text_equal(redis->role, "slave");

        if (redis->loading || text_starts(redis->error, "LOADING")) {
                judge_loading(state);
                return;
        }
        if (replica && redis->sync_in_progress && probe->spec.role != REDIS_MASTER) {
                judge_syncing(state);
                return;
        }
        detail_sizes(state);
        state->phase = PHASE_DEGRADED;
        if (!redis->pong)
                snprintf(state->detail, sizeof(state->detail), "no PONG: %s",
                         redis->error[0] ? redis->error : "no answer");
        else if (probe->spec.role != REDIS_ANY_ROLE && replica != (probe->spec.role == REDIS_REPLICA))
                snprintf(state->detail, sizeof(state->detail), "is a %s, declared %s",
                         replica ? "replica" : "master", redis_role_name(probe->spec.role));
        else if (replica && !redis->master_link_up)
                snprintf(state->detail, sizeof(state->detail), "replica, link to its master is down");
        else
                state->phase = PHASE_READY;
}

/* It does not answer: systemd knows whether that is meant to be so. */
static void judge_silent(const struct probe *probe, struct service_state *state, int failure)
{
        char unit[TEXT_SIZE] = "";

        state->phase = PHASE_FAILED;
        if (probe->spec.unit[0] && probe->unit.load_state[0])
                state->phase = unit_phase(&probe->unit, unit, sizeof(unit));
        if (state->phase == PHASE_READY)
                state->phase =
                        failure == -ECONNREFUSED || failure == -ENOENT ? PHASE_STARTING : PHASE_DEGRADED;
        snprintf(state->redis.error, sizeof(state->redis.error), "%s", strerror(-failure));
        snprintf(state->detail, sizeof(state->detail), "does not answer: %s%s%.180s", strerror(-failure),
                 unit[0] ? "; unit " : "", unit);
}

/* It answers, and lets us know nothing. */
static void judge_refusing(struct probe *probe, struct service_state *state)
{
        struct redis_probe *redis = probe->state;
        char said[sizeof(state->redis.error)];

        (void)TEXT_COPY(said, redis->reading.redis.error);
        state->phase = PHASE_DEGRADED;
        state->redis.answering = true;
        (void)TEXT_COPY(state->redis.error, said);
        service_link_advice(state->detail, sizeof(state->detail), redis->link, said, &probe->spec,
                            probe->agent_folder);
        redis->link = redis_link_free(redis->link); /* the next one reads the passwords again */
}

static void on_files(int result, void *data, void *userdata)
{
        struct probe *probe = userdata;
        struct redis_probe *redis = probe->state;
        struct service_state state = redis->reading;
        const struct files_look *look = data;

        if (look)
                state.redis = look->state;
        state.redis.directory_hung = result == -ETIMEDOUT || result == -EBUSY;
        if (state.redis.directory_hung)
                text_copy_clean(state.redis.directory, sizeof(state.redis.directory),
                                redis->places.directory);
        fill_sizes(&state.redis);
        judge_answering(probe, &state);
        redis->reading = (struct service_state){0};
        probe_done(probe, &state);
}

static void look_at_files(struct probe *probe)
{
        struct redis_probe *redis = probe->state;
        struct redis_state *state = &redis->reading.redis;
        struct files_look look = {.places = redis->places};
        int r = 0;

        state->answering = true;
        state->save_points = redis->places.save_points;
        /* INFO denies the AOF while it is being loaded, just when its sizes are wanted. */
        if (state->loading && redis->places.append_only)
                state->aof_enabled = true;
        look.state = *state;
        if (!redis->aside)
                r = aside_new(&redis->aside, probe->event);
        if (r == 0)
                r = aside_run(redis->aside, &look, sizeof(look), read_files, FILES_USEC, on_files, probe);
        if (r < 0)
                on_files(r, NULL, probe);
}

static void finish(struct probe *probe)
{
        struct redis_probe *redis = probe->state;
        struct service_state state = redis->reading;

        if (redis->failure == -EACCES) {
                state.redis = (struct redis_state){0};
                judge_refusing(probe, &state);
        } else if (redis->failure < 0) {
                state.redis = (struct redis_state){0};
                judge_silent(probe, &state, redis->failure);
        } else {
                look_at_files(probe);
                return;
        }
        redis->reading = (struct service_state){0};
        probe_done(probe, &state);
}

/* --- asking --------------------------------------------------------------------------------------------- */

static void answered(struct probe *probe, int failure)
{
        struct redis_probe *redis = probe->state;

        if (failure < 0 && redis->failure == 0)
                redis->failure = failure;
        if (--redis->pending == 0)
                finish(probe);
}

static void on_info(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct probe *probe = userdata;
        struct redis_probe *redis = probe->state;

        if (result == 0 && reply->type == REDIS_REPLY_STRING)
                redis_text_info(&redis->reading.redis, reply->str);
        else if (result == 0 && reply->type != REDIS_REPLY_ERROR)
                result = -EPROTO;
        else if (result == 0) {
                result = -EACCES;
                text_copy_clean(redis->reading.redis.error, sizeof(redis->reading.redis.error), reply->str);
        }
        answered(probe, result);
}

static void on_ping(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct probe *probe = userdata;
        struct redis_probe *redis = probe->state;
        struct redis_state *state = &redis->reading.redis;

        if (result == 0 && reply->type == REDIS_REPLY_STATUS)
                state->pong = text_equal(reply->str, "PONG");
        else if (result == 0 && reply->type == REDIS_REPLY_ERROR && !state->error[0])
                text_copy_clean(state->error, sizeof(state->error), reply->str);
        answered(probe, result);
}

static void keep_place(struct places *places, const char *key, const char *value)
{
        if (text_equal(key, "dir"))
                text_copy_cut(places->directory, sizeof(places->directory), value);
        else if (text_equal(key, "appenddirname"))
                text_copy_cut(places->append_folder, sizeof(places->append_folder), value);
        else if (text_equal(key, "appendfilename"))
                text_copy_cut(places->append_file, sizeof(places->append_file), value);
        else if (text_equal(key, "appendonly"))
                places->append_only = text_equal(value, "yes");
        else if (text_equal(key, "save"))
                places->save_points = value[0] != '\0';
}

/* An array of names and values. Refused, it leaves what is known: it is loading, or muster may not ask. */
static void on_config(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct probe *probe = userdata;
        struct redis_probe *redis = probe->state;

        if (result == 0 && reply->type == REDIS_REPLY_ARRAY)
                for (size_t i = 0; i + 1 < reply->elements; i += 2)
                        if (reply->element[i]->type == REDIS_REPLY_STRING &&
                            reply->element[i + 1]->type == REDIS_REPLY_STRING)
                                keep_place(&redis->places, reply->element[i]->str,
                                           reply->element[i + 1]->str);
        if (result == 0 && reply->type == REDIS_REPLY_ERROR && !text_starts(reply->str, "LOADING"))
                text_copy_clean(redis->reading.redis.config_refused,
                                sizeof(redis->reading.redis.config_refused), reply->str);
        answered(probe, result);
}

static int ask(struct probe *probe, const char *const *argv, size_t count, redis_answer answer)
{
        struct redis_probe *redis = probe->state;
        int r = redis_link_ask(redis->link, argv, count, DEADLINE_USEC, answer, probe);

        if (r == 0)
                redis->pending++;
        return r;
}

static int ask_all(struct probe *probe)
{
        static const char *const keys[] = {"dir", "appenddirname", "appendfilename", "appendonly", "save"};
        int r = ask(probe, (const char *const[]){"INFO"}, 1, on_info);

        if (r == 0)
                r = ask(probe, (const char *const[]){"PING"}, 1, on_ping);
        for (size_t i = 0; i < ELEMENTS(keys) && r == 0; i++)
                r = ask(probe, (const char *const[]){"CONFIG", "GET", keys[i]}, 3, on_config);
        return r;
}

static int begin(struct probe *probe)
{
        struct redis_probe *redis = probe->state;
        struct service_state state = {.phase = PHASE_UNKNOWN};
        struct error error = {0};
        int r = 0;

        if (!redis->link)
                r = service_link_new(&redis->link, probe->event, &probe->spec, probe->agent_folder, &error);
        if (r < 0) {
                text_copy_cut(state.detail, sizeof(state.detail), error_text(&error, r));
                probe_done(probe, &state);
                return 0;
        }
        redis->failure = 0;
        redis->reading = (struct service_state){0};
        redis->pending = 1; /* our own hand on it while asking */
        answered(probe, ask_all(probe));
        return 0;
}

static int read_redis(struct probe *probe)
{
        if (!probe->state)
                probe->state = calloc(1, sizeof(struct redis_probe));
        return probe->state ? begin(probe) : -ENOMEM;
}

static void cancel_redis(struct probe *probe)
{
        struct redis_probe *redis = probe->state;

        if (!redis)
                return;
        redis_link_free(redis->link);
        aside_free(redis->aside);
        free(redis);
        probe->state = NULL;
}

const struct probe_reader probe_redis = {SERVICE_REDIS, read_redis, cancel_redis};
