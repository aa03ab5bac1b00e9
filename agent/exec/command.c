/* See command.h. */
#include "agent/exec/command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define KILL_AFTER_USEC (5 * USEC_PER_SEC)
#define LINGER_USEC     (2 * USEC_PER_SEC)

struct command {
        sd_event *event;
        struct command_events events;
        pid_t pid;
        int fds[2]; /* its stdout and stderr; -1 at their end */
        sd_event_source *reads[2], *child, *timer;
        bool reaped, abandoned, ending;
        int exit_code;
        char failure[128];
};

static command *command_free(command *command)
{
        for (int i = 0; i < 2; i++) {
                sd_event_source_disable_unref(command->reads[i]);
                if (command->fds[i] >= 0)
                        close(command->fds[i]);
        }
        sd_event_source_disable_unref(command->child);
        sd_event_source_disable_unref(command->timer);
        free(command);
        return NULL;
}

static void finish_if_over(command *command)
{
        if (!command->reaped || command->fds[0] >= 0 || command->fds[1] >= 0)
                return;
        if (!command->abandoned)
                command->events.finished(command, command->exit_code,
                                         command->failure[0] ? command->failure : NULL,
                                         command->events.userdata);
        command_free(command);
}

static void close_stream(command *command, int stream)
{
        sd_event_source_disable_unref(TAKE(command->reads[stream]));
        close(take_fd(&command->fds[stream]));
}

static int on_kill(sd_event_source *source, uint64_t now_us, void *userdata)
{
        command *command = userdata;

        kill(-command->pid, SIGKILL);
        return 0;
}

static void end_group(command *command)
{
        if (command->ending || command->reaped)
                return;
        command->ending = true;
        kill(-command->pid, SIGTERM);
        sd_event_source_disable_unref(TAKE(command->timer));
        if (sd_event_add_time_relative(command->event, &command->timer, CLOCK_BOOTTIME, KILL_AFTER_USEC, 0,
                                       on_kill, command) < 0)
                kill(-command->pid, SIGKILL);
}

static int on_timeout(sd_event_source *source, uint64_t now_us, void *userdata)
{
        command *command = userdata;

        snprintf(command->failure, sizeof(command->failure), "ended: its time was up");
        end_group(command);
        return 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        command *command = userdata;
        int stream = source == command->reads[0] ? 0 : 1;
        char data[16384];
        ssize_t n = read(fd, data, sizeof(data));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                close_stream(command, stream);
                finish_if_over(command);
                return 0;
        }
        if (!command->abandoned &&
            !command->events.output(command, stream, data, (size_t)n, command->events.userdata))
                for (int i = 0; i < 2; i++)
                        if (command->reads[i])
                                sd_event_source_set_enabled(command->reads[i], SD_EVENT_OFF);
        return 0;
}

void command_resume(command *command)
{
        for (int i = 0; i < 2; i++)
                if (command->reads[i])
                        sd_event_source_set_enabled(command->reads[i], SD_EVENT_ON);
}

/* The command is gone; what it left in the background must not keep the output open for ever. Output that the
 * reader is holding back is not cut. */
static int on_linger(sd_event_source *source, uint64_t now_us, void *userdata)
{
        command *command = userdata;

        for (int i = 0; i < 2; i++) {
                int enabled = SD_EVENT_OFF;

                if (!command->reads[i])
                        continue;
                sd_event_source_get_enabled(command->reads[i], &enabled);
                if (enabled == SD_EVENT_OFF && !command->abandoned) {
                        sd_event_source_set_time_relative(source, LINGER_USEC);
                        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                }
        }
        for (int i = 0; i < 2; i++)
                if (command->reads[i])
                        close_stream(command, i);
        finish_if_over(command);
        return 0;
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        command *command = userdata;

        command->reaped = true;
        command->exit_code = info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
        sd_event_source_disable_unref(TAKE(command->timer));
        if (command->ending || command->abandoned)
                kill(-command->pid, SIGKILL);
        if (command->fds[0] >= 0 || command->fds[1] >= 0)
                return sd_event_add_time_relative(command->event, &command->timer, CLOCK_BOOTTIME,
                                                  LINGER_USEC, 0, on_linger, command);
        finish_if_over(command);
        return 0;
}

