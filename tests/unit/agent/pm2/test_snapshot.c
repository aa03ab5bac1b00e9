/* Snapshots on disk: what is written is read back, and nothing else is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/pm2/diff.h"
#include "agent/pm2/snapshot.h"
#include "common/base/file.h"
#include "tests/unit/agent/pm2/lists.h"

static char folder[64];
static struct pm2_home home = {.path = "/home/x/.pm2", .user = "x"};

static int make_folder(void **state)
{
        strcpy(folder, "/tmp/muster-snapshot.XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -r '%s'", folder);
        return system(command);
}

static void path_of(const char *name, char ret[PATH_SIZE])
{
        char id[PM2_HOME_ID_SIZE];

        pm2_home_id(&home, id);
        snprintf(ret, PATH_SIZE, "%s/%s/%s.json", folder, id, name);
}

static int save(const char *name, size_t keep)
{
        struct pm2_list list =
                list_of("[" APP(0, "a", "online", ",\"args\":[\"x\"]") "," APP(3, "b", "stopped", "") "]");
        struct pm2_daemon_facts facts = {
                .version = "7", .exec = "/usr/bin/node", .script = "/D.js", .cwd = "/"};
        int r;

        facts.env = json_of("{\"SECRET\":\"x\"}");
        r = pm2_snapshot_write(folder, &home, name, &list, &facts, 42, keep, NULL);
        pm2_daemon_facts_clear(&facts);
        pm2_list_clear(&list);
        return r;
}

static void test_round_trip(void **state)
{
        struct pm2_snapshot snapshot = {0};
        struct pm2_list list =
                list_of("[" APP(0, "a", "online", ",\"args\":[\"x\"]") "," APP(3, "b", "stopped", "") "]");
        struct pm2_diff diff = {0};
        char path[PATH_SIZE];
        struct stat status;

        assert_int_equal(save("one", 0), 0);
        path_of("one", path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(pm2_snapshot_read(&snapshot, folder, &home, "one", NULL), 0);
        assert_int_equal(snapshot.saved_us, 42);
        assert_string_equal(snapshot.daemon.script, "/D.js");
        assert_string_equal(json_text(snapshot.daemon.env, "SECRET"), "x");
        assert_int_equal(pm2_diff_compute(&diff, &list, &snapshot.list, 0), 0);
        assert_int_equal(diff.count, 0);
        pm2_snapshot_clear(&snapshot);
        pm2_list_clear(&list);
}

static void test_a_name_is_written_once(void **state)
{
        assert_int_equal(save("once", 0), 0);
        assert_int_equal(save("once", 0), -EEXIST);
        assert_int_equal(save("../up", 0), -EINVAL);
        assert_int_equal(save("", 0), -EINVAL);
}

static void test_keeps_the_newest(void **state)
{
        char name[8], path[PATH_SIZE], newest[NAME_SIZE];

        for (int i = 0; i < 6; i++) {
                struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};

                snprintf(name, sizeof(name), "k%d", i);
                path_of(name, path);
                assert_int_equal(save(name, 3), 0);
                assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        }
        path_of("k5", path);
        assert_int_equal(access(path, F_OK), 0);
        path_of("k0", path);
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_equal(save("newest", 3), 0);
        assert_int_equal(pm2_snapshot_newest(folder, &home, newest), 0);
        assert_string_equal(newest, "newest");
}

/* A write that a crash cut short leaves a file beside, with secrets in it. */
static void test_leftovers_go(void **state)
{
        struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
        static const char *const names[] = {"cut.json.a1B2c3", "cut.dump.d4E5f6", "cut.json.Z9y8x7",
                                            "other.txt.a1B2c3"};
        char path[PATH_SIZE];

        assert_int_equal(save("cut", 0), 0);
        for (size_t i = 0; i < 4; i++) {
                path_of("cut", path);
                strcpy(strrchr(path, '/') + 1, names[i]);
                assert_int_equal(file_write_atomic(path, "{}", 2, 0600, NULL), 0);
                if (i != 2)
                        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
        }
        assert_int_equal(save("next", 0), 0);
        for (size_t i = 0; i < 4; i++) {
                path_of("cut", path);
                strcpy(strrchr(path, '/') + 1, names[i]);
                assert_int_equal(access(path, F_OK),
                                 i < 2 ? -1 : 0); /* one may still be written, one is no snapshot */
        }
        path_of("cut", path);
        assert_int_equal(access(path, F_OK), 0);
}

