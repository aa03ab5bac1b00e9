/* See redis_look.h. */
#include "agent/op/redis_look.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/op/reply.h"
#include "agent/probe/redis_text.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/base/time.h"

/* A fork of a big Redis can hold it up for seconds. */
#define DEADLINE_USEC (15 * USEC_PER_SEC)
/* A disk that a rewrite keeps busy is slow; one that says nothing for so long is more than that. */
#define FILES_USEC    (10 * USEC_PER_SEC)
#define MANIFEST_MOST (1u << 20)

/* --- the files, on a thread of their own ---------------------------------------------------------------- */

struct files_look {
        struct redis_places places;
        struct redis_seen seen;
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

static void read_manifest(struct redis_seen *seen, const char *text)
{
        struct redis_state files = {0};
        char path[PATH_MAX];
        struct stat info;

        if (redis_text_manifest(&files, text, size_of_file, seen->folder) < 0)
                return;
        snprintf(path, sizeof(path), "%s/%s", seen->folder, files.base_file);
        if (!files.base_file[0]) /* a manifest without a base: nothing was rewritten yet */
                info = (struct stat){0};
        else if (stat(path, &info) < 0)
                return;
        seen->files = true;
        printable_copy(seen->base_name, sizeof(seen->base_name), files.base_file);
        seen->base_inode = info.st_ino;
        seen->base_bytes = files.base_bytes;
        seen->incremental_bytes = files.incremental_bytes;
}

/* Before Redis 7 there is one file, which a rewrite replaces. */
static void read_single(struct redis_seen *seen, const char *path, const char *name)
{
        const struct redis_state *info = &seen->info;
        struct stat file;
        uint64_t size;

        if (stat(path, &file) < 0 || !S_ISREG(file.st_mode))
                return;
        size = (uint64_t)file.st_size;
        seen->files = true;
        printable_copy(seen->base_name, sizeof(seen->base_name), name);
        seen->base_inode = file.st_ino;
        seen->base_bytes = info->aof_base_size < size ? info->aof_base_size : size;
        seen->incremental_bytes = size - seen->base_bytes;
}

/* "" where it is not known. */
static void find_folder(struct redis_seen *seen, const struct redis_places *places)
{
        if (!places->directory[0] || !places->append_file[0] || strchr(places->append_file, '/') ||
            strchr(places->append_folder, '/'))
                return;
        if (snprintf(seen->folder, sizeof(seen->folder), "%s%s%s", places->directory,
                     places->append_folder[0] ? "/" : "", places->append_folder) >= (int)sizeof(seen->folder))
                seen->folder[0] = '\0';
}

/* Where CONFIG was refused: Redis stands in its folder, if its process is one of this host's and of that
 * program, and most call the files as ever. Else its folder tells of the room at least. */
static void guess_places(struct files_look *look)
{
        struct redis_places *places = &look->places;
        struct redis_seen *seen = &look->seen;
        cleanup_free char *program = NULL;
        const char *executable = strrchr(seen->executable, '/');
        char path[PATH_SIZE + NAME_MAX];
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%" PRIu64 "/comm", seen->process_id);
        if (!executable || seen->process_id <= 1 || file_read(path, NAME_MAX, &program, NULL, NULL) < 0)
                return;
        program[strcspn(program, "\n")] = '\0';
        snprintf(path, sizeof(path), "/proc/%" PRIu64 "/cwd", seen->process_id);
        n = program[0] && text_starts(executable + 1, program)
                    ? readlink(path, places->directory, sizeof(places->directory) - 1)
                    : 0;
        places->directory[n > 0 ? n : 0] = '\0';
        if (!places->directory[0])
                return;
        snprintf(path, sizeof(path), "%s/appendonlydir/appendonly.aof.manifest", places->directory);
        if (access(path, F_OK) < 0) {
                TEXT_COPY(seen->folder, places->directory);
                return;
        }
        TEXT_COPY(places->append_folder, "appendonlydir");
        TEXT_COPY(places->append_file, "appendonly.aof");
        find_folder(seen, places);
}

static void read_files(void *data)
{
        struct files_look *look = data;
        const struct redis_places *places = &look->places;
        struct redis_seen *seen = &look->seen;
        cleanup_free char *manifest = NULL;
        char path[PATH_MAX + NAME_MAX];

        if (!places->directory[0])
                guess_places(look);
        room_read(&seen->room, seen->folder);
        if (!seen->folder[0] || !places->append_file[0])
                return;
        if (!places->append_folder[0]) {
                snprintf(path, sizeof(path), "%s/%s", seen->folder, places->append_file);
                read_single(seen, path, places->append_file);
                return;
        }
        snprintf(path, sizeof(path), "%s/%s.manifest", seen->folder, places->append_file);
        if (file_read(path, MANIFEST_MOST, &manifest, NULL, NULL) == 0)
                read_manifest(seen, manifest);
}

/* What the files do not say, Redis does. */
static void fill_sizes(struct redis_seen *seen)
{
        const struct redis_state *info = &seen->info;

        if (seen->files)
                return;
        seen->base_bytes =
                info->aof_base_size < info->aof_current_size ? info->aof_base_size : info->aof_current_size;
        seen->incremental_bytes = info->aof_current_size - seen->base_bytes;
}

static void on_files(int result, void *data, void *userdata)
{
        struct redis_look *look = userdata;
        const struct files_look *files = data;

        if (files)
                look->seen = files->seen;
        /* -EBUSY: the look before still hangs */
        look->seen.hung = result == -ETIMEDOUT || result == -EBUSY;
        fill_sizes(&look->seen);
        look->ready(look, result < 0 && !look->seen.hung ? result : 0, look->userdata);
}

static void look_at_files(struct redis_look *look)
{
        struct files_look files = {.places = look->places};
        int r;

        find_folder(&look->seen, &look->places);
        files.seen = look->seen;
        r = aside_run(look->aside, &files, sizeof(files), read_files, FILES_USEC, on_files, look);
        if (r < 0)
                on_files(r, NULL, look);
}

/* --- asking --------------------------------------------------------------------------------------------- */

static void answered(struct redis_look *look, int failure)
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

/* What follows "KEY:" at the start of a line; NULL: there is none. */
static const char *find_value(const char *text, const char *key)
{
        size_t length = strlen(key);

        for (const char *at = strstr(text, key); at; at = strstr(at + 1, key))
                if ((at == text || at[-1] == '\n') && at[length] == ':')
                        return at + length + 1;
        return NULL;
}

static bool find_number(const char *text, const char *key, uint64_t *ret)
{
        const char *value = find_value(text, key);

        if (!value || value[0] < '0' || value[0] > '9')
                return false;
        *ret = strtoull(value, NULL, 10);
        return true;
}

static void find_process(struct redis_seen *seen, const char *text)
{
        const char *path = find_value(text, "executable");
        size_t length = path ? strcspn(path, "\r\n") : 0;

        (void)find_number(text, "process_id", &seen->process_id);
        if (length < sizeof(seen->executable))
                snprintf(seen->executable, sizeof(seen->executable), "%.*s", (int)length, path ? path : "");
}

static void on_info(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct redis_look *look = userdata;
        struct redis_seen *seen = &look->seen;
        uint64_t count;

        if (result == 0 && reply->type == REDIS_REPLY_STRING) {
                redis_text_info(&seen->info, reply->str);
                seen->counted = find_number(reply->str, "aof_rewrites", &count);
                (void)find_number(reply->str, "current_save_keys_processed", &seen->keys_done);
                (void)find_number(reply->str, "current_save_keys_total", &seen->keys_total);
                find_process(seen, reply->str);
                if (!seen->info.run_id[0])
                        result = -EPROTO;
        } else if (result == 0) {
                reply_text(look->refusal, sizeof(look->refusal), reply);
                result = reply->type == REDIS_REPLY_ERROR ? -EACCES : -EPROTO;
        }
        answered(look, result);
}

static void keep_place(struct redis_look *look, const char *key, const char *value)
{
        struct redis_places *places = &look->places;

        if (text_equal(key, "dir"))
                TEXT_COPY(places->directory, value[0] == '/' ? value : "");
        else if (text_equal(key, "appenddirname"))
                TEXT_COPY(places->append_folder, value);
        else if (text_equal(key, "appendfilename"))
                TEXT_COPY(places->append_file, value);
}

/* Refused (an ACL, a renamed command): then the files are looked for by its process. */
static void on_config(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct redis_look *look = userdata;

        if (result == 0 && reply->type == REDIS_REPLY_ARRAY)
                for (size_t i = 0; i + 1 < reply->elements; i += 2)
                        if (reply->element[i]->type == REDIS_REPLY_STRING &&
                            reply->element[i + 1]->type == REDIS_REPLY_STRING)
                                keep_place(look, reply->element[i]->str, reply->element[i + 1]->str);
        answered(look, result);
}

static int ask(struct redis_look *look, const char *const *argv, size_t count, redis_answer answer)
{
        int r = redis_link_ask(look->link, argv, count, DEADLINE_USEC, answer, look);

        if (r == 0)
                look->pending++;
        return r;
}

void redis_look_begin(struct redis_look *look, sd_event *event, redis_link *link, redis_look_ready ready,
                      void *userdata)
{
        static const char *const keys[] = {"dir", "appenddirname", "appendfilename"};
        int r = 0;

        *look = (struct redis_look){.aside = look->aside, .link = link, .ready = ready, .userdata = userdata};
        look->pending = 1; /* our own hand on it while asking */
        if (!look->aside)
                r = aside_new_once(&look->aside, event);
        if (r == 0)
                r = ask(look, (const char *const[]){"INFO"}, 1, on_info);
        for (size_t i = 0; i < ELEMENTS(keys) && r == 0; i++)
                r = ask(look, (const char *const[]){"CONFIG", "GET", keys[i]}, 3, on_config);
        answered(look, r);
}

void redis_look_end(struct redis_look *look)
{
        look->aside = aside_free(look->aside);
}
