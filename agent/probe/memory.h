/* What a host's memory allows: /proc/meminfo and the kernel's rule for promising more than there is
 * (vm.overcommit_memory, proc(5)). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct memory_facts {
        bool known;                                       /* /proc/meminfo could be read */
        uint64_t total, available, swap_total, swap_free; /* bytes */
        bool overcommit;                                  /* mode 1: every promise is made */
        bool commit_limited;  /* mode 2: promises are counted, and refused beyond a limit */
        uint64_t commit_left; /* of that limit, in bytes */
};

void memory_read(struct memory_facts *ret);

/* By the texts of both files; an empty one was not read. Pure. */
void memory_parse(struct memory_facts *ret, const char *meminfo, const char *overcommit);
