/* A process that was just started has come to rest when none of its threads works, or waits to be let work.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/pm2/process.h"
#include "common/base/time.h"

#define SAMPLES 100

static void *spin(void *userdata)
{
        for (volatile unsigned i = 0;; i++)
                ;
        return userdata;
}

/* A process that sleeps but for its threads. */
static pid_t begin(size_t spinning)
{
        pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                alarm(60);
                while (spinning-- > 0) {
                        pthread_t thread;

                        if (pthread_create(&thread, NULL, spin, NULL) != 0)
                                _exit(1);
                }
                for (;;)
                        pause();
        }
        assert_true(pid > 0);
        return pid;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

/* Whether the first thread sleeps, which it does for good. */
static bool asleep(pid_t pid)
{
        struct process_fact fact;

        for (unsigned i = 0; i < 1000; i++) {
                assert_int_equal(process_read(pid, &fact), 0);
                if (fact.state == 'S')
                        return true;
                usleep(10 * 1000);
        }
        return false;
}

static unsigned samples_to_rest(pid_t pid)
{
        struct process_rest rest = {0};
        struct process_fact fact;
        unsigned taken = 0;

        for (; taken < SAMPLES; taken++) {
                assert_int_equal(process_read_busiest(pid, &fact), 0);
                assert_int_equal(fact.pid, pid);
                assert_int_equal(fact.parent, getpid());
                if (process_rest_sample(&rest, &fact))
                        break;
        }
        return taken;
}

static void test_asleep(void **state)
{
        pid_t pid = begin(0);

        assert_true(asleep(pid));
        assert_in_range(samples_to_rest(pid), 1, 5);
        end(pid);
}

/* Looked at faster than the kernel's clock ticks, it seems to use no time. */
static void test_thread_works(void **state)
{
        pid_t pid = begin(1);
        struct process_fact fact;

        assert_true(asleep(pid));
        assert_int_equal(process_read_busiest(pid, &fact), 0);
        assert_int_equal(fact.state, 'R');
        assert_int_equal(samples_to_rest(pid), SAMPLES);
        end(pid);
}

static void test_gone(void **state)
{
        struct process_fact fact;
        pid_t pid = begin(0);

        end(pid);
        assert_int_equal(process_read_busiest(pid, &fact), -ESRCH);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_asleep),
                cmocka_unit_test(test_thread_works),
                cmocka_unit_test(test_gone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
