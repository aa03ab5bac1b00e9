/* Drives agent/pm2 against a real PM2, for tests and benches: one verb a run, results as lines of text.
 *
 *   pm2_driver HOME FOLDER VERB …      (HOME may be USER:HOME; FOLDER is where snapshots are kept)
 *     state                            one line an app: id name status instance env-hash …
 *     brief                            names and states only, as the agent's probe reads them
 *     save NAME                        a snapshot
 *     diff NAME | diff-dump            snapshot, or PM2's dump, against live
 *     tell METHOD                      calls what has no answer
 *     stop [end]                       all apps, and the daemon with "end"
 *     verify NAME [settle=MS]          compares once it has settled
 *     restore NAME [start-errored] [keep-extra] [bus] [settle=MS] [at-once=N]
 *
 * Exit: 0 done, 1 failed, 2 usage, 3 restored in part, 4 there are differences. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/pm2/client.h"
#include "agent/pm2/diff.h"
#include "agent/pm2/dump.h"
#include "agent/pm2/find.h"
#include "agent/pm2/restore.h"
#include "agent/pm2/scan.h"
#include "agent/pm2/snapshot.h"
#include "agent/pm2/stop.h"
#include "agent/pm2/verify.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

struct driver {
        sd_event *event;
        struct pm2_home home;
        const char *folder;
        struct pm2_list list;
        struct pm2_daemon_facts facts;
        int result;
        char **arguments; /* after the verb */
};

static bool has(const struct driver *driver, const char *word)
{
        for (char **at = driver->arguments; *at; at++)
                if (text_equal(*at, word))
                        return true;
        return false;
}

static uint64_t number(const struct driver *driver, const char *prefix)
{
        uint64_t value = 0;

        for (char **at = driver->arguments; *at; at++)
                if (text_starts(*at, prefix))
                        text_to_u64(*at + strlen(prefix), &value);
        return value;
}

static int complain(const struct error *error, int r)
{
        fprintf(stderr, "pm2_driver: %s\n", error_text(error, r));
        return 1;
}

static void on_read(void *userdata, int r, struct pm2_list *list, struct pm2_daemon_facts *facts,
                    const struct error *error)
{
        struct driver *driver = userdata;

        driver->result = r < 0 ? complain(error, r) : 0;
        driver->list = *list;
        driver->facts = *facts;
        *list = (struct pm2_list){0};
        *facts = (struct pm2_daemon_facts){0};
        sd_event_exit(driver->event, 0);
}

static int read_live(struct driver *driver)
{
        struct error error = {0};
        pm2_read *read = NULL;
        int r;

        r = pm2_read_new(&read, driver->event, &driver->home, true, 10 * USEC_PER_SEC, on_read, driver,
                         &error);
        if (r < 0)
                return complain(&error, r);
        sd_event_loop(driver->event);
        pm2_read_free(read);
        return driver->result;
}

static int verb_state(struct driver *driver)
{
        int result = read_live(driver);

        for (size_t i = 0; i < driver->list.count; i++) {
                const struct pm2_app *app = &driver->list.apps[i];

                printf("%" PRId64 " %s %s %s instance=%" PRId64 "/%u restarts=%u pid=%d module=%d env=%.12s "
                       "settings=%.12s out=%s\n",
                       app->pm_id, app->name, app->status_text, app->mode, app->instance, app->instances,
                       app->restarts, (int)app->pid, app->module, app->env_hash, app->settings_hash,
                       app->out_log);
        }
        return result;
}

static void on_brief(void *userdata, int r, const char *text, size_t size, const struct error *error)
{
        struct driver *driver = userdata;
        cleanup_free struct pm2_brief *apps = NULL;
        size_t count = 0;

        sd_event_exit(driver->event, 0);
        if (r == 0)
                r = pm2_scan(text, size, &apps, &count);
        if (r < 0) {
                driver->result = complain(error, r);
                return;
        }
        for (size_t i = 0; i < count; i++)
                printf("%" PRId64 " %s %s restarts=%u\n", apps[i].pm_id, apps[i].name, apps[i].status_text,
                       apps[i].restarts);
}

/* As the agent's probe reads. */
static int verb_brief(struct driver *driver)
{
        struct error error = {0};
        pm2_client *client = NULL;
        int r = pm2_client_new(&client, driver->event, &driver->home, 0, &error);

        if (r == 0)
                r = pm2_client_call_raw(client, "getMonitorData", json_pack("[{}]"), 10 * USEC_PER_SEC,
                                        on_brief, driver);
        if (r == 0)
                sd_event_loop(driver->event);
        else
                driver->result = complain(&error, r);
        pm2_client_free(client);
        return driver->result;
}

static void on_told(void *userdata, int r, json_t *answer, const struct error *error)
{
        struct driver *driver = userdata;

        driver->result = r < 0 ? complain(error, r) : 0;
        sd_event_exit(driver->event, 0);
}