static void refuses(const char *name, int expected, const char *says)
{
        struct pm2_snapshot snapshot = {0};
        struct error error = {0};

        assert_int_equal(pm2_snapshot_read(&snapshot, folder, &home, name, &error), expected);
        if (!strstr(error.text, says))
                fail_msg("\"%s\" does not say \"%s\"", error.text, says);
        assert_null(snapshot.list.apps);
}

static void test_refused(void **state)
{
        char path[PATH_SIZE], *text = NULL;
        struct pm2_home other = home;
        struct pm2_snapshot snapshot = {0};
        size_t size;

        assert_int_equal(save("bad", 0), 0);
        path_of("bad", path);
        refuses("absent", -ENOENT, "no snapshot absent");
        assert_int_equal(chmod(path, 0640), 0);
        refuses("bad", -EBADMSG, "mode 0600");
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(file_read(path, 1 << 20, &text, &size, NULL), 0);
        for (size_t cut = 0; cut < size; cut += 13) {
                assert_int_equal(file_write_atomic(path, text, cut, 0600, NULL), 0);
                refuses("bad", -EBADMSG, "not JSON");
        }
        /* Any one letter of a value. */
        *strstr(text, "/srv") = '|';
        assert_int_equal(file_write_atomic(path, text, size, 0600, NULL), 0);
        refuses("bad", -EBADMSG, "digest differs");
        assert_int_equal(file_write_atomic(path, "[]", 2, 0600, NULL), 0);
        refuses("bad", -EBADMSG, "not a JSON object");
        assert_int_equal(file_write_atomic(path, "{}", 2, 0600, NULL), 0);
        refuses("bad", -EBADMSG, "no digest");
        strcpy(other.path, "/home/y/.pm2");
        assert_int_equal(pm2_snapshot_read(&snapshot, folder, &other, "one", NULL), -ENOENT);
        free(text);
}

/* Written as we write them, with a sound digest, but of something else. */
static void test_sound_but_wrong(void **state)
{
        static const struct {
                const char *text, *says;
        } bad[] = {
                {"{\"format\":2}", "a format"},
                {"{\"format\":1}", "too few"},
                {"{\"format\":1,\"name\":1,\"home\":2,\"user\":3,\"saved_us\":4,\"daemon\":5,\"what\":6}",
                 "no \"apps\""},
                {"{\"format\":1,\"name\":\"w\",\"home\":\"/"
                 "else\",\"user\":\"\",\"saved_us\":4,\"daemon\":5,\"apps\":6}",
                 "is of PM2 home /else"},
                {"{\"format\":1,\"name\":\"w\",\"home\":\"/home/x/"
                 ".pm2\",\"user\":\"\",\"saved_us\":4,\"daemon\":{},"
                 "\"apps\":[]}",
                 "how the daemon was started"},
                {"{\"format\":1,\"name\":\"w\",\"home\":\"/home/x/"
                 ".pm2\",\"user\":\"\",\"saved_us\":4,\"daemon\":"
                 "{\"exec\":\"/n\",\"script\":\"/d\",\"env\":{}},\"apps\":{}}",
                 "not an array"},
        };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                json_t *root = json_of(bad[i].text);
                char digest[JSON_HASH_SIZE], path[PATH_SIZE], *text;

                json_hash(root, NULL, NULL, digest);
                json_object_set_new(root, "digest", json_string(digest));
                text = json_dumps(root, 0);
                path_of("wrong", path);
                assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, NULL), 0);
                refuses("wrong", -EBADMSG, bad[i].says);
                free(text);
                json_decref(root);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_a_name_is_written_once),
                cmocka_unit_test(test_refused),          cmocka_unit_test(test_sound_but_wrong),
                cmocka_unit_test(test_keeps_the_newest), cmocka_unit_test(test_leftovers_go),
        };

        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
