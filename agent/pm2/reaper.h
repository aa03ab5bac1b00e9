/* Ends processes: a signal, their time, SIGKILL; many at once, each held by a pidfd. Part of stop.h. */
#pragma once

#include <systemd/sd-event.h>

#include "agent/pm2/process.h"

typedef struct reaper reaper;

/* Called when the last process has ended: killed is how many needed SIGKILL. Also when each of those that are
 * left has outlived that by ten seconds: left is how many. */
typedef void (*reaper_done)(void *userdata, size_t killed, size_t left);
/* One less. */
typedef void (*reaper_progress)(void *userdata, size_t ended, size_t total);

int reaper_new(reaper **ret, sd_event *event, reaper_progress progress, reaper_done done, void *userdata);
reaper *reaper_free(reaper *self);

/* Signals the process now and kills it after grace_us. 0 also where it has gone already. */
int reaper_add(reaper *self, const struct process_fact *fact, int signal, uint64_t grace_us);
/* Waits for what was added; done comes from the loop. To be called once. */
int reaper_wait(reaper *self);
