/* See memory.h. */
#include "agent/probe/memory.h"

#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"

/* "KEY:   123 kB" at the start of a line. */
static uint64_t bytes_of(const char *text, const char *key)
{
        size_t length = strlen(key);
        unsigned long long kilobytes;

        for (const char *at = strstr(text, key); at; at = strstr(at + 1, key))
                if ((at == text || at[-1] == '\n') && sscanf(at + length, ": %llu kB", &kilobytes) == 1)
                        return kilobytes * 1024;
        return 0;
}

void memory_parse(struct memory_facts *ret, const char *meminfo, const char *overcommit)
{
        uint64_t limit = bytes_of(meminfo, "CommitLimit"), committed = bytes_of(meminfo, "Committed_AS");

        *ret = (struct memory_facts){
                .known = meminfo[0] != '\0',
                .total = bytes_of(meminfo, "MemTotal"),
                .available = bytes_of(meminfo, "MemAvailable"),
                .swap_total = bytes_of(meminfo, "SwapTotal"),
                .swap_free = bytes_of(meminfo, "SwapFree"),
                .overcommit = overcommit[0] == '1',
                .commit_limited = overcommit[0] == '2' && limit > 0,
                .commit_left = limit > committed ? limit - committed : 0,
        };
}

void memory_read(struct memory_facts *ret)
{
        cleanup_free char *meminfo = NULL, *overcommit = NULL;

        (void)file_read("/proc/meminfo", 65536, &meminfo, NULL, NULL);
        (void)file_read("/proc/sys/vm/overcommit_memory", 64, &overcommit, NULL, NULL);
        memory_parse(ret, meminfo ? meminfo : "", overcommit ? overcommit : "");
}
