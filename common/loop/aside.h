/* Work that may hang, beside the loop: looking at files on a disk or a network file system that does not
 * answer blocks whoever looks, and no signal ends that. An aside does one such thing at a time on a thread of
 * its own.
 *
 * The thread sees nothing but the data it is given. When the time is over the loop goes on without it; a
 * thread that hangs stays until the file system answers or the program ends, and until then its aside does no
 * more: one thread an aside is the bound. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct aside aside;

/* On the loop's thread, exactly once an aside_run. result 0: data is as work left it, valid during the call;
 * -ETIMEDOUT: data is NULL. The aside may be run again, or freed, from within. */
typedef void (*aside_done)(int result, void *data, void *userdata);

int aside_new(aside **ret, sd_event *event);
/* done does not come any more. Never waits: a thread that still works lets go of what it holds when it ends.
 */
aside *aside_free(aside *aside);

/* Copies size bytes of data and runs work on the copy. work must free what it allocates itself: nobody looks
 * at data whose time was over. -EBUSY: the former work has not ended, or has not been told; -ENOMEM, -EAGAIN.
 * Then done does not come. */
int aside_run(aside *aside, const void *data, size_t size, void (*work)(void *data), uint64_t deadline_us,
              aside_done done, void *userdata);
