/* See snapshot.h. */
#include "agent/pm2/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/pm2/dump.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define FORMAT      1
#define SUFFIX      ".json"
#define DUMP_SUFFIX ".dump"
#define LEFTOVER_S  3600

void pm2_snapshot_clear(struct pm2_snapshot *snapshot)
{
        pm2_daemon_facts_clear(&snapshot->daemon);
        pm2_list_clear(&snapshot->list);
        *snapshot = (struct pm2_snapshot){0};
}

static int home_folder(char ret[PATH_SIZE], const char *folder, const struct pm2_home *home)
{
        char id[PM2_HOME_ID_SIZE];

        pm2_home_id(home, id);
        return snprintf(ret, PATH_SIZE, "%s/%s", folder, id) >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

int pm2_snapshot_dump(char ret[PATH_SIZE], const char *folder, const struct pm2_home *home, const char *name)
{
        char inner[PATH_SIZE];

        return home_folder(inner, folder, home) < 0 ||
                               snprintf(ret, PATH_SIZE, "%s/%s" DUMP_SUFFIX, inner, name) >= PATH_SIZE
                       ? -ENAMETOOLONG
                       : 0;
}

static int file_path(char ret[PATH_SIZE], const char *folder, const struct pm2_home *home, const char *name,
                     struct error *error)
{
        char inner[PATH_SIZE];

        if (!text_is_name(name))
                return error_set(error, -EINVAL, "\"%s\" is no name for a snapshot", name);
        if (home_folder(inner, folder, home) < 0 ||
            snprintf(ret, PATH_SIZE, "%s/%s" SUFFIX, inner, name) >= PATH_SIZE)
                return error_set(error, -ENAMETOOLONG, "the folder of the snapshots has too long a path");
        return 0;
}

/* --- writing ------------------------------------------------------------------------------------------ */

static json_t *build_apps(const struct pm2_list *list)
{
        json_t *apps = json_array();

        for (size_t i = 0; apps && i < list->count; i++) {
                const struct pm2_app *app = &list->apps[i];
                json_t *entry = json_pack("{s:i, s:O}", "pid", (int)app->pid, "pm2_env", app->env);

                if (!entry || json_array_append_new(apps, entry) < 0) {
                        json_decref(apps);
                        return NULL;
                }
        }
        return apps;
}

static int build(json_t **ret, const struct pm2_home *home, const char *name, const struct pm2_list *list,
                 const struct pm2_daemon_facts *facts, uint64_t saved_us)
{
        cleanup_json json_t *root = NULL, *daemon = NULL;
        char digest[JSON_HASH_SIZE];
        int r;

        daemon = json_pack("{s:s, s:s, s:s, s:s, s:O?}", "version", facts->version, "exec", facts->exec,
                           "script", facts->script, "cwd", facts->cwd, "env", facts->env);
        if (!daemon)
                return -ENOMEM;
        root = json_pack("{s:i, s:s, s:s, s:s, s:I, s:O, s:o}", "format", FORMAT, "name", name, "home",
                         home->path, "user", home->user, "saved_us", (json_int_t)saved_us, "daemon", daemon,
                         "apps", build_apps(list));
        if (!root)
                return -ENOMEM;
        r = json_hash(root, NULL, NULL, digest);
        if (r < 0)
                return r;
        if (json_object_set_new(root, "digest", json_string(digest)) < 0)
                return -ENOMEM;
        *ret = TAKE(root);
        return 0;
}

/* Whether a file is of that kind by its name; ret is the snapshot's name, without the suffix. */
static bool is_named(const char *file, const char *suffix, char ret[NAME_SIZE])
{
        size_t length = strlen(file), tail = strlen(suffix);

        if (length <= tail || length - tail >= NAME_SIZE || !text_ends(file, suffix))
                return false;
        memcpy(ret, file, length - tail);
        ret[length - tail] = '\0';
        return text_is_name(ret);
}

static int newest_first(const void *a, const void *b)
{
        const struct pm2_snapshot_file *left = a, *right = b;

        if (left->written_ns != right->written_ns)
                return left->written_ns < right->written_ns ? 1 : -1;
        return strcmp(right->name, left->name);
}

/* All snapshots of the folder, newest first. The caller frees *ret. */
static int find_all(const char *path, struct pm2_snapshot_file **ret, size_t *ret_count)
{
        cleanup_dir DIR *folder = opendir(path);
        cleanup_free struct pm2_snapshot_file *all = NULL;
        size_t count = 0, room = 0;
        struct dirent *entry;

        if (!folder)
                return -errno;
        while ((entry = readdir(folder))) {
                struct pm2_snapshot_file one;
                struct stat status;

                if (!is_named(entry->d_name, SUFFIX, one.name) ||
                    fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                one.written_ns =
                        (uint64_t)status.st_mtim.tv_sec * 1000000000u + (uint64_t)status.st_mtim.tv_nsec;
                one.size = (uint64_t)status.st_size;
                if (count == room) {
                        struct pm2_snapshot_file *larger =
                                reallocarray(all, room ? room * 2 : 16, sizeof(*all));

                        if (!larger)
                                return -ENOMEM;
                        all = larger;
                        room = room ? room * 2 : 16;
                }
                all[count++] = one;
        }
        if (count)
                qsort(all, count, sizeof(*all), newest_first);
        *ret = TAKE(all);
        *ret_count = count;
        return 0;
}

/* NAME.json.XXXXXX, NAME.dump.XXXXXX: one that was being written when the agent or its host ended. It holds
 * secrets too. */
static bool is_leftover(const char *file)
{
        char whole[NAME_SIZE + sizeof(SUFFIX)], name[NAME_SIZE];
        const char *dot = strrchr(file, '.');

        if (!dot || strlen(dot) != strlen(".XXXXXX") || (size_t)(dot - file) >= sizeof(whole))
                return false;
        memcpy(whole, file, (size_t)(dot - file));
        whole[dot - file] = '\0';
        return is_named(whole, SUFFIX, name) || is_named(whole, DUMP_SUFFIX, name);
}

/* Not those that may still be written, beside the loop. */
static void prune_leftovers(const char *path)
{
        cleanup_dir DIR *folder = opendir(path);
        time_t now = time(NULL);
        struct dirent *entry;

        while (folder && (entry = readdir(folder))) {
                struct stat status;

                if (is_leftover(entry->d_name) &&
                    fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                    now - status.st_mtim.tv_sec > LEFTOVER_S)
                        unlinkat(dirfd(folder), entry->d_name, 0);
        }
}

/* What cannot be deleted now is found again next time. */
static void prune(const char *path, const char *name, size_t keep)
{
        cleanup_free struct pm2_snapshot_file *all = NULL;
        size_t count = 0, kept = 1;

        prune_leftovers(path);
        if (keep == 0 || find_all(path, &all, &count) < 0)
                return;
        for (size_t i = 0; i < count; i++) {
                char file[PATH_SIZE * 2];

                if (text_equal(all[i].name, name) || kept++ < keep)
                        continue;
                snprintf(file, sizeof(file), "%s/%s" DUMP_SUFFIX, path, all[i].name);
                unlink(file);
                snprintf(file, sizeof(file), "%s/%s" SUFFIX, path, all[i].name);
                unlink(file);
        }
        file_sync_folder(path);
}

int pm2_snapshot_write(const char *folder, const struct pm2_home *home, const char *name,
                       const struct pm2_list *list, const struct pm2_daemon_facts *facts, uint64_t saved_us,
                       size_t keep, struct error *error)
{
        char path[PATH_SIZE], inner[PATH_SIZE], dump[PATH_SIZE];
        cleanup_json json_t *root = NULL;
        cleanup_free char *text = NULL;
        int r;

        r = file_path(path, folder, home, name, error);
        if (r == 0)
                r = home_folder(inner, folder, home);
        if (r == 0)
                r = pm2_snapshot_dump(dump, folder, home, name);
        if (r == 0)
                r = file_make_folders(inner, 0700, error);
        if (r < 0)
                return r;
        if (access(path, F_OK) == 0)
                return error_set(error, -EEXIST, "there is a snapshot %s already", name);
        r = build(&root, home, name, list, facts, saved_us);
        if (r < 0)
                return r;
        text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
        if (!text)
                return -ENOMEM;
        (void)pm2_dump_keep(home, dump, NULL); /* that it cannot be read is said by the checks */
        r = file_write_atomic(path, text, strlen(text), 0600, error);
        if (r < 0) {
                unlink(dump); /* nothing else would: it goes with its snapshot */
                return r;
        }
        prune(inner, name, keep);
        return 0;
}

/* --- reading ------------------------------------------------------------------------------------------ */

static int check_digest(json_t *root, struct error *error, const char *path)
{
        char digest[JSON_HASH_SIZE], written[JSON_HASH_SIZE];
        int r;

        if (text_copy(written, sizeof(written), json_text(root, "digest")) < 0 || !written[0])
                return error_set(error, -EBADMSG, "%s has no digest: not a snapshot", path);
        json_object_del(root, "digest");
        r = json_hash(root, NULL, NULL, digest);
        if (r < 0)
                return r;
        if (!text_equal(digest, written))
                return error_set(error, -EBADMSG, "%s was changed since it was written: its digest differs",
                                 path);
        return 0;
}

/* The daemon's report is kept in parts; the decoder of reports does the checks of an outside value. */
static int read_daemon(struct pm2_daemon_facts *ret, json_t *daemon, struct error *error)
{
        cleanup_json json_t *report = NULL;
        json_t *env = json_object_get(daemon, "env");
        int r;

        report = json_pack("{s:[s,s], s:O?, s:s}", "argv", json_text(daemon, "exec"),
                           json_text(daemon, "script"), "env", env, "pm2_version",
                           json_text(daemon, "version"));
        if (!report)
                return -ENOMEM;
        r = pm2_daemon_facts_decode(ret, report, error);
        if (r == 0)
                text_copy_cut(ret->cwd, sizeof(ret->cwd), json_text(daemon, "cwd"));
        return r;
}

static int decode(struct pm2_snapshot *ret, json_t *root, const struct pm2_home *home, const char *path,
                  struct error *error)
{
        static const char *const known[] = {"format", "name", "home", "user", "saved_us", "daemon", "apps"};
        cleanup_pm2_snapshot struct pm2_snapshot snapshot = {0};
        int r;

        r = check_digest(root, error, path);
        if (r < 0)
                return r;
        if (json_number(root, "format", 0) != FORMAT)
                return error_set(error, -EBADMSG, "%s: a format that this agent does not know", path);
        if (json_object_size(root) != ELEMENTS(known))
                return error_set(error, -EBADMSG, "%s: too few or too many members", path);
        for (size_t i = 0; i < ELEMENTS(known); i++)
                if (!json_object_get(root, known[i]))
                        return error_set(error, -EBADMSG, "%s: no \"%s\"", path, known[i]);
        if (!text_equal(json_text(root, "home"), home->path))
                return error_set(error, -EBADMSG, "%s is of PM2 home %s, not of %s", path,
                                 json_text(root, "home"), home->path);
        if (TEXT_COPY(snapshot.name, json_text(root, "name")) < 0 ||
            TEXT_COPY(snapshot.home, json_text(root, "home")) < 0 ||
            TEXT_COPY(snapshot.user, json_text(root, "user")) < 0)
                return error_set(error, -EBADMSG, "%s: a text is too long", path);
        snapshot.saved_us = (uint64_t)json_number(root, "saved_us", 0);
        r = read_daemon(&snapshot.daemon, json_object_get(root, "daemon"), error);
        if (r == 0)
                r = pm2_list_decode(&snapshot.list, json_object_get(root, "apps"), error);
        if (r < 0)
                return error_prefix(error, r, "%s", path);
        *ret = snapshot;
        snapshot = (struct pm2_snapshot){0};
        return 0;
}

int pm2_snapshot_read(struct pm2_snapshot *ret, const char *folder, const struct pm2_home *home,
                      const char *name, struct error *error)
{
        cleanup_json json_t *root = NULL;
        cleanup_free char *text = NULL;
        char path[PATH_SIZE];
        struct stat status;
        size_t size;
        int r;

        r = file_path(path, folder, home, name, error);
        if (r < 0)
                return r;
        if (lstat(path, &status) < 0)
                return error_set(error, -errno, "no snapshot %s of PM2 home %s (%s): %s", name, home->path,
                                 path, strerror(errno));
        if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_mode & 077)
                return error_set(error, -EBADMSG, "%s must be a file of the agent's user with mode 0600",
                                 path);
        r = file_read(path, PM2_SNAPSHOT_LIMIT, &text, &size, error);
        if (r == 0)
                r = pm2_json_parse(&root, text, size, error);
        if (r < 0)
                return error_prefix(error, r, "%s", path);
        if (!json_is_object(root))
                return error_set(error, -EBADMSG, "%s: not a JSON object", path);
        return decode(ret, root, home, path, error);
}

int pm2_snapshot_find(const char *folder, const struct pm2_home *home, struct pm2_snapshot_file **ret,
                      size_t *ret_count)
{
        char path[PATH_SIZE];
        int r = home_folder(path, folder, home);

        if (r < 0)
                return r;
        r = find_all(path, ret, ret_count);
        if (r == -ENOENT) {
                *ret = NULL;
                *ret_count = 0;
                return 0;
        }
        return r;
}

int pm2_snapshot_newest(const char *folder, const struct pm2_home *home, char ret[NAME_SIZE])
{
        cleanup_free struct pm2_snapshot_file *all = NULL;
        size_t count = 0;
        int r = pm2_snapshot_find(folder, home, &all, &count);

        if (r < 0)
                return r;
        if (count == 0)
                return -ENOENT;
        memcpy(ret, all[0].name, NAME_SIZE);
        return 0;
}
