/* What a PM2 daemon runs at one moment: the list of its apps, and the daemon itself.
 *
 * Each app keeps PM2's whole pm2_env, unread, for restoring; what people and comparisons need is drawn out of
 * it. Environments and arguments hold secrets: they leave this room only as hashes. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "agent/pm2/home.h"
#include "agent/pm2/json.h"
#include "common/base/error.h"

#define PM2_APPS_MAX  4096
#define PM2_ID_MAX    65535
#define PM2_LIMIT_ENV 8192 /* variables of a daemon's environment */

enum pm2_status {
        PM2_OTHER, /* a word that PM2 does not have today */
        PM2_ONLINE,
        PM2_LAUNCHING,
        PM2_WAITING, /* "waiting restart" */
        PM2_STOPPING,
        PM2_STOPPED,
        PM2_ERRORED,
};

struct pm2_app {
        json_t *env; /* the whole pm2_env; owned; the texts below point into it, or live for ever */
        int64_t pm_id;
        const char *name;
        const char *space;       /* PM2's namespace */
        const char *status_text; /* of status, or PM2's own word where that is PM2_OTHER */
        enum pm2_status status;
        const char *mode; /* "fork_mode" or "cluster_mode" */
        const char *cwd;
        const char *script;
        const char *interpreter;
        const char *cron;
        const char *out_log, *err_log;
        int64_t instance;   /* NODE_APP_INSTANCE, or what instance_var names instead; -1: none */
        uint32_t instances; /* apps of this name and namespace in the list */
        uint32_t restarts;
        uint32_t unstable_restarts;
        pid_t pid;          /* 0: none */
        uint64_t uptime_us; /* realtime of its last start; 0: never */
        uint32_t kill_timeout_ms;
        uint32_t listen_timeout_ms;
        bool autostart;
        bool wait_ready;
        bool module; /* pmx_module */
        bool watch;
        bool treekill;
        bool shutdown_message; /* stopped by a message through PM2, not by a signal */
        char args_hash[JSON_HASH_SIZE];
        char node_args_hash[JSON_HASH_SIZE];
        char watch_hash[JSON_HASH_SIZE];
        char env_hash[JSON_HASH_SIZE];      /* the environment without what PM2 changes at each start */
        char settings_hash[JSON_HASH_SIZE]; /* every other setting: limits, timeouts, log paths, … */
};

struct pm2_list {
        struct pm2_app *apps; /* by pm_id, ascending */
        size_t count;
        bool dump; /* PM2's own dump: its ids are only counted, and modules are not in it */
};

/* The daemon, by its own report: what is needed to start one like it. */
struct pm2_daemon_facts {
        char version[NAME_SIZE];
        char exec[PATH_SIZE];   /* node */
        char script[PATH_SIZE]; /* PM2's Daemon.js */
        char cwd[PATH_SIZE];    /* "" where it could not be read */
        json_t *env;            /* object of texts; owned; may be NULL */
        pid_t pid;
};

const char *pm2_status_name(enum pm2_status status);
enum pm2_status pm2_status_parse(const char *text);
/* What PM2's word means. With a restart delay PM2 calls an app "waiting restart" whenever it ends, also one
 * that it will not start again. Told here: given up (created_at is null then, until the next start), and to
 * end for good (autorestart is false). Not told, and taken for waiting: one that ended with one of its
 * stop_exit_codes, one that ended after a stop had failed. Source: God.handleExit of PM2 5 to 7. */
enum pm2_status pm2_status_judge(enum pm2_status status, bool given_up, bool ends);
/* Whether an app in this state is meant to run: online, launching or waiting for its restart. */
bool pm2_status_runs(enum pm2_status status);

/* From getMonitorData's array. Refuses (-EBADMSG, text) what is not such an array, more than PM2_APPS_MAX,
 * or a pm_id that is missing, negative, beyond PM2_ID_MAX or there twice. */
int pm2_list_decode(struct pm2_list *ret, const json_t *data, struct error *error);
void pm2_list_clear(struct pm2_list *list);
#define cleanup_pm2_list cleanup_with(pm2_list_clear)
/* The app with the id, or NULL. */
const struct pm2_app *pm2_list_find(const struct pm2_list *list, int64_t pm_id);
size_t pm2_list_count(const struct pm2_list *list, enum pm2_status status);

/* From getReport's answer. */
int pm2_daemon_facts_decode(struct pm2_daemon_facts *ret, const json_t *report, struct error *error);
void pm2_daemon_facts_clear(struct pm2_daemon_facts *facts);
#define cleanup_pm2_facts cleanup_with(pm2_daemon_facts_clear)

/* --- reading, on the loop ------------------------------------------------------------------------- */

typedef struct pm2_read pm2_read;

/* r 0: list and facts are filled; the callee may move them out (and zero them). facts is empty unless asked
 * for. Negative: error says why; -ENOENT and -ECONNREFUSED mean that there is no daemon. Comes once. The read
 * is still to be freed, from here or later. */
typedef void (*pm2_read_done)(void *userdata, int r, struct pm2_list *list, struct pm2_daemon_facts *facts,
                              const struct error *error);

/* Connects and asks; done comes from the loop, not from within. Negative: not begun, done never comes. */
int pm2_read_new(pm2_read **ret, sd_event *event, const struct pm2_home *home, bool with_facts,
                 uint64_t timeout_us, pm2_read_done done, void *userdata, struct error *error);
pm2_read *pm2_read_free(pm2_read *read);