/* What comes after it is answered, so it has been carried out. */
static int verb_tell(struct driver *driver)
{
        struct error error = {0};
        pm2_client *client = NULL;
        int r = pm2_client_new(&client, driver->event, &driver->home, 0, &error);

        if (r == 0)
                r = pm2_client_tell(client, driver->arguments[0], json_array());
        if (r == 0)
                r = pm2_client_call(client, "ping", json_pack("[{}]"), 10 * USEC_PER_SEC, on_told, driver);
        if (r == 0)
                sd_event_loop(driver->event);
        else
                driver->result = complain(&error, r);
        pm2_client_free(client);
        return driver->result;
}

static int verb_save(struct driver *driver)
{
        struct error error = {0};
        int r;

        if (read_live(driver) != 0)
                return 1;
        r = pm2_snapshot_write(driver->folder, &driver->home, driver->arguments[0], &driver->list,
                               &driver->facts, time_realtime_us(), 5, &error);
        if (r < 0)
                return complain(&error, r);
        printf("saved %zu apps, %zu online\n", driver->list.count, pm2_list_count(&driver->list, PM2_ONLINE));
        return 0;
}

static int print_diff(const struct pm2_diff *diff)
{
        for (size_t i = 0; i < diff->count; i++) {
                char text[TEXT_SIZE * 4];

                pm2_difference_text(&diff->items[i], text, sizeof(text));
                puts(text);
        }
        return diff->count ? 4 : 0;
}

static int verb_diff(struct driver *driver)
{
        cleanup_pm2_snapshot struct pm2_snapshot snapshot = {0};
        cleanup_pm2_diff struct pm2_diff diff = {0};
        struct error error = {0};
        int r;

        r = pm2_snapshot_read(&snapshot, driver->folder, &driver->home, driver->arguments[0], &error);
        if (r < 0)
                return complain(&error, r);
        if (read_live(driver) != 0)
                return 1;
        r = pm2_diff_compute(&diff, &snapshot.list, &driver->list, 0);
        return r < 0 ? complain(NULL, r) : print_diff(&diff);
}

static int verb_diff_dump(struct driver *driver)
{
        cleanup_pm2_list struct pm2_list dump = {0};
        cleanup_pm2_diff struct pm2_diff diff = {0};
        struct error error = {0};
        uint64_t written_us;
        int r = pm2_dump_read(&dump, &driver->home, &written_us, &error);

        if (r < 0)
                return complain(&error, r);
        if (read_live(driver) != 0)
                return 1;
        r = pm2_diff_compute(&diff, &dump, &driver->list, 0);
        return r < 0 ? complain(NULL, r) : print_diff(&diff);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total, const char *text)
{
        static char last[TEXT_SIZE];
        static uint64_t furthest;

        if (!text_equal(text, last) || done > furthest)
                fprintf(stderr, "%s (%" PRIu64 " of %" PRIu64 ")\n", text, done, total);
        furthest = done;
        text_copy_cut(last, sizeof(last), text);
}

static void on_stopped(void *userdata, int r, const struct pm2_stop_result *result, const struct error *error)
{
        struct driver *driver = userdata;
        char took[32];

        driver->result = r < 0 ? complain(error, r) : 0;
        time_duration_text(took, sizeof(took), result->took_us);
        printf("apps=%zu running=%zu killed=%zu no-daemon=%d leftovers=%zu took=%s\n", result->apps,
               result->running, result->killed, result->no_daemon, result->leftovers, took);
        sd_event_exit(driver->event, 0);
}

static int verb_stop(struct driver *driver)
{
        struct pm2_stop_options options = {.end_daemon = has(driver, "end")};
        struct error error = {0};
        pm2_stop *stop = NULL;
        int r = pm2_stop_new(&stop, driver->event, &driver->home, &options, on_progress, on_stopped, driver,
                             &error);

        if (r < 0)
                return complain(&error, r);
        sd_event_loop(driver->event);
        pm2_stop_free(stop);
        return driver->result;
}

static void print_failures(const char *word, const struct pm2_failure *failures, size_t count)
{
        for (size_t i = 0; i < count; i++)
                printf("%s %s (%" PRId64 "): %s; log: %s\n", word, failures[i].name, failures[i].pm_id,
                       failures[i].reason, failures[i].log);
}

static void on_restored(void *userdata, int r, const struct pm2_restore_result *result,
                        const struct error *error)
{
        struct driver *driver = userdata;
        const struct pm2_outcome *outcome;

        sd_event_exit(driver->event, 0);
        if (r < 0) {
                driver->result = complain(error, r);
                return;
        }
        outcome = &result->outcome;
        printf("expected=%zu as-saved=%zu wanted=%zu online=%zu stopped=%zu kept=%zu added=%zu removed=%zu "
               "daemon=%d leftovers=%zu stuck=%zu "
               "registered-ms=%" PRIu64 " online-ms=%" PRIu64 " settled-ms=%" PRIu64 "\n",
               outcome->expected, outcome->as_saved, outcome->wanted, outcome->online, outcome->stopped,
               result->kept, result->added, result->removed, result->daemon_started, result->leftovers,
               result->stuck, result->registered_us / 1000, result->online_us / 1000,
               result->settled_us / 1000);
        print_failures("failed", outcome->failed, outcome->failed_count);
        print_failures("held", outcome->held, outcome->held_count);
        driver->result = print_diff(&outcome->diff);
        if (outcome->failed_count)
                driver->result = 3;
}

