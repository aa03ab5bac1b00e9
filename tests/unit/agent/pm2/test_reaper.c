/* Processes that outlive SIGKILL are told once nothing else is left that may still end. The kernel has none
 * to offer at will: this process may not send SIGKILL through a pidfd, which to the reaper looks the same. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/pm2/reaper.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"

#define PATIENT_US (50 * USEC_PER_SEC)

static struct {
        unsigned times;
        size_t killed, left;
} told;

static void on_done(void *userdata, size_t killed, size_t left)
{
        told.times++;
        told.killed = killed;
        told.left = left;
}

static void forbid_kill(void)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIGKILL, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {.len = ELEMENTS(code), .filter = code};

        assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static pid_t begin(reaper *reaper, uint64_t grace_us)
{
        struct process_fact fact;
        pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        assert_true(pid > 0);
        assert_int_equal(process_read(pid, &fact), 0);
        assert_int_equal(reaper_add(reaper, &fact, SIGCONT, grace_us), 0);
        return pid;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static int on_end_patient(sd_event_source *source, uint64_t now, void *userdata)
{
        end(*(pid_t *)userdata);
        return 0;
}

static void test_stuck(void **state)
{
        sd_event *event = NULL;
        reaper *reaper = NULL;
        pid_t first, second, patient;

        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(reaper_new(&reaper, event, NULL, on_done, NULL), 0);
        forbid_kill();
        first = begin(reaper, 1);
        second = begin(reaper, 1);
        patient = begin(reaper, PATIENT_US);
        /* After those two are known to be stuck, and long before its own time is over. */
        assert_true(sd_event_add_time_relative(event, NULL, CLOCK_BOOTTIME, 12 * USEC_PER_SEC, 1,
                                               on_end_patient, &patient) >= 0);
        assert_true(reaper_wait(reaper) >= 0);
        while (told.times == 0)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
        assert_int_equal(told.left, 2);
        assert_int_equal(told.killed, 0);
        end(first); /* what ends after all is not told again */
        end(second);
        for (int i = 0; i < 8; i++)
                assert_true(sd_event_run(event, 0) >= 0);
        assert_int_equal(told.times, 1);
        reaper_free(reaper);
        sd_event_unref(event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_stuck)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
