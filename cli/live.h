/* The block at the foot of the terminal while a run is followed: the steps under way with their progress, and
 * what is left. Drawn over itself; lines printed meanwhile go above it. Without a terminal it does nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/terminal.h"

#define LIVE_STEPS_MAX 65536 /* a step beyond is not shown; what follows from it is */

struct live_step {
        char state;     /* first letter of its state's word: w, r, d, f, s; 0: not heard of */
        char name[128]; /* clean: what was said when it began */
        char text[160]; /* clean: the last thing said of its progress */
        uint64_t done, total;
};

struct live {
        struct terminal terminal;
        struct live_step *steps; /* owned, by index */
        size_t step_count;
        size_t total; /* of the plan; 0: not known */
        uint64_t left_low_ms, left_high_ms;
        unsigned drawn; /* lines on the screen */
        uint64_t drawn_us;
};

void live_clear(struct live *live);

/* What an update says of a step; state "" is unchanged, progress tells what text is about. Out of memory: the
 * step is not shown. */
void live_step(struct live *live, int step, const char *state, bool progress, const char *text, uint64_t done,
               uint64_t total);
/* Steps that are done or skipped. */
size_t live_settled(const struct live *live);

/* Before a line is printed, and after. draw() without force does nothing within 100 ms of the last one. */
void live_erase(struct live *live);
void live_draw(struct live *live, bool force);
