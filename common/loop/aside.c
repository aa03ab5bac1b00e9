/* See aside.h. The thread and the loop share one task, freed by whoever lets go of it last; an eventfd of the
 * task's own tells the loop that the work is done. */
#include "common/loop/aside.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/cleanup.h"

/* Deep JSON is read by recursion; pages that are not used cost nothing. */
#define STACK_SIZE (8u << 20)

struct task {
        atomic_uint owners; /* the thread and the aside */
        atomic_bool ended;
        bool once;
        int fd;
        void (*work)(void *data);
        void (*clear)(void *data); /* may be NULL */
        max_align_t data[];
};

struct aside {
        sd_event *event;
        bool once;
        struct task *task; /* NULL: none was begun, or it has ended */
        sd_event_source *ended, *timer;
        aside_done done; /* NULL: nobody waits for it any more */
        void *userdata;
};

static atomic_uint once_threads; /* of asides for one question */

static void task_release(struct task *task)
{
        if (atomic_fetch_sub_explicit(&task->owners, 1, memory_order_acq_rel) > 1)
                return;
        if (task->clear)
                task->clear(task->data);
        close(task->fd);
        free(task);
}

static void *run(void *userdata)
{
        const uint64_t one = 1;
        struct task *task = userdata;
        bool once = task->once;

        task->work(task->data);
        atomic_store_explicit(&task->ended, true, memory_order_release);
        if (write(task->fd, &one, sizeof(one)) < 0)
                abort(); /* a counter of one cannot be full */
        task_release(task);
        if (once)
                atomic_fetch_sub(&once_threads, 1);
        return NULL;
}

static void stop_waiting(aside *aside)
{
        aside->ended = sd_event_source_disable_unref(aside->ended);
        aside->timer = sd_event_source_disable_unref(aside->timer);
        aside->done = NULL;
}

static int on_ended(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        aside *aside = userdata;
        struct task *task = TAKE(aside->task);
        aside_done done = aside->done;
        void *waiting = aside->userdata;

        (void)atomic_load_explicit(&task->ended, memory_order_acquire);
        stop_waiting(aside);
        done(0, task->data, waiting);
        task_release(task);
        return 0;
}

static int on_late(sd_event_source *source, uint64_t now_us, void *userdata)
{
        aside *aside = userdata;
        aside_done done = aside->done;
        void *waiting = aside->userdata;

        stop_waiting(aside);
        done(-ETIMEDOUT, NULL, waiting);
        return 0;
}

static int make(aside **ret, sd_event *event, bool once)
{
        aside *made = calloc(1, sizeof(*made));

        if (!made)
                return -ENOMEM;
        *made = (aside){.event = event, .once = once};
        *ret = made;
        return 0;
}

int aside_new(aside **ret, sd_event *event)
{
        return make(ret, event, false);
}

int aside_new_once(aside **ret, sd_event *event)
{
        return make(ret, event, true);
}

void aside_forget(aside *aside)
{
        stop_waiting(aside);
}

aside *aside_free(aside *aside)
{
        if (!aside)
                return NULL;
        stop_waiting(aside);
        if (aside->task)
                task_release(aside->task);
        free(aside);
        return NULL;
}

/* Signals are the loop's. */
static int start_thread(struct task *task)
{
        pthread_attr_t attributes;
        sigset_t all, before;
        pthread_t thread;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&thread, &attributes, run, task);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return -r;
}

static int start(struct task *task)
{
        int r;

        if (!task->once)
                return start_thread(task);
        r = atomic_fetch_add(&once_threads, 1) < ASIDES_ONCE_MOST ? start_thread(task) : -EAGAIN;
        if (r < 0)
                atomic_fetch_sub(&once_threads, 1);
        return r;
}

int aside_run(aside *aside, const void *data, size_t size, void (*work)(void *data), uint64_t deadline_us,
              aside_done done, void *userdata)
{
        return aside_run_owning(aside, data, size, work, NULL, deadline_us, done, userdata);
}

int aside_run_owning(aside *aside, const void *data, size_t size, void (*work)(void *data),
                     void (*clear)(void *data), uint64_t deadline_us, aside_done done, void *userdata)
{
        struct task *task;
        int r;

        if (aside->done || (aside->task && !atomic_load_explicit(&aside->task->ended, memory_order_acquire)))
                return -EBUSY;
        if (aside->task) /* it hung, and has ended since */
                task_release(TAKE(aside->task));
        task = malloc(sizeof(*task) + size);
        if (!task)
                return -ENOMEM;
        *task = (struct task){.owners = 1,
                              .once = aside->once,
                              .work = work,
                              .clear = clear,
                              .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        memcpy(task->data, data, size);
        r = task->fd < 0 ? -errno : 0;
        if (r == 0)
                r = sd_event_add_io(aside->event, &aside->ended, task->fd, EPOLLIN, on_ended, aside);
        if (r >= 0)
                r = sd_event_add_time_relative(aside->event, &aside->timer, CLOCK_BOOTTIME, deadline_us, 0,
                                               on_late, aside);
        if (r >= 0) {
                atomic_store(&task->owners, 2);
                r = start(task);
        }
        if (r < 0) {
                stop_waiting(aside);
                if (task->fd >= 0)
                        close(task->fd);
                free(task);
                return r;
        }
        aside->task = task;
        aside->done = done;
        aside->userdata = userdata;
        return 0;
}
