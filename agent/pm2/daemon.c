/* See daemon.h. */
#include "agent/pm2/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/pm2/client.h"
#include "agent/pm2/launch.h"
#include "common/base/buffer.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define RETRY_US (20 * USEC_PER_MSEC)

struct pm2_daemon {
        sd_event *event;
        struct pm2_home home;
        struct launch *launch;
        pm2_client *client;
        sd_event_source *retry, *deadline;
        pm2_daemon_done done;
        void *userdata;
        struct error last; /* why the socket did not answer */
};

pm2_daemon *pm2_daemon_free(pm2_daemon *daemon)
{
        if (!daemon)
                return NULL;
        launch_free(daemon->launch);
        pm2_client_free(daemon->client);
        sd_event_source_disable_unref(daemon->retry);
        sd_event_source_disable_unref(daemon->deadline);
        sd_event_unref(daemon->event);
        free(daemon);
        return NULL;
}
DEFINE_CLEANUP(pm2_daemon *, pm2_daemon_free);

/* The callee may free the daemon: nothing is touched after. */
static void finish(pm2_daemon *daemon, int r, const struct error *error)
{
        daemon->launch = launch_free(daemon->launch);
        daemon->client = pm2_client_free(daemon->client);
        daemon->retry = sd_event_source_disable_unref(daemon->retry);
        daemon->deadline = sd_event_source_disable_unref(daemon->deadline);
        daemon->done(daemon->userdata, r, error);
}

static void fail(pm2_daemon *daemon, int r, const char *what)
{
        char path[PATH_SIZE + 16], lines[ERROR_TEXT_SIZE / 2];
        struct error error = {0};

        snprintf(path, sizeof(path), "%s/pm2.log", daemon->home.path);
        if (pm2_home_tail(&daemon->home, path, 0, lines, sizeof(lines)) < 0 || !lines[0])
                snprintf(lines, sizeof(lines), "nothing");
        error_set(&error, r, "the PM2 daemon of %s did not come up: %s; its log ends with: %s",
                  daemon->home.path, what, lines);
        finish(daemon, r, &error);
}

static int on_deadline(sd_event_source *source, uint64_t now, void *userdata)
{
        pm2_daemon *daemon = userdata;

        fail(daemon, -ETIMEDOUT, daemon->last.text[0] ? daemon->last.text : "it did not answer in time");
        return 0;
}

static int on_retry(sd_event_source *source, uint64_t now, void *userdata);

static void retry_soon(pm2_daemon *daemon)
{
        int r = 0;

        daemon->client = pm2_client_free(daemon->client);
        if (!daemon->retry)
                r = sd_event_add_time_relative(daemon->event, &daemon->retry, CLOCK_BOOTTIME, RETRY_US, 1,
                                               on_retry, daemon);
        else
                r = sd_event_source_set_time_relative(daemon->retry, RETRY_US);
        if (r >= 0)
                r = sd_event_source_set_enabled(daemon->retry, SD_EVENT_ONESHOT);
        if (r < 0)
                fail(daemon, r, strerror(-r));
}

static void on_version(void *userdata, int r, json_t *answer, const struct error *error)
{
        pm2_daemon *daemon = userdata;

        if (r == 0) {
                finish(daemon, 0, NULL);
                return;
        }
        daemon->last = error ? *error : (struct error){0};
        retry_soon(daemon);
}

static int on_retry(sd_event_source *source, uint64_t now, void *userdata)
{
        pm2_daemon *daemon = userdata;
        int r;

        r = pm2_client_new(&daemon->client, daemon->event, &daemon->home, 0, &daemon->last);
        if (r == 0)
                r = pm2_client_call(daemon->client, "getVersion", json_pack("[{}]"), 2 * USEC_PER_SEC,
                                    on_version, daemon);
        if (r == -EPERM)
                fail(daemon, r, daemon->last.text);
        else if (r < 0)
                retry_soon(daemon);
        return 0;
}

/* The launcher has done its part, or says why not; the socket is what counts. */
static void on_launched(void *userdata, int r, const struct error *error)
{
        pm2_daemon *daemon = userdata;

        if (r < 0)
                fail(daemon, r, error_text(error, r));
        else
                retry_soon(daemon);
}

int pm2_daemon_new(pm2_daemon **ret, sd_event *event, sd_bus *bus, const struct pm2_home *home,
                   const struct pm2_daemon_facts *facts, uint64_t timeout_us, pm2_daemon_done done,
                   void *userdata, struct error *error)
{
        cleanup_with(pm2_daemon_freep) pm2_daemon *daemon = calloc(1, sizeof(*daemon));
        int r;

        if (!daemon)
                return -ENOMEM;
        *daemon =
                (pm2_daemon){.event = sd_event_ref(event), .home = *home, .done = done, .userdata = userdata};
        r = sd_event_add_time_relative(event, &daemon->deadline, CLOCK_BOOTTIME, timeout_us, 0, on_deadline,
                                       daemon);
        if (r < 0)
                return r;
        r = launch_new(&daemon->launch, event, bus, home, facts, on_launched, daemon, error);
        if (r < 0)
                return r;
        *ret = TAKE(daemon);
        return 0;
}
