/* Work beside the loop: done, late, hung, left alone. Runs under ThreadSanitizer too. What hangs here is a
 * read of a pipe that nobody writes to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "common/loop/aside.h"

#define PATIENCE_MS 20000 /* with threads, a millisecond at a time */

struct job {
        int fd; /* read from, unless it is -1 */
        int in, out;
};

static struct {
        int result, out;
        unsigned done;
} seen;

static void work(void *data)
{
        struct job *job = data;
        char byte;

        if (job->fd >= 0 && read(job->fd, &byte, 1) < 0)
                return;
        job->out = job->in * 2;
}

static void on_done(int result, void *data, void *userdata)
{
        const struct job *job = data;

        seen.result = result;
        seen.out = job ? job->out : 0;
        seen.done++;
}

static void wait_done(sd_event *event)
{
        while (!seen.done)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
}

static sd_event *new_event(void)
{
        sd_event *event;

        memset(&seen, 0, sizeof(seen));
        assert_int_equal(sd_event_new(&event), 0);
        return event;
}

static void test_done(void **state)
{
        sd_event *event = new_event();
        struct job job = {-1, 21, 0};
        aside *aside;

        assert_int_equal(aside_new(&aside, event), 0);
        assert_int_equal(aside_run(aside, &job, sizeof(job), work, 60 * USEC_PER_SEC, on_done, NULL), 0);
        assert_int_equal(aside_run(aside, &job, sizeof(job), work, 60 * USEC_PER_SEC, on_done, NULL), -EBUSY);
        wait_done(event);
        assert_int_equal(seen.result, 0);
        assert_int_equal(seen.out, 42);
        assert_int_equal(seen.done, 1);
        assert_int_equal(job.out, 0); /* it worked on a copy */
        aside_free(aside);
        sd_event_unref(event);
}

static void test_hung(void **state)
{
        struct job job;
        aside *aside;
        sd_event *event = new_event();
        int pipes[2], r;

        assert_int_equal(pipe(pipes), 0);
        job = (struct job){pipes[0], 1, 0};
        assert_int_equal(aside_new(&aside, event), 0);
        assert_int_equal(aside_run(aside, &job, sizeof(job), work, 1000, on_done, NULL), 0);
        wait_done(event);
        assert_int_equal(seen.result, -ETIMEDOUT);
        assert_int_equal(seen.done, 1);
        job.fd = -1;
        assert_int_equal(aside_run(aside, &job, sizeof(job), work, USEC_PER_SEC, on_done, NULL), -EBUSY);
        assert_int_equal(write(pipes[1], "x", 1), 1);
        /* It ends now, on its own; then there is room for the next. */
        for (int i = 0; i < PATIENCE_MS; i++, usleep(1000)) {
                r = aside_run(aside, &job, sizeof(job), work, 60 * USEC_PER_SEC, on_done, NULL);
                if (r != -EBUSY)
                        break;
        }
        assert_int_equal(r, 0);
        seen.done = 0;
        wait_done(event);
        assert_int_equal(seen.out, 2);
        aside_free(aside);
        sd_event_unref(event);
        close(pipes[0]);
        close(pipes[1]);
}

static void test_left_alone(void **state)
{
        sd_event *event = new_event();
        struct job job;
        aside *aside;
        int pipes[2];

        assert_int_equal(pipe(pipes), 0);
        job = (struct job){pipes[0], 1, 0};
        assert_int_equal(aside_new(&aside, event), 0);
        assert_int_equal(aside_run(aside, &job, sizeof(job), work, 60 * USEC_PER_SEC, on_done, NULL), 0);
        aside_free(aside); /* does not wait */
        assert_int_equal(write(pipes[1], "x", 1), 1);
        assert_true(sd_event_run(event, 1000) >= 0);
        assert_int_equal(seen.done, 0);
        close(pipes[1]);
        sd_event_unref(event);
        /* pipes[0] is the thread's: it may still be reading. */
}

/* --- what owns something -------------------------------------------------------------------------------- */

struct owner {
        int fd; /* read from, unless it is -1 */
        char *text;
};

static atomic_uint cleared;

