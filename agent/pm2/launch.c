/* See launch.h. */
#include "agent/pm2/launch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/pm2/spawn.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

/* Runs as the user. Everything in the home is opened here, with that user's rights and no more. */
static const char script_text[] = "cd \"$1\" 2>/dev/null || cd /; shift; unset PWD OLDPWD; eval \"$(cat)\"; "
                                  "mkdir -p \"$PM2_HOME/logs\" \"$PM2_HOME/pids\"; "
                                  "exec \"$@\" >>\"$PM2_HOME/pm2.log\" 2>&1 </dev/null";

#define CALL_TIMEOUT_US (10 * USEC_PER_SEC)
#define NAMES_MOST      16
#define NAME_TAKEN      "org.freedesktop.systemd1.UnitExists"

struct launch {
        sd_event *event;
        sd_event_source *source; /* the end of the detaching parent */
        sd_bus_message *unit;    /* what StartTransientUnit is told, but for the name */
        char id[PM2_HOME_ID_SIZE];
        unsigned names;    /* that were tried */
        sd_bus_slot *slot; /* StartTransientUnit's answer */
        int pidfd;
        launch_done done;
        void *userdata;
};

struct launch *launch_free(struct launch *launch)
{
        if (!launch)
                return NULL;
        sd_event_source_disable_unref(launch->source);
        sd_bus_slot_unref(launch->slot);
        sd_bus_message_unref(launch->unit);
        spawn_abandon(launch->event, launch->pidfd);
        sd_event_unref(launch->event);
        free(launch);
        return NULL;
}
DEFINE_CLEANUP(struct launch *, launch_free);

/* --- what is run -------------------------------------------------------------------------------------- */

static bool find_script(const char *pm2, char ret[PATH_SIZE])
{
        char real[PATH_MAX], *slash;

        if (!realpath(pm2, real)) /* …/pm2/bin/pm2 */
                return false;
        for (int levels = 0; levels < 2; levels++) {
                slash = strrchr(real, '/');
                if (!slash || slash == real)
                        return false;
                *slash = '\0';
        }
        return snprintf(ret, PATH_SIZE, "%s/lib/Daemon.js", real) < PATH_SIZE && access(ret, R_OK) == 0;
}

int launch_find(const struct pm2_daemon_facts *facts, char ret_node[PATH_SIZE], char ret_script[PATH_SIZE],
                struct error *error)
{
        static const char *const folders[] = {"/usr/bin", "/usr/local/bin", "/bin"};
        char path[PATH_SIZE];

        ret_node[0] = ret_script[0] = '\0';
        if (facts && facts->exec[0] == '/' && access(facts->exec, X_OK) == 0)
                text_copy_cut(ret_node, PATH_SIZE, facts->exec);
        if (facts && facts->script[0] == '/' && access(facts->script, R_OK) == 0)
                text_copy_cut(ret_script, PATH_SIZE, facts->script);
        for (size_t i = 0; i < ELEMENTS(folders); i++) {
                snprintf(path, sizeof(path), "%s/node", folders[i]);
                if (!ret_node[0] && access(path, X_OK) == 0)
                        text_copy_cut(ret_node, PATH_SIZE, path);
                snprintf(path, sizeof(path), "%s/pm2", folders[i]);
                if (!ret_script[0])
                        find_script(path, ret_script);
        }
        if (!ret_node[0])
                return error_set(error, -ENOENT,
                                 "no node was found to run PM2 with; install it, or put it in "
                                 "/usr/bin or /usr/local/bin");
        if (!ret_script[0])
                return error_set(error, -ENOENT, "no PM2 was found; install it with npm install -g pm2");
        return 0;
}

