/* Starting a PM2 daemon for a home that has none, so that it outlives the agent.
 *
 * The daemon is PM2's own Daemon.js on the node that ran it before, as the home's user, with the environment
 * it had then (which cluster-mode apps inherit). Where systemd is there it becomes a transient service of its
 * own, muster-pm2-<home id>.service, or …-2 and so on where something is left of that; elsewhere a process in
 * a session of its own, child of nobody. The environment goes in over standard input: nothing of it stands in
 * an argument, a unit property or a file. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "agent/pm2/state.h"
#include "common/base/error.h"

typedef struct pm2_daemon pm2_daemon;

/* r 0: the daemon answers at its socket. Negative: error says why, with the last lines of its log. Once. The
 * object is still to be freed, from here or later. */
typedef void (*pm2_daemon_done)(void *userdata, int r, const struct error *error);

/* facts: the daemon as it was, or NULL (then node and PM2 are looked for where npm puts them). bus: the
 * system bus, or NULL for a plain process. Negative: not begun. */
int pm2_daemon_new(pm2_daemon **ret, sd_event *event, sd_bus *bus, const struct pm2_home *home,
                   const struct pm2_daemon_facts *facts, uint64_t timeout_us, pm2_daemon_done done,
                   void *userdata, struct error *error);
/* Stops waiting; a daemon that was started goes on. */
pm2_daemon *pm2_daemon_free(pm2_daemon *daemon);