static int verb_restore(struct driver *driver)
{
        cleanup_pm2_snapshot struct pm2_snapshot snapshot = {0};
        struct pm2_restore_options options = {.start_errored = has(driver, "start-errored"),
                                              .keep_extra = has(driver, "keep-extra"),
                                              .most_at_once = (unsigned)number(driver, "at-once="),
                                              .settle_us = number(driver, "settle=") * USEC_PER_MSEC};
        struct error error = {0};
        pm2_restore *restore = NULL;
        sd_bus *bus = NULL;
        int r = pm2_snapshot_read(&snapshot, driver->folder, &driver->home, driver->arguments[0], &error);

        if (r == 0 && has(driver, "bus")) {
                r = sd_bus_open_system(&bus);
                if (r >= 0)
                        r = sd_bus_attach_event(bus, driver->event, 0);
        }
        if (r >= 0)
                r = pm2_restore_new(&restore, driver->event, bus, &driver->home, &snapshot, &options,
                                    on_progress, on_restored, driver, &error);
        if (r < 0)
                return complain(&error, r);
        sd_event_loop(driver->event);
        pm2_restore_free(restore);
        sd_bus_flush_close_unref(bus);
        return driver->result;
}

static void on_verified(void *userdata, int r, const struct pm2_outcome *outcome, const struct error *error)
{
        struct driver *driver = userdata;

        sd_event_exit(driver->event, 0);
        if (r < 0) {
                driver->result = complain(error, r);
                return;
        }
        printf("expected=%zu as-saved=%zu wanted=%zu online=%zu stopped=%zu\n", outcome->expected,
               outcome->as_saved, outcome->wanted, outcome->online, outcome->stopped);
        print_failures("failed", outcome->failed, outcome->failed_count);
        print_failures("held", outcome->held, outcome->held_count);
        driver->result = print_diff(&outcome->diff);
        if (outcome->failed_count)
                driver->result = 3;
}

static int verb_verify(struct driver *driver)
{
        cleanup_pm2_snapshot struct pm2_snapshot snapshot = {0};
        struct pm2_verify_options options = {.settle_us = number(driver, "settle=") * USEC_PER_MSEC};
        struct error error = {0};
        pm2_verify *verify = NULL;
        int r = pm2_snapshot_read(&snapshot, driver->folder, &driver->home, driver->arguments[0], &error);

        if (r == 0)
                r = pm2_verify_new(&verify, driver->event, &driver->home, &snapshot, &options, NULL,
                                   on_verified, driver, &error);
        if (r < 0)
                return complain(&error, r);
        sd_event_loop(driver->event);
        pm2_verify_free(verify);
        return driver->result;
}

static const struct {
        const char *name;
        int arguments;
        int (*run)(struct driver *driver);
} verbs[] = {
        {"state", 0, verb_state},         {"brief", 0, verb_brief},   {"save", 1, verb_save},
        {"diff", 1, verb_diff},           {"stop", 0, verb_stop},     {"restore", 1, verb_restore},
        {"diff-dump", 0, verb_diff_dump}, {"verify", 1, verb_verify}, {"tell", 1, verb_tell},
};

static void on_found(void *userdata, int r, const struct pm2_home *home, const struct error *error)
{
        struct driver *driver = userdata;

        if (r < 0)
                driver->result = complain(error, r);
        else
                driver->home = *home;
        sd_event_exit(driver->event, 0);
}

int main(int argc, char **argv)
{
        struct driver driver = {.folder = argc > 2 ? argv[2] : NULL,
                                .arguments = argv + (argc > 3 ? 4 : argc)};
        char *colon = argc > 1 ? strchr(argv[1], ':') : NULL;
        struct error error = {0};
        pm2_find *find = NULL;
        int r, result = 2;

        if (argc < 4) {
                fprintf(stderr, "usage: pm2_driver [USER:]HOME FOLDER VERB [ARGUMENT…]\n");
                return 2;
        }
        if (colon)
                *colon = '\0';
        r = sd_event_new(&driver.event);
        if (r == 0)
                r = pm2_find_new(&find, driver.event, colon ? argv[1] : NULL, colon ? colon + 1 : argv[1], 0,
                                 NULL, on_found, &driver, &error);
        if (r < 0)
                return complain(&error, r);
        sd_event_loop(driver.event);
        pm2_find_free(find);
        if (driver.result)
                return driver.result;
        sd_event_unref(driver.event);
        r = sd_event_new(&driver.event); /* one that was told to exit does not run again */
        if (r < 0)
                return complain(NULL, r);
        for (size_t i = 0; i < ELEMENTS(verbs); i++)
                if (text_equal(verbs[i].name, argv[3]) && argc - 4 >= verbs[i].arguments)
                        result = verbs[i].run(&driver);
        pm2_list_clear(&driver.list);
        pm2_daemon_facts_clear(&driver.facts);
        sd_event_unref(driver.event);
        if (result == 2)
                fprintf(stderr, "pm2_driver: no such verb, or too few arguments: %s\n", argv[3]);
        return result;
}
