/* Whose a PM2 home is: the real user database, asked on the loop, and entries that nobody should have
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/pm2/find.h"

struct found {
        sd_event *event;
        int result;
        struct pm2_home home;
        char text[ERROR_TEXT_SIZE];
};

static void on_found(void *userdata, int r, const struct pm2_home *home, const struct error *error)
{
        struct found *found = userdata;

        found->result = r;
        if (home)
                found->home = *home;
        else
                snprintf(found->text, sizeof(found->text), "%s", error_text(error, r));
        sd_event_exit(found->event, 0);
}

static int find(struct found *ret, const char *user, const char *path, uint64_t timeout_us)
{
        struct error error = {0};
        pm2_find *find = NULL;
        int r;

        *ret = (struct found){.result = 1};
        assert_int_equal(sd_event_new(&ret->event), 0);
        r = pm2_find_new(&find, ret->event, user, path, timeout_us, NULL, on_found, ret, &error);
        if (r == 0) {
                assert_int_equal(ret->result, 1); /* never from within */
                sd_event_loop(ret->event);
                r = ret->result;
        }
        pm2_find_free(find);
        sd_event_unref(ret->event);
        return r;
}

static void test_by_name(void **state)
{
        const struct passwd *entry = getpwuid(getuid());
        char expected[PATH_SIZE], name[NAME_SIZE];
        struct found found;

        snprintf(name, sizeof(name), "%s", entry->pw_name);
        snprintf(expected, sizeof(expected), "%s/.pm2", entry->pw_dir);
        assert_int_equal(find(&found, name, NULL, 0), 0);
        assert_string_equal(found.home.path, expected);
        assert_string_equal(found.home.user, name);
        assert_int_equal(found.home.uid, getuid());
        assert_int_equal(found.home.gid, getpwuid(getuid())->pw_gid);
        assert_int_equal(find(&found, name, "/srv/x/.pm2//", 0), 0);
        assert_string_equal(found.home.path, "/srv/x/.pm2");
}

static void test_by_owner(void **state)
{
        char folder[] = "/tmp/muster-find.XXXXXX";
        struct found found;

        assert_non_null(mkdtemp(folder));
        assert_int_equal(find(&found, "", folder, 0), 0);
        assert_string_equal(found.home.path, folder);
        assert_int_equal(found.home.uid, getuid());
        if (getuid() == 0) { /* an owner without a name */
                assert_int_equal(chown(folder, 54321, 54322), 0);
                assert_int_equal(find(&found, NULL, folder, 0), 0);
                assert_int_equal(found.home.uid, 54321);
                assert_int_equal(found.home.gid, 54322);
                assert_string_equal(found.home.user, "");
                assert_string_equal(found.home.path, folder);
        }
        rmdir(folder);
}

static void test_refused(void **state)
{
        struct found found;

        assert_int_equal(find(&found, "no-such-user", NULL, 0), -ENOENT);
        assert_non_null(strstr(found.text, "no user no-such-user"));
        assert_int_equal(find(&found, "0", NULL, 0), -ENOENT); /* an id, and no name */
        assert_int_equal(find(&found, "--service=files", NULL, 0), -EINVAL);
        assert_int_equal(find(&found, "root", "relative", 0), -EINVAL);
        assert_int_equal(find(&found, NULL, "/no/such/folder", 0), -ENOENT);
        assert_int_equal(find(&found, NULL, NULL, 0), -EINVAL);
}

/* The one child of this process, stopped before it has ended; 0: it was too fast. */
static pid_t stop_child(void)
{
        char path[64];
        siginfo_t info = {0};
        int pid = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
        file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fscanf(file, "%d", &pid), 1);
        fclose(file);
        kill(pid, SIGSTOP);
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
        return info.si_code == CLD_STOPPED ? pid : 0;
}

/* A user database that does not answer holds up nobody, and the process that asked it does not stay. */
static void test_deadline(void **state)
{
        struct found found;
        struct error error = {0};
        pid_t stopped = 0;

        for (int tries = 0; tries < 20 && stopped == 0; tries++) {
                pm2_find *find_object = NULL;

                found = (struct found){.result = 1};
                assert_int_equal(sd_event_new(&found.event), 0);
                assert_int_equal(pm2_find_new(&find_object, found.event, "root", NULL, 50000, NULL, on_found,
                                              &found, &error),
                                 0);
                stopped = stop_child();
                sd_event_loop(found.event);
                pm2_find_free(find_object);
                sd_event_unref(found.event);
                if (stopped == 0)
                        continue;
                assert_int_equal(found.result, -ETIMEDOUT);
                assert_non_null(strstr(found.text, "getent passwd root"));
                waitpid(stopped, NULL, 0); /* it was killed, or this does not end */
        }
        assert_int_not_equal(stopped, 0);
}

/* One that is let go is cleared away by the loop. */
static void test_freed(void **state)
{
        struct found found = {.result = 1};
        struct error error = {0};
        pm2_find *find_object = NULL;

        assert_int_equal(sd_event_new(&found.event), 0);
        assert_int_equal(
                pm2_find_new(&find_object, found.event, "root", NULL, 0, NULL, on_found, &found, &error), 0);
        pm2_find_free(find_object);
        for (int turns = 0;
             turns < 100 && waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0; turns++)
                sd_event_run(found.event, 100000);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        assert_int_equal(found.result, 1);
        sd_event_unref(found.event);
}

static void test_entries(void **state)
{
        static const char *const bad[] = {
                "",
                "x",
                "a:x:1:2:3:4",
                "a:x:1:2::/h:/bin/sh:more",
                "a:x:-1:2::/h:",
                "a:x:1:4294967295::/h:",
                "a:x::2::/h:",
                "a:x:1:2::h:",
        };
        struct pm2_home home;

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                if (pm2_home_from_entry(&home, bad[i], NULL, NULL) >= 0)
                        fail_msg("taken: %s", bad[i]);
        assert_int_equal(pm2_home_from_entry(&home, "a:x:1:2:A, B:/h:/bin/sh", NULL, NULL), 0);
        assert_string_equal(home.path, "/h/.pm2");
        assert_int_equal(home.gid, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_by_name), cmocka_unit_test(test_by_owner),
                cmocka_unit_test(test_refused), cmocka_unit_test(test_deadline),
                cmocka_unit_test(test_freed),   cmocka_unit_test(test_entries),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
