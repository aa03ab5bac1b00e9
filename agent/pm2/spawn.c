/* See spawn.h. */
#include "agent/pm2/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int add_file(posix_spawn_file_actions_t *actions, int fd, int as)
{
        if (fd >= 0)
                return posix_spawn_file_actions_adddup2(actions, fd, as);
        return posix_spawn_file_actions_addopen(actions, as, "/dev/null", as ? O_WRONLY : O_RDONLY, 0);
}

int spawn_child(int *ret_pidfd, char *const argv[], int input, int output)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        char *environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        sigset_t none, all;
        pid_t pid;
        int r;

        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        r = add_file(&actions, input, 0);
        if (r == 0)
                r = add_file(&actions, output, 1);
        if (r == 0)
                r = add_file(&actions, -1, 2);
        if (r == 0)
                r = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        if (r == 0)
                r = posix_spawn_file_actions_addchdir_np(&actions, "/");
        if (r == 0)
                r = posix_spawnattr_setsigmask(&attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(&attributes, &all);
        if (r == 0)
                r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (r == 0)
                r = posix_spawn(&pid, argv[0], &actions, &attributes, argv, environment);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        if (r != 0)
                return -r;
        /* Its id stays its own until it is waited for, which only happens here. */
        r = (int)syscall(SYS_pidfd_open, pid, 0);
        if (r < 0) {
                r = -errno;
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                return r;
        }
        *ret_pidfd = r;
        return 0;
}

int spawn_status(int pidfd)
{
        siginfo_t info = {0};

        if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
                return -errno;
        return info.si_code == CLD_EXITED ? info.si_status : -ECHILD;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        spawn_status(fd);
        return sd_event_source_set_floating(source, 0); /* the last that held it */
}

void spawn_abandon(sd_event *event, int pidfd)
{
        sd_event_source *source = NULL;

        if (pidfd < 0)
                return;
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        if (sd_event_add_io(event, &source, pidfd, EPOLLIN, on_end, NULL) < 0) {
                close(pidfd);
                return;
        }
        sd_event_source_set_io_fd_own(source, 1);
        sd_event_source_set_floating(source, 1);
        sd_event_source_unref(source);
}
