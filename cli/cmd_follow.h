/* Following a run: its journal as it grows, its progress, its end.
 *
 * On a terminal the events scroll by above a block that shows the steps under way and what is left; elsewhere
 * each event is one line and progress is not shown. A link that is lost is dialled again for a minute, and
 * the run is taken up at the next event: the run itself does not need us. Ctrl-C leaves and says how to come
 * back. */
#pragma once

#include "cli/connect.h"
#include "proto/fleet.pb-c.h"

struct follow_options {
        const char *run; /* "" the newest */
        bool json;       /* one object an update */
        bool once;       /* only what the journal holds now */
};

/* What the run left down, and the commands that bring it up: clean, each line behind the indent. "" where it
 * left nothing. The caller's to free; NULL: out of memory. */
char *way_up_text(const Muster__V1__RunSummary *summary, const char *indent);

/* Returns the exit code: how the run ended (0, 1, 3), 4 as soon as it is paused (what would move it is said),
 * 3 when it was left before its end, 5 when the controller did not come back. With once: 0. */
int follow_run(session *session, const struct follow_options *options);