static bool is_shell_name(const char *name)
{
        if (!*name || (*name >= '0' && *name <= '9'))
                return false;
        for (; *name; name++)
                if (!(*name == '_' || (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
                      (*name >= 'A' && *name <= 'Z')))
                        return false;
        return true;
}

static bool is_for_one_process(const char *name)
{
        static const char *const names[] = {
                "NOTIFY_SOCKET", "WATCHDOG_PID",    "WATCHDOG_USEC",
                "LISTEN_PID",    "LISTEN_FDS",      "LISTEN_FDNAMES",
                "MAINPID",       "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
                "NODE_UNIQUE_ID"};

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (text_equal(name, names[i]))
                        return true;
        return false;
}

static int append(struct buffer *out, const char *text)
{
        return buffer_append(out, text, strlen(text));
}

static int append_export(struct buffer *out, const char *name, const char *value)
{
        int r = append(out, "export ");

        if (r == 0)
                r = append(out, name);
        if (r == 0)
                r = append(out, "='");
        for (const char *c = value; *c && r == 0; c++)
                r = *c == '\'' ? append(out, "'\\''") : buffer_append(out, c, 1);
        if (r == 0)
                r = append(out, "'\n");
        return r;
}

int launch_environment(struct buffer *ret, const struct pm2_home *home, const struct pm2_daemon_facts *facts)
{
        json_t *env = facts ? facts->env : NULL, *value;
        const char *name;
        int r = 0;

        if (!json_object_get(env, "PATH"))
                r = append_export(ret, "PATH",
                                  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if (r == 0 && !json_object_get(env, "HOME"))
                r = append_export(ret, "HOME", home->user_home);
        if (r == 0 && !json_object_get(env, "USER") && home->user[0] && !env)
                r = append_export(ret, "USER", home->user);
        if (env)
                json_object_foreach(env, name, value)
                {
                        const char *text = json_string_value(value);

                        if (r == 0 && text && is_shell_name(name) && !is_for_one_process(name) &&
                            !text_equal(name, "PM2_HOME"))
                                r = append_export(ret, name, text);
                }
        if (r == 0)
                r = append_export(ret, "PM2_HOME", home->path);
        /* Its own console goes to pm2.log; PM2's launcher sets this too. */
        if (r == 0 && !json_object_get(env, "SILENT"))
                r = append_export(ret, "SILENT", "true");
        return r;
}

/* The script, in memory that only its reader sees. */
static int environment_file(const struct pm2_home *home, const struct pm2_daemon_facts *facts)
{
        cleanup_buffer struct buffer text = {0};
        cleanup_close int fd = -1;
        int r = launch_environment(&text, home, facts);

        if (r < 0)
                return r;
        fd = memfd_create("muster-pm2-environment", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        for (size_t done = 0; done < text.size;) {
                ssize_t n = write(fd, text.data + done, text.size - done);

                if (n < 0)
                        return -errno;
                done += (size_t)n;
        }
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return take_fd(&fd);
}

/* --- a plain process --------------------------------------------------------------------------------------
 */

static int on_parent_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct launch *launch = userdata;
        struct error error = {0};
        int status = spawn_status(launch->pidfd), r = 0;

        if (status != 0)
                r = error_set(&error, -ECHILD, "setsid could not start it (status %d)", status);
        launch->source = sd_event_source_disable_unref(launch->source);
        close(launch->pidfd);
        launch->pidfd = -1;
        launch->done(launch->userdata, r, &error);
        return 0;
}

/* setsid --fork leaves a grandchild in its own session and ends at once: no child of ours to be reaped later,
 * and none that the agent's end would take along. setpriv becomes the user. */
static int launch_plain(struct launch *launch, const struct pm2_home *home, const char *node,
                        const char *script, const char *cwd, int input, struct error *error)
{
        char user[32], group[32];
        const char *argv[24];
        size_t n = 0;
        int r;

        argv[n++] = "/usr/bin/setsid";
        argv[n++] = "--fork";
        if (home->uid != geteuid()) {
                snprintf(user, sizeof(user), "--reuid=%u", home->uid);
                snprintf(group, sizeof(group), "--regid=%u", home->gid);
                argv[n++] = "/usr/bin/setpriv";
                argv[n++] = user;
                argv[n++] = group;
                argv[n++] = home->user[0] ? "--init-groups" : "--clear-groups";
                argv[n++] = "--inh-caps=-all";
                argv[n++] = "--";
        }
        argv[n++] = "/usr/bin/env";
        argv[n++] = "-i";
        argv[n++] = "/bin/sh";
        argv[n++] = "-c";
        argv[n++] = script_text;
        argv[n++] = "sh";
        argv[n++] = cwd;
        argv[n++] = node;
        argv[n++] = script;
        argv[n] = NULL;
        r = spawn_child(&launch->pidfd, (char *const *)argv, input, -1);
        if (r < 0)
                return error_set(error, r, "cannot run %s: %s", argv[0], strerror(-r));
        return sd_event_add_io(launch->event, &launch->source, launch->pidfd, EPOLLIN, on_parent_end, launch);
}

/* --- a transient service ----------------------------------------------------------------------------------
 */

static int start_unit(struct launch *launch);

/* systemd keeps a unit, and its name, for as long as anything of it is there: a process that cannot be
 * killed, or what systemd itself is still ending. */
static int on_unit(sd_bus_message *answer, void *userdata, sd_bus_error *ignored)
{
        struct launch *launch = userdata;
        const sd_bus_error *problem = sd_bus_message_get_error(answer);
        struct error error = {0};
        int r = 0;

        launch->slot = sd_bus_slot_unref(launch->slot);
        if (sd_bus_error_has_name(problem, NAME_TAKEN) && launch->names < NAMES_MOST &&
            start_unit(launch) >= 0)
                return 0;
        if (problem)
                r = error_set(&error, -EREMOTEIO, "systemd refused the service: %s", problem->message);
        launch->done(launch->userdata, r, &error);
        return 0;
}

static int append_command(sd_bus_message *message, const char *node, const char *script, const char *cwd)
{
        const char *argv[] = {"/usr/bin/env", "-i", "/bin/sh", "-c",   script_text,
                              "sh",           cwd,  node,      script, NULL};
        int r;

        r = sd_bus_message_open_container(message, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", "ExecStartEx");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "a(sasas)");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "(sasas)");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'r', "sasas");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", argv[0]);
        if (r >= 0)
                r = sd_bus_message_append_strv(message, (char **)argv);
        if (r >= 0)
                r = sd_bus_message_append(message, "as", 1, "no-env-expand");
        for (int i = 0; i < 4 && r >= 0; i++)
                r = sd_bus_message_close_container(message);
        return r;
}

/* KillMode=mixed: at a shutdown only the daemon is told, and it ends its apps by their own kill_timeout; were
 * they told with it, its dump at that moment would say that they had stopped. */
static int append_properties(sd_bus_message *message, const struct pm2_home *home, int input)
{
        char user[32], group[32];
        int r;

        snprintf(user, sizeof(user), "%u", home->uid);
        snprintf(group, sizeof(group), "%u", home->gid);
        r = sd_bus_message_append(message, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s",
                                  "PM2, started by muster", "User", "s", user, "Group", "s", group,
                                  "KillMode", "s", "mixed", "CollectMode", "s", "inactive-or-failed",
                                  "TasksMax", "t", UINT64_MAX);
        if (r >= 0)
                r = sd_bus_message_append(message, "(sv)(sv)", "LimitNOFILE", "t", (uint64_t)524288,
                                          "StandardInputFileDescriptor", "h", input);
        return r;
}

static int start_unit(struct launch *launch)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        sd_bus *bus = sd_bus_message_get_bus(launch->unit);
        char number[16] = "", name[64];
        int r;

        if (launch->names++ > 0)
                snprintf(number, sizeof(number), "-%u", launch->names);
        snprintf(name, sizeof(name), "muster-pm2-%s%s.service", launch->id, number);
        r = sd_bus_message_new_method_call(bus, &call, "org.freedesktop.systemd1",
                                           "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                           "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", name);
        if (r >= 0)
                r = sd_bus_message_rewind(launch->unit, true);
        if (r >= 0)
                r = sd_bus_message_copy(call, launch->unit, true);
        if (r >= 0)
                r = sd_bus_call_async(bus, &launch->slot, call, on_unit, launch, CALL_TIMEOUT_US);
        return r;
}

static int launch_unit(struct launch *launch, sd_bus *bus, const struct pm2_home *home, const char *node,
                       const char *script, const char *cwd, int input, struct error *error)
{
        sd_bus_message *unit = NULL;
        int r;

        pm2_home_id(home, launch->id);
        r = sd_bus_message_new(bus, &unit, SD_BUS_MESSAGE_METHOD_CALL);
        launch->unit = unit;
        if (r >= 0)
                r = sd_bus_message_append(unit, "s", "replace");
        if (r >= 0)
                r = sd_bus_message_open_container(unit, 'a', "(sv)");
        if (r >= 0)
                r = append_properties(unit, home, input);
        if (r >= 0)
                r = append_command(unit, node, script, cwd);
        if (r >= 0)
                r = sd_bus_message_close_container(unit);
        if (r >= 0)
                r = sd_bus_message_append(unit, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_message_seal(unit, 1, 0); /* it can be read now, and is never sent */
        if (r >= 0)
                r = start_unit(launch);
        if (r < 0)
                return error_set(error, r, "cannot ask systemd for a service: %s", strerror(-r));
        return 0;
}

int launch_new(struct launch **ret, sd_event *event, sd_bus *bus, const struct pm2_home *home,
               const struct pm2_daemon_facts *facts, launch_done done, void *userdata, struct error *error)
{
        cleanup_with(launch_freep) struct launch *launch = calloc(1, sizeof(*launch));
        char node[PATH_SIZE], script[PATH_SIZE];
        const char *cwd = facts && facts->cwd[0] ? facts->cwd : home->user_home;
        cleanup_close int input = -1;
        int r;

        if (!launch)
                return -ENOMEM;
        *launch = (struct launch){
                .event = sd_event_ref(event), .pidfd = -1, .done = done, .userdata = userdata};
        r = launch_find(facts, node, script, error);
        if (r < 0)
                return r;
        input = environment_file(home, facts);
        if (input < 0)
                return error_set(error, input, "cannot prepare PM2's environment: %s", strerror(-input));
        if (bus)
                r = launch_unit(launch, bus, home, node, script, cwd, input, error);
        else
                r = launch_plain(launch, home, node, script, cwd, input, error);
        if (r < 0)
                return r;
        *ret = TAKE(launch);
        return 0;
}
