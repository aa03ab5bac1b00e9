/* See fork_memory.h. */
#include "common/model/fork_memory.h"

bool fork_memory_fits(const struct fork_memory *memory, uint64_t used, uint64_t *ret_needed,
                      uint64_t *ret_there)
{
        *ret_needed = memory->commit_limited ? used : memory->overcommit ? used / 4 : used / 2;
        *ret_there = memory->commit_limited ? memory->commit_left : memory->available + memory->swap_free;
        return *ret_there >= *ret_needed;
}