static void fill(void *data)
{
        struct owner *owner = data;
        char byte;

        if (owner->fd >= 0 && read(owner->fd, &byte, 1) < 0)
                return;
        owner->text = strdup("found");
}

static void clear(void *data)
{
        free(((struct owner *)data)->text);
        atomic_fetch_add(&cleared, 1);
}

static void on_filled(int result, void *data, void *userdata)
{
        struct owner *owner = data;

        seen.result = result;
        seen.done++;
        if (!owner)
                return;
        assert_int_equal(atomic_load(&cleared), 0); /* not before it was told */
        *(char **)userdata = owner->text;
        owner->text = NULL;
}

static void wait_cleared(void)
{
        for (int i = 0; i < PATIENCE_MS && atomic_load(&cleared) == 0; i++)
                usleep(1000);
        assert_int_equal(atomic_load(&cleared), 1);
}

/* In time: what was found is moved out. Late: nobody takes it, and it is cleared all the same (by the leak
 * sanitizer's word too). */
static void test_owned(void **state)
{
        sd_event *event = new_event();
        struct owner owner = {.fd = -1};
        aside *aside;
        char *found = NULL;
        int pipes[2];

        atomic_store(&cleared, 0);
        assert_int_equal(aside_new(&aside, event), 0);
        assert_int_equal(aside_run_owning(aside, &owner, sizeof(owner), fill, clear, 60 * USEC_PER_SEC,
                                          on_filled, &found),
                         0);
        wait_done(event);
        assert_string_equal(found, "found");
        free(found);
        wait_cleared();

        assert_int_equal(pipe(pipes), 0);
        atomic_store(&cleared, 0);
        seen.done = 0;
        found = NULL;
        owner.fd = pipes[0];
        assert_int_equal(aside_run_owning(aside, &owner, sizeof(owner), fill, clear, 1000, on_filled, &found),
                         0);
        wait_done(event);
        assert_int_equal(seen.result, -ETIMEDOUT);
        assert_null(found);
        aside_free(aside);
        assert_int_equal(atomic_load(&cleared), 0); /* the thread still has it */
        assert_int_equal(write(pipes[1], "x", 1), 1);
        wait_cleared();
        sd_event_unref(event);
        close(pipes[0]);
        close(pipes[1]);
}

/* However many asides are made for one question and let go of, the threads that hang behind them are bounded,
 * and take nothing from the others. */
static void test_bound(void **state)
{
        sd_event *event = new_event();
        struct job job;
        aside *aside;
        int pipes[2], r = 0;
        unsigned begun = 0;

        assert_int_equal(pipe(pipes), 0);
        job = (struct job){pipes[0], 1, 0};
        while (r == 0 && begun <= 2 * ASIDES_ONCE_MOST) {
                assert_int_equal(aside_new_once(&aside, event), 0);
                r = aside_run(aside, &job, sizeof(job), work, 60 * USEC_PER_SEC, on_done, NULL);
                begun += r == 0;
                aside_free(aside);
        }
        assert_int_equal(r, -EAGAIN);
        assert_int_equal(begun, ASIDES_ONCE_MOST);
        assert_int_equal(aside_new(&aside, event), 0);
        job.fd = -1;
        assert_int_equal(aside_run(aside, &job, sizeof(job), work, 60 * USEC_PER_SEC, on_done, NULL), 0);
        wait_done(event);
        aside_free(aside);
        seen.done = 0;
        close(pipes[1]);
        /* They end, and there is room again. */
        assert_int_equal(aside_new_once(&aside, event), 0);
        for (int i = 0; i < PATIENCE_MS; i++, usleep(1000)) {
                r = aside_run(aside, &job, sizeof(job), work, 60 * USEC_PER_SEC, on_done, NULL);
                if (r != -EAGAIN)
                        break;
        }
        assert_int_equal(r, 0);
        wait_done(event);
        aside_free(aside);
        sd_event_unref(event);
        /* pipes[0] is the threads': one may still be reading. */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_done),  cmocka_unit_test(test_hung),  cmocka_unit_test(test_left_alone),
                cmocka_unit_test(test_owned), cmocka_unit_test(test_bound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
