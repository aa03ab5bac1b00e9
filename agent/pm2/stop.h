/* Stopping all apps of a home at once.
 *
 * Each app gets PM2's signal and its own kill_timeout, then SIGKILL; its whole process tree where PM2 would
 * take that. With end_daemon the daemon is told that it is being killed (so that it starts nothing again),
 * the signals go out from here, to processes held by pidfd, while PM2 sends its message to those that listen
 * for that, and the daemon ends by its own killMe, which leaves its dump alone: a daemon that is terminated
 * with its apps stopped writes that down as what to resurrect. Without it PM2 stops each app itself, all
 * asked at once, and lives on.
 *
 * Whatever PM2 and the apps do it ends: each call and each app has its time. That may be long, as long as the
 * longest kill_timeout; progress is told in it (done and total are milliseconds). */
#pragma once

#include <jansson.h>
#include <systemd/sd-event.h>

#include "agent/pm2/home.h"
#include "common/base/error.h"

typedef struct pm2_stop pm2_stop;

struct pm2_stop_options {
        bool end_daemon;
        bool leave_stuck; /* with end_daemon: what does not end even when killed (it runs no code of its own
                             any more) is left behind, and the daemon ended */
        const json_t *daemon_env; /* of a daemon that is gone, which says how its apps are to end; borrowed
                                     until the stop is freed, NULL: not known */
};

struct pm2_stop_result {
        size_t apps;      /* in PM2's list */
        size_t running;   /* of these, running when it began */
        size_t killed;    /* processes that had to be killed */
        size_t stuck;     /* processes left behind */
        size_t leftovers; /* processes of apps whose daemon was gone */
        bool no_daemon;   /* none answered */
        uint64_t took_us;
};

typedef void (*pm2_stop_progress)(void *userdata, uint64_t done, uint64_t total, const char *text);
/* r 0: no app of the home runs any more. Negative: error says what still does. Once, from the loop. */
typedef void (*pm2_stop_done)(void *userdata, int r, const struct pm2_stop_result *result,
                              const struct error *error);

int pm2_stop_new(pm2_stop **ret, sd_event *event, const struct pm2_home *home,
                 const struct pm2_stop_options *options, pm2_stop_progress progress, pm2_stop_done done,
                 void *userdata, struct error *error);
/* What was signalled stays so. */
pm2_stop *pm2_stop_free(pm2_stop *self);
