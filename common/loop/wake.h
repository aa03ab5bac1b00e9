/* The hand-over from other threads to the loop's thread: a queue of items and an eventfd.
 *
 * nng calls back on threads of its own. Such a callback posts an item and returns; the loop runs the item on
 * its own thread. The queue is intrusive and an item waits in it at most once, so it never allocates, never
 * refuses and never grows beyond the items that exist: one for each operation that was started. Posting takes
 * no lock; the eventfd is written only when the queue was empty. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

typedef struct wake wake;

/* Part of whatever is waited for; zero it, set run, and leave the rest alone. */
struct wake_item {
        struct wake_item *next;
        atomic_bool waiting;
        /* On the loop's thread. May free the item. */
        void (*run)(struct wake_item *item);
};

/* begin and end (either may be NULL) run before and after each batch of items, on the loop's thread. Returns
 * 0 or negative errno. */
int wake_new(wake **ret, sd_event *event, void (*begin)(void *userdata), void (*end)(void *userdata),
             void *userdata);
/* No thread may post any more. Items that still wait are dropped without being run. */
wake *wake_free(wake *wake);

/* Any thread. An item that waits already is not added again: what was true of the first post holds for both.
 * Everything written before the post is seen by run. */
void wake_post(wake *wake, struct wake_item *item);

/* The loop's thread, when no other thread can post this item any more: it will not be run, and may be freed.
 */
void wake_forget(wake *wake, struct wake_item *item);
