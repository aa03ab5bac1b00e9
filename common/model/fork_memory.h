/* Whether a host's memory does for the fork of a rewrite or a save; one judgement for the check and for the
 * operation. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The host's, and vm.overcommit_memory (proc(5)). */
struct fork_memory {
        bool overcommit;     /* it is 1: no fork is refused, and copies are needed for what is written */
        bool commit_limited; /* it is 2: a fork counts as if all of it were written to, whatever is free */
        uint64_t commit_left, available, swap_free; /* bytes */
};

/* Whether there is enough for a process that uses so many bytes: with a limit all of it, by what may still be
 * promised; else, of what is available and of the swap, a quarter for copies, and half where the kernel
 * guesses whether it grants the fork. ret_needed, ret_there: both sides of that, in bytes. */
bool fork_memory_fits(const struct fork_memory *memory, uint64_t used, uint64_t *ret_needed,
                      uint64_t *ret_there);
