/* When a tile38's AOFSHRINK is given up on. tile38 itself bounds it by nothing: it may hang, or write more
 * than it was to make smaller, until the disk is full. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

struct shrink_bound {
        uint64_t began_us, limit_us; /* monotonic; how long all may take */
        uint64_t stall_us;           /* how long it may go without having written anything */
        uint64_t work_bytes, grew_us;
};

/* One look at it while it is at work. */
struct shrink_sight {
        bool files;          /* they can be seen from here */
        uint64_t aof_bytes;  /* the file that is to be replaced, what was added meanwhile included */
        uint64_t work_bytes; /* the file that is to replace it, so far */
        bool disk_known;
        uint64_t disk_available; /* bytes */
};

/* deadline_us: the operation's, which must not come first, as it cannot say what is left. */
void shrink_bound_begin(struct shrink_bound *bound, uint64_t now_us, uint64_t deadline_us);

/* 0: go on. Given up: -ETIMEDOUT (too long as a whole, or without progress), -EFBIG (it has outgrown what it
 * is to replace) or -ENOSPC (it is about to fill its disk), with what it did as the text: "has not …". */
int shrink_bound_look(struct shrink_bound *bound, uint64_t now_us, const struct shrink_sight *sight,
                      struct error *error);