/* The agent's environment without what systemd told the agent alone. The array is the caller's to free. */
static char **child_environment(void)
{
        static const char *const own[] = {
                "NOTIFY_SOCKET=",  "WATCHDOG_USEC=", "WATCHDOG_PID=", "INVOCATION_ID=",
                "JOURNAL_STREAM=", "LISTEN_PID=",    "LISTEN_FDS=",   "STATE_DIRECTORY="};
        size_t count = 0, kept = 0;
        char **copy;

        while (environ[count])
                count++;
        copy = calloc(count + 1, sizeof(*copy));
        for (size_t i = 0; copy && i < count; i++) {
                bool ours = false;

                for (size_t k = 0; k < ELEMENTS(own) && !ours; k++)
                        ours = text_starts(environ[i], own[k]);
                if (!ours)
                        copy[kept++] = environ[i];
        }
        return copy;
}

/* The agent is the last that the kernel should end when memory is out; what it runs for others is not. */
static void drop_protection(pid_t pid)
{
        char path[64];
        cleanup_close int fd = -1;

        snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, "0", 1) < 0)
                return; /* it may have ended already */
}

/* The child gets default signals and an empty mask: ours are blocked for the loop. */
static int spawn(command *command, const struct command_options *options, char *const *argv, int out, int err)
{
        cleanup_free char **environment = child_environment();
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int r;

        if (!environment)
                return -ENOMEM;
        sigemptyset(&none);
        sigfillset(&all);
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        posix_spawnattr_setflags(&attributes,
                                 POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_addchdir_np(
                        &actions, options->directory && options->directory[0] ? options->directory : "/");
        if (r == 0)
                r = posix_spawnp(&command->pid, argv[0], &actions, &attributes, argv, environment);
        if (r == 0)
                drop_protection(command->pid);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* argv, or runuser -u USER -- argv. The array is the caller's to free, its strings are borrowed. */
static int build_argv(char ***ret, const struct command_options *options)
{
        bool as_user = options->user && options->user[0];
        size_t count = 0, at = 0;
        char **argv;

        while (options->argv[count])
                if (++count > COMMAND_ARGV_MOST)
                        return -E2BIG;
        argv = calloc(count + 5, sizeof(*argv));
        if (!argv)
                return -ENOMEM;
        if (as_user) {
                argv[at++] = (char *)"runuser";
                argv[at++] = (char *)"-u";
                argv[at++] = (char *)options->user;
                argv[at++] = (char *)"--";
        }
        memcpy(argv + at, options->argv, count * sizeof(*argv));
        *ret = argv;
        return 0;
}

static int watch(command *command, const struct command_options *options)
{
        int r = 0;

        for (int i = 0; i < 2 && r >= 0; i++)
                r = sd_event_add_io(command->event, &command->reads[i], command->fds[i], EPOLLIN, on_output,
                                    command);
        if (r >= 0)
                r = sd_event_add_child(command->event, &command->child, command->pid, WEXITED, on_child,
                                       command);
        if (r >= 0)
                r = sd_event_source_set_priority(command->child, SD_EVENT_PRIORITY_IDLE); /* output first */
        if (r >= 0 && options->timeout_us)
                r = sd_event_add_time_relative(command->event, &command->timer, CLOCK_BOOTTIME,
                                               options->timeout_us, 0, on_timeout, command);
        return r < 0 ? r : 0;
}

int command_start(command **ret, sd_event *event, const struct command_options *options,
                  const struct command_events *events, struct error *error)
{
        cleanup_close int out_read = -1, out_write = -1;
        cleanup_close int err_read = -1, err_write = -1;
        cleanup_free char **argv = NULL;
        command *started;
        int r, pair[2];

        if (!options->argv[0] || !options->argv[0][0])
                return error_set(error, -EINVAL, "no command given");
        r = build_argv(&argv, options);
        if (r < 0)
                return error_set(error, r, "cannot take the command: %s", strerror(-r));
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        out_read = pair[0];
        out_write = pair[1];
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        err_read = pair[0];
        err_write = pair[1];
        /* Only our end: the command's own must block as it expects. */
        if (fcntl(out_read, F_SETFL, O_NONBLOCK) < 0 || fcntl(err_read, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        started = calloc(1, sizeof(*started));
        if (!started)
                return -ENOMEM;
        *started = (struct command){.event = event, .events = *events, .fds = {-1, -1}};
        r = spawn(started, options, argv, out_write, err_write);
        if (r < 0) {
                command_free(started);
                return error_set(error, r, "cannot run %s: %s", options->argv[0], strerror(-r));
        }
        started->fds[0] = take_fd(&out_read);
        started->fds[1] = take_fd(&err_read);
        r = watch(started, options);
        if (r < 0) {
                kill(-started->pid, SIGKILL);
                waitpid(started->pid, NULL, 0);
                command_free(started);
                return error_set(error, r, "cannot watch %s: %s", options->argv[0], strerror(-r));
        }
        *ret = started;
        return 0;
}

void command_abandon(command *command)
{
        command->abandoned = true;
        command_resume(command);
        end_group(command);
}
