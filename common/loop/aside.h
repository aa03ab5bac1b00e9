/* Work that may hang, beside the loop: looking at files on a disk or a network file system that does not
 * answer blocks whoever looks, and no signal ends that. An aside does one such thing at a time on a thread of
 * its own.
 *
 * The thread sees nothing but the data it is given. When the time is over the loop goes on without it; a
 * thread that hangs stays until the file system answers or the program ends, and until then its aside does no
 * more: one thread an aside is the bound. Whoever makes an aside for one question and lets go of it (an
 * operation) could pile up threads behind a disk that hangs: of those there are ASIDES_ONCE_MOST at most. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define ASIDES_ONCE_MOST 32u /* threads at a time, those that hang included */

typedef struct aside aside;

/* On the loop's thread, exactly once an aside_run. result 0: data is as work left it, valid during the call;
 * -ETIMEDOUT: data is NULL. The aside may be run again, or freed, from within. */
typedef void (*aside_done)(int result, void *data, void *userdata);

int aside_new(aside **ret, sd_event *event);
int aside_new_once(aside **ret, sd_event *event);
/* done does not come any more. Never waits: a thread that still works lets go of what it holds when it ends.
 */
aside *aside_free(aside *aside);
/* done does not come any more; the aside stays, and may be run again once the thread has ended. */
void aside_forget(aside *aside);

/* Copies size bytes of data and runs work on the copy. work must free what it allocates itself: nobody looks
 * at data whose time was over. -EBUSY: the former work has not ended, or has not been told; -ENOMEM; -EAGAIN:
 * there are as many threads as there may be. Then done does not come. */
int aside_run(aside *aside, const void *data, size_t size, void (*work)(void *data), uint64_t deadline_us,
              aside_done done, void *userdata);

/* The same for data that own something: from success on they are the aside's, which calls clear on them once,
 * when nobody needs them any more; on the loop's thread after done, which may have moved things out of them,
 * or on whichever thread is the last. */
int aside_run_owning(aside *aside, const void *data, size_t size, void (*work)(void *data),
                     void (*clear)(void *data), uint64_t deadline_us, aside_done done, void *userdata);
