/* Reading a daemon's state on the loop: two questions over one connection, one answer. See state.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/pm2/client.h"
#include "agent/pm2/state.h"
#include "common/base/cleanup.h"

struct pm2_read {
        pm2_client *client;
        pm2_read_done done;
        void *userdata;
        unsigned pending; /* answers that are still to come, in any order */
        struct pm2_list list;
        struct pm2_daemon_facts facts;
};

pm2_read *pm2_read_free(pm2_read *read)
{
        if (!read)
                return NULL;
        pm2_client_free(read->client);
        pm2_list_clear(&read->list);
        pm2_daemon_facts_clear(&read->facts);
        free(read);
        return NULL;
}
DEFINE_CLEANUP(pm2_read *, pm2_read_free);

/* The callee may free the read: nothing is touched after. */
static void finish(pm2_read *read, int r, const struct error *error)
{
        read->client = pm2_client_free(read->client);
        read->done(read->userdata, r, &read->list, &read->facts, error);
}

/* Where the daemon stands in the file system. Not in its report; readable for root and its own user. */
static void read_cwd(struct pm2_daemon_facts *facts, pid_t pid)
{
        char link[64], target[PATH_SIZE];
        ssize_t n;

        facts->pid = pid;
        snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
        n = readlink(link, target, sizeof(target) - 1);
        if (n <= 0)
                return;
        target[n] = '\0';
        snprintf(facts->cwd, sizeof(facts->cwd), "%s", target);
}

static void on_report(void *userdata, int r, json_t *answer, const struct error *cause)
{
        pm2_read *read = userdata;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = pm2_daemon_facts_decode(&read->facts, answer, &error);
        if (r == 0)
                read_cwd(&read->facts, pm2_client_pid(read->client));
        if (--read->pending == 0 || r < 0)
                finish(read, r, &error);
}

static void on_list(void *userdata, int r, json_t *answer, const struct error *cause)
{
        pm2_read *read = userdata;
        struct error error = cause ? *cause : (struct error){0};

        if (r == 0)
                r = pm2_list_decode(&read->list, answer, &error);
        if (--read->pending == 0 || r < 0)
                finish(read, r, &error);
}

int pm2_read_new(pm2_read **ret, sd_event *event, const struct pm2_home *home, bool with_facts,
                 uint64_t timeout_us, pm2_read_done done, void *userdata, struct error *error)
{
        cleanup_with(pm2_read_freep) pm2_read *read = calloc(1, sizeof(*read));
        int r;

        if (!read)
                return -ENOMEM;
        *read = (pm2_read){.done = done, .userdata = userdata, .pending = with_facts ? 2 : 1};
        r = pm2_client_new(&read->client, event, home, 0, error);
        if (r == 0)
                r = pm2_client_call(read->client, "getMonitorData", json_pack("[{}]"), timeout_us, on_list,
                                    read);
        if (r == 0 && with_facts)
                r = pm2_client_call(read->client, "getReport", json_pack("[{}]"), timeout_us, on_report,
                                    read);
        if (r < 0)
                return r;
        *ret = TAKE(read);
        return 0;
}
