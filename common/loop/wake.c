/* See wake.h. Posters push onto a shared stack; the loop takes the whole stack at once and turns it around,
 * so that items run in the order in which they were posted and no poster ever meets a freed one. */
#include "common/loop/wake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/cleanup.h"

struct wake {
        _Atomic(struct wake_item *) stack; /* the newest first */
        struct wake_item *batch;           /* taken by the loop, the oldest first */
        sd_event_source *source;
        void (*begin)(void *userdata);
        void (*end)(void *userdata);
        void *userdata;
        int fd;
};

DEFINE_CLEANUP(wake *, wake_free);

/* Moves what was posted behind what is left of the batch. */
static void wake_take(wake *wake)
{
        struct wake_item *taken = atomic_exchange_explicit(&wake->stack, NULL, memory_order_acquire);
        struct wake_item *ordered = NULL, **end = &wake->batch;

        while (taken) {
                struct wake_item *item = taken;

                taken = item->next;
                item->next = ordered;
                ordered = item;
        }
        while (*end)
                end = &(*end)->next;
        *end = ordered;
}

static int wake_dispatch(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        wake *wake = userdata;

        /* The eventfd is watched for edges and never read: each write is an edge of its own. */
        if (wake->begin)
                wake->begin(wake->userdata);
        wake_take(wake);
        while (wake->batch) {
                struct wake_item *item = wake->batch;

                wake->batch = item->next;
                atomic_store_explicit(&item->waiting, false, memory_order_release);
                item->run(item);
        }
        if (wake->end)
                wake->end(wake->userdata);
        return 0;
}

int wake_new(wake **ret, sd_event *event, void (*begin)(void *userdata), void (*end)(void *userdata),
             void *userdata)
{
        cleanup_with(wake_freep) wake *made = calloc(1, sizeof(*made));
        int r;

        if (!made)
                return -ENOMEM;
        made->begin = begin;
        made->end = end;
        made->userdata = userdata;
        made->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (made->fd < 0)
                return -errno;
        r = sd_event_add_io(event, &made->source, made->fd, EPOLLIN | EPOLLET, wake_dispatch, made);
        if (r < 0)
                return r;
        sd_event_source_set_description(made->source, "wake");
        *ret = TAKE(made);
        return 0;
}

wake *wake_free(wake *wake)
{
        if (!wake)
                return NULL;
        sd_event_source_disable_unref(wake->source);
        if (wake->fd >= 0)
                close(wake->fd);
        free(wake);
        return NULL;
}

void wake_post(wake *wake, struct wake_item *item)
{
        struct wake_item *newest;
        const uint64_t one = 1;

        if (atomic_exchange_explicit(&item->waiting, true, memory_order_acq_rel))
                return;
        newest = atomic_load_explicit(&wake->stack, memory_order_relaxed);
        do
                item->next = newest;
        while (!atomic_compare_exchange_weak_explicit(&wake->stack, &newest, item, memory_order_release,
                                                      memory_order_relaxed));
        /* It can only fail on a counter that is full, and then the edge is there already. */
        if (!newest && write(wake->fd, &one, sizeof(one)) < 0)
                return;
}

void wake_forget(wake *wake, struct wake_item *item)
{
        if (!atomic_load_explicit(&item->waiting, memory_order_acquire))
                return;
        wake_take(wake);
        for (struct wake_item **at = &wake->batch; *at; at = &(*at)->next)
                if (*at == item) {
                        *at = item->next;
                        atomic_store_explicit(&item->waiting, false, memory_order_release);
                        return;
                }
}
