/* The clock, the queue, the die and the trace. */
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define TRACE_LINES 4000

uint64_t sim_random(struct sim *sim, uint64_t below)
{
        uint64_t z = sim->random += 0x9e3779b97f4a7c15ull; /* splitmix64 */

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        z ^= z >> 31;
        return below ? z % below : 0;
}

uint64_t sim_between(struct sim *sim, uint64_t low_us, uint64_t high_us)
{
        return low_us + sim_random(sim, high_us - low_us + 1);
}

static struct sim *dealt; /* to: the world that is being run */

static const char *die_name(void)
{
        return "sim";
}

static uint32_t die_random(void)
{
        return (uint32_t)sim_random(dealt, 1ull << 32);
}

static void die_fill(void *bytes, const size_t size)
{
        unsigned char *out = bytes;

        for (size_t i = 0; i < size; i++)
                out[i] = (unsigned char)sim_random(dealt, 256);
}

void sim_deal(struct sim *sim)
{
        static struct randombytes_implementation die = {
                .implementation_name = die_name, .random = die_random, .buf = die_fill};

        dealt = sim;
        randombytes_set_implementation(&die);
}

bool sim_fault(struct sim *sim, double odds)
{
        bool happens = (double)sim_random(sim, 1000000) < odds * 1e6;

        if (!happens || sim->now_us > FAULTS_UNTIL)
                return false;
        sim->faults++;
        sim->last_fault_us = sim->now_us;
        return true;
}

static bool is_before(const struct happening *a, const struct happening *b)
{
        return a->time_us != b->time_us ? a->time_us < b->time_us : a->order < b->order;
}

void sim_later(struct sim *sim, uint64_t delay_us, sim_action action, size_t host, uint64_t tag, void *data)
{
        size_t at = sim->heap_count++;

        if (at == sim->heap_room) {
                sim->heap_room = sim->heap_room ? sim->heap_room * 2 : 256;
                sim->heap = realloc(sim->heap, sim->heap_room * sizeof(*sim->heap));
                if (!sim->heap)
                        abort();
        }
        sim->heap[at] = (struct happening){sim->now_us + delay_us, sim->order++, action, host, tag, data};
        while (at > 0 && is_before(&sim->heap[at], &sim->heap[(at - 1) / 2])) {
                struct happening swap = sim->heap[at];

                sim->heap[at] = sim->heap[(at - 1) / 2];
                sim->heap[(at - 1) / 2] = swap;
                at = (at - 1) / 2;
        }
}

void sim_say(struct sim *sim, const char *format, ...)
{
        char text[1400], line[1500];
        va_list arguments;

        if (sim->quiet)
                return;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        snprintf(line, sizeof(line), "%10.3f  %s", (double)sim->now_us / 1e6, text);
        if (sim->trace) {
                puts(line);
                return;
        }
        if (!sim->lines)
                sim->lines = calloc(TRACE_LINES, sizeof(*sim->lines));
        if (!sim->lines)
                abort();
        free(sim->lines[sim->line_count % TRACE_LINES]);
        sim->lines[sim->line_count++ % TRACE_LINES] = strdup(line);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(sim->failure, sizeof(sim->failure), format, arguments);
        va_end(arguments);
        longjmp(sim->failed, 1);
}

void boot_name(char out[BOOT_ID_SIZE], size_t host, unsigned boot)
{
        int n = snprintf(out, BOOT_ID_SIZE, "%016zx%016x", host + 1, boot / BOOTS_OF_KERNEL);

        if (boot % BOOTS_OF_KERNEL)
                snprintf(out + n, BOOT_ID_SIZE - (size_t)n, "+%u", boot);
}
