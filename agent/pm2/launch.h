/* The start of a daemon's process: what is run, as whom, with which environment. Part of daemon.h. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "agent/pm2/state.h"
#include "common/base/buffer.h"

struct launch;

typedef void (*launch_done)(void *userdata, int r, const struct error *error);

/* done comes once from the loop, when the process was handed to systemd or detached. Negative: not begun. */
int launch_new(struct launch **ret, sd_event *event, sd_bus *bus, const struct pm2_home *home,
               const struct pm2_daemon_facts *facts, launch_done done, void *userdata, struct error *error);
struct launch *launch_free(struct launch *launch);

/* The shell text that sets the daemon's environment: one export a variable, quoted. Names that no shell takes
 * and variables that belong to one process alone (sockets and watchdogs handed over by systemd) are left out.
 * Pure. */
int launch_environment(struct buffer *ret, const struct pm2_home *home, const struct pm2_daemon_facts *facts);

/* Finds node and Daemon.js: as the daemon had them, or where npm puts them. Both arrays PATH_SIZE. */
int launch_find(const struct pm2_daemon_facts *facts, char ret_node[PATH_SIZE], char ret_script[PATH_SIZE],
                struct error *error);
