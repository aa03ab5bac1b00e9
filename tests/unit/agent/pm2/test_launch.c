/* The environment that a new daemon gets, as a real shell reads it; and what is found of an old one. */
#include <stdio.h>
#include <unistd.h>

#include "agent/pm2/launch.h"
#include "agent/pm2/leftover.h"
#include "common/base/file.h"
#include "tests/unit/agent/pm2/lists.h"

static const struct pm2_home home = {.path = "/home/x/it's .pm2", .user = "x", .user_home = "/home/x"};

static void run_shell(const struct buffer *script, char *ret, size_t size)
{
        char path[] = "/tmp/muster-launch.XXXXXX", command[128];
        int fd = mkstemp(path);
        size_t used;
        FILE *pipe;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, script->data, script->size), (ssize_t)script->size);
        close(fd);
        snprintf(command, sizeof(command), "env -i /bin/sh -c 'eval \"$(cat %s)\"; /usr/bin/env -0'", path);
        pipe = popen(command, "r");
        used = fread(ret, 1, size - 1, pipe);
        assert_int_equal(pclose(pipe), 0);
        unlink(path);
        ret[used] = '\0';
        for (size_t i = 0; i < used; i++)
                ret[i] = ret[i] ? ret[i] : '\1'; /* one separator that no value here has */
}

static void test_environment(void **state)
{
        struct pm2_daemon_facts facts = {0};
        cleanup_buffer struct buffer script = {0};
        char text[4096];

        facts.env = json_of(
                "{\"PATH\":\"/bin:/x\",\"HOME\":\"/h\",\"A\":\"it's $(touch /tmp/x) `x` \\\\ \\\"q\\\"\\n2\","
                "\"E\":\"\",\"NOTIFY_SOCKET\":\"/run/x\",\"BASH_FUNC_x%%\":\"() { :; }\",\"1A\":\"x\","
                "\"A;touch /tmp/y\":\"x\",\"N\":5,\"PM2_HOME\":\"/elsewhere\",\"NODE_CHANNEL_FD\":\"3\"}");
        assert_int_equal(launch_environment(&script, &home, &facts), 0);
        run_shell(&script, text, sizeof(text));
        assert_non_null(strstr(text, "A=it's $(touch /tmp/x) `x` \\ \"q\"\n2\1"));
        assert_non_null(strstr(text, "E=\1"));
        assert_non_null(strstr(text, "HOME=/h\1"));
        assert_non_null(strstr(text, "PM2_HOME=/home/x/it's .pm2\1"));
        assert_null(strstr(text, "NOTIFY_SOCKET"));
        assert_null(strstr(text, "NODE_CHANNEL_FD"));
        assert_null(strstr(text, "elsewhere"));
        assert_null(memmem(script.data, script.size, "touch /tmp/y", 12));
        pm2_daemon_facts_clear(&facts);
}

static void test_environment_of_nothing(void **state)
{
        cleanup_buffer struct buffer script = {0};
        char text[4096];

        assert_int_equal(launch_environment(&script, &home, NULL), 0);
        run_shell(&script, text, sizeof(text));
        assert_non_null(strstr(text, "HOME=/home/x\1"));
        assert_non_null(strstr(text, "USER=x\1"));
        assert_non_null(strstr(text, "PATH=/usr/local/sbin:"));
}

static void test_leftovers(void **state)
{
#define BLOCK(text) text, sizeof(text)
        assert_int_equal(pm2_environment_marks(BLOCK("A=b\0pm_id=0\0PM2_HOME=/h"), "/h"),
                         PM2_MARK_APP | PM2_MARK_HOME);
        assert_int_equal(pm2_environment_marks(BLOCK("pm_id=0\0pm_pid_path=/h/pids/a.pid"), "/h"),
                         PM2_MARK_APP | PM2_MARK_PIDS);
        assert_int_equal(
                pm2_environment_marks(BLOCK("pm_id=0\0pm_pid_path=/h2/pids/a.pid\0PM2_HOME=/hh"), "/h"),
                PM2_MARK_APP);
        assert_int_equal(pm2_environment_marks("PM2_HOME=/h", 11, "/h"), 0); /* cut */
        assert_int_equal(pm2_environment_marks("", 0, "/h"), 0);
        assert_int_equal(pm2_environment_kill_timeout(BLOCK("A=b\0kill_timeout=20000\0PM2_HOME=/h")), 20000);
        assert_int_equal(pm2_environment_kill_timeout(BLOCK("xkill_timeout=5\0kill_timeout=3s\0A=")), 0);
        assert_int_equal(pm2_environment_kill_timeout(BLOCK("kill_timeout=-1")), 0);
        assert_int_equal(pm2_environment_kill_timeout(BLOCK("kill_timeout=4294967297")), 3600 * 1000);
        assert_int_equal(pm2_environment_kill_timeout("kill_timeout=5", 14), 0); /* cut */
        assert_int_equal(pm2_environment_kill_timeout("", 0), 0);
        assert_true(pm2_title_is_daemon(BLOCK("PM2 v7.0.4: God Daemon (/tmp/x")));
        assert_false(pm2_title_is_daemon(BLOCK("node /x: God Daemon")));
        assert_false(pm2_title_is_daemon("PM2 v7", 6));
        assert_false(pm2_title_is_daemon("", 0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_environment),
                cmocka_unit_test(test_environment_of_nothing),
                cmocka_unit_test(test_leftovers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
