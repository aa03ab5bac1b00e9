/* A host before and after its reboot. What it was like before is noted in the journal as figures, bounded;
 * when it has come back and settled, it is compared with that, and what is different has a name. Pure. */
#pragma once

#include "common/model/operation.h"
#include "common/model/state.h"

/* What a note takes at most: words are packed, many to a figure. What does not fit is left out by kind, as a
 * whole, and the note says so: no half list is ever compared. */
#define NOTE_FIGURES_MAX 64

struct host_note {
        struct figure *figures; /* owned */
        size_t count;
};
void host_note_clear(struct host_note *note);

/* clock_us: the controller's own, when the state came. 0 or -ENOMEM. */
int host_note_take(struct host_note *ret, const struct host_state *host, uint64_t clock_us);
/* -E2BIG: more than a note may hold. */
int host_note_append(struct host_note *note, const struct figure *figures, size_t count);
/* "3 failed units, 12 mounts, 9 ports, kernel 6.1.0-28-amd64" */
void host_note_text(const struct host_note *note, char *out, size_t size);

/* What is different, most important first, at most FIGURE_MAX: the names of host_difference_text, and what.
 * same_kernel: it was not to be another one. ret_late: something is gone that may only be late. 0 or -ENOMEM.
 */
int host_note_compare(const struct host_note *before, const struct host_note *after, bool same_kernel,
                      struct figure ret[FIGURE_MAX], size_t *ret_count, bool *ret_late);

/* "mount gone" for "mount-gone"; the name itself for others. */
const char *host_difference_text(const char *name);
/* Whether it is one that somebody has to look at, not only to know of. */
bool host_difference_is_bad(const char *name);
