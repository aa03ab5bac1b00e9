/* What a PM2 daemon leaves behind that was killed, or that lost its socket: apps that run on without anybody
 * to look after them, holding the ports that their successors need, and perhaps the daemon itself. */
#pragma once

#include "agent/pm2/home.h"
#include "agent/pm2/process.h"

struct pm2_leftover {
        struct process_fact fact;
        bool daemon;
        uint32_t kill_timeout_ms; /* an app's own, 0: none */
};

/* To be asked only when no daemon answers at the home's socket. Finds processes of the home's user: daemons
 * by the title that PM2 gives itself, apps by the pid file in their environment. Reads /proc, which takes
 * some milliseconds on a host with many processes. The caller frees *ret. */
int pm2_leftovers_find(const struct pm2_home *home, struct pm2_leftover **ret, size_t *ret_count);

/* What an environment block (NUL-separated, of size bytes) says of the home. Pure. */
enum pm2_marks {
        PM2_MARK_HOME = 1, /* PM2_HOME is this home */
        PM2_MARK_PIDS = 2, /* the pid file of an app lies in this home */
        PM2_MARK_APP = 4,  /* it has a pm_id: an app, not the daemon */
};
unsigned pm2_environment_marks(const char *block, size_t size, const char *home);
/* The kill_timeout, in milliseconds, that PM2 gives an app with its other settings; 0: none, or no number; at
 * most an hour. Pure. */
uint32_t pm2_environment_kill_timeout(const char *block, size_t size);
/* Whether a command line is the title PM2's daemon gives itself; it may be cut anywhere in the home's name.
 */
bool pm2_title_is_daemon(const char *line, size_t size);
