/* See store.h: runs, their locks and journal, what was learned. */
#include <math.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/store/sqlite.h"

static int read_run(sqlite3_stmt *statement, struct store_run *ret)
{
        struct store_run run = {0};
        int r = store_column_text(statement, 0, run.id, sizeof(run.id));

        if (r == 0)
                r = store_column_text(statement, 1, run.kind, sizeof(run.kind));
        if (r == 0)
                r = store_column_text(statement, 2, run.scope, sizeof(run.scope));
        if (r == 0)
                r = store_column_text(statement, 3, run.user, sizeof(run.user));
        if (r == 0)
                r = store_column_text(statement, 4, run.state, sizeof(run.state));
        if (r == 0)
                r = store_column_u64(statement, 5, &run.started_us);
        if (r == 0)
                r = store_column_u64(statement, 6, &run.finished_us);
        if (r == 0)
                *ret = run;
        return r;
}

int store_lock_holder(store *store, const char *host, char ret_run[NAME_SIZE])
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_LOCK_HOLDER, &r);

        if (!statement)
                return r;
        store_bind_text(statement, 1, host);
        r = store_step(store, statement);
        r = r == 0 ? -ENOENT : r < 0 ? r : store_column_text(statement, 0, ret_run, NAME_SIZE);
        store_end(statement);
        return r;
}

int store_lock_list(store *store, const char *run, int (*each)(const char *host, void *userdata),
                    void *userdata)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_LOCK_LIST, &r);

        if (!statement)
                return r;
        store_bind_text(statement, 1, run);
        while ((r = store_step(store, statement)) > 0) {
                char host[NAME_SIZE];

                r = store_column_text(statement, 0, host, sizeof(host));
                if (r == 0)
                        r = each(host, userdata);
                if (r != 0)
                        break;
        }
        store_end(statement);
        return r;
}

static int lock_host(store *store, const char *host, const char *run)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_write(store, STATEMENT_LOCK_ADD, &r);

        if (!statement)
                return r;
        store_bind_text(statement, 1, host);
        store_bind_text(statement, 2, run);
        r = store_write(store, statement);
        return r < 0 ? r : 0;
}

static int add_run(store *store, const struct store_run *run, const char *plan_json)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_write(store, STATEMENT_RUN_ADD, &r);

        if (!statement)
                return r;
        store_bind_text(statement, 1, run->id);
        store_bind_text(statement, 2, run->kind);
        store_bind_text(statement, 3, run->scope);
        store_bind_text(statement, 4, run->user);
        store_bind_text(statement, 5, run->state[0] ? run->state : "running");
        store_bind_u64(statement, 6, run->started_us);
        store_bind_text(statement, 7, plan_json);
        r = store_write(store, statement);
        return r < 0 ? r : 0;
}

/* All that could be refused is asked for before the first write: a refusal changes nothing. */
int store_run_add(store *store, const struct store_run *run, const char *plan_json, const char *const *hosts,
                  size_t host_count, char ret_holder[NAME_SIZE])
{
        struct store_run known;
        int r = store_run_get(store, run->id, &known, NULL);

        if (r != -ENOENT)
                return r == 0 ? -EEXIST : r;
        if (run->started_us > INT64_MAX)
                return -ERANGE;
        for (size_t i = 0; i < host_count; i++) {
                r = store_lock_holder(store, hosts[i], ret_holder);
                if (r != -ENOENT)
                        return r == 0 ? -EBUSY : r;
                for (size_t k = 0; k < i; k++)
                        if (text_equal(hosts[k], hosts[i]))
                                return -EINVAL;
        }
        r = add_run(store, run, plan_json);
        for (size_t i = 0; r == 0 && i < host_count; i++)
                r = lock_host(store, hosts[i], run->id);
        return r;
}

int store_run_finish(store *store, const char *run, const char *state, uint64_t finished_us)
{
        struct store_run known;
        sqlite3_stmt *statement;
        int r = store_run_get(store, run, &known, NULL);

        if (r < 0)
                return r;
        if (finished_us > INT64_MAX)
                return -ERANGE;
        statement = store_begin_write(store, STATEMENT_RUN_FINISH, &r);
        if (!statement)
                return r;
        store_bind_text(statement, 1, run);
        store_bind_text(statement, 2, state);
        store_bind_u64(statement, 3, finished_us);
        r = store_write(store, statement);
        if (r < 0)
                return r;
        statement = store_begin_write(store, STATEMENT_LOCK_REMOVE, &r);
        if (!statement)
                return r;
        store_bind_text(statement, 1, run);
        r = store_write(store, statement);
        return r < 0 ? r : 0;
}

int store_run_get(store *store, const char *run, struct store_run *ret, char **ret_plan_json)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_RUN_GET, &r);
        struct store_run found;

        if (!statement)
                return r;
        store_bind_text(statement, 1, run);
        r = store_step(store, statement);
        r = r == 0 ? -ENOENT : r < 0 ? r : read_run(statement, &found);
        if (r == 0 && ret_plan_json) {
                const char *plan = (const char *)sqlite3_column_text(statement, 7);

                *ret_plan_json = plan ? strdup(plan) : NULL;
                if (!*ret_plan_json)
                        r = -ENOMEM;
        }
        store_end(statement);
        if (r == 0)
                *ret = found;
        return r;
}

int store_run_list(store *store, size_t limit, int (*each)(const struct store_run *run, void *userdata),
                   void *userdata)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_RUN_LIST, &r);

        if (!statement)
                return r;
        store_bind_u64(statement, 1, limit > INT32_MAX ? INT32_MAX : limit);
        while ((r = store_step(store, statement)) > 0) {
                struct store_run run;

                r = read_run(statement, &run);
                if (r == 0)
                        r = each(&run, userdata);
                if (r != 0)
                        break;
        }
        store_end(statement);
        return r;
}

int store_journal_append(store *store, const char *run, uint64_t event, uint64_t time_us, const char *json)
{
        int r = 0;
        sqlite3_stmt *statement;

        if (event > INT64_MAX || time_us > INT64_MAX)
                return -ERANGE;
        statement = store_begin_write(store, STATEMENT_JOURNAL_APPEND, &r);
        if (!statement)
                return r;
        store_bind_text(statement, 1, run);
        store_bind_u64(statement, 2, event);
        store_bind_u64(statement, 3, time_us);
        store_bind_text(statement, 4, json);
        r = store_write(store, statement);
        return r < 0 ? r : r == 0 ? -EINVAL : 0;
}

int store_journal_read(store *store, const char *run, uint64_t first,
                       int (*each)(uint64_t event, uint64_t time_us, const char *json, void *userdata),
                       void *userdata)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_JOURNAL_READ, &r);

        if (!statement)
                return r;
        store_bind_text(statement, 1, run);
        store_bind_u64(statement, 2, first > INT64_MAX ? INT64_MAX : first);
        while ((r = store_step(store, statement)) > 0) {
                const char *json = (const char *)sqlite3_column_text(statement, 2);
                uint64_t event = 0, time_us = 0;

                r = json ? store_column_u64(statement, 0, &event) : -EBADMSG;
                if (r == 0)
                        r = store_column_u64(statement, 1, &time_us);
                if (r == 0)
                        r = each(event, time_us, json, userdata);
                if (r != 0)
                        break;
        }
        store_end(statement);
        return r;
}

int store_rate_get(store *store, const char *service, struct store_rate *ret)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_RATE_GET, &r);
        struct store_rate rate = {0};
        uint64_t loads = 0;

        if (!statement)
                return r;
        store_bind_text(statement, 1, service);
        r = store_step(store, statement);
        r = r == 0 ? -ENOENT : r < 0 ? r : store_column_u64(statement, 2, &loads);
        if (r == 0) {
                rate.base_bytes_per_s = sqlite3_column_double(statement, 0);
                rate.incremental_bytes_per_s = sqlite3_column_double(statement, 1);
                rate.loads = loads > UINT32_MAX ? UINT32_MAX : (unsigned)loads;
                for (int i = 0; i < (int)ELEMENTS(rate.course); i++)
                        rate.course[i] = sqlite3_column_double(statement, 3 + i);
                *ret = rate;
        }
        store_end(statement);
        return r;
}

static bool sound_rate(double rate)
{
        return isfinite(rate) && rate >= 0;
}

int store_rate_put(store *store, const char *service, const struct store_rate *rate)
{
        int r = 0;
        sqlite3_stmt *statement;

        if (!sound_rate(rate->base_bytes_per_s) || !sound_rate(rate->incremental_bytes_per_s))
                return -EINVAL;
        for (size_t i = 0; i < ELEMENTS(rate->course); i++)
                if (!sound_rate(rate->course[i]))
                        return -EINVAL;
        statement = store_begin_write(store, STATEMENT_RATE_PUT, &r);
        if (!statement)
                return r;
        store_bind_text(statement, 1, service);
        sqlite3_bind_double(statement, 2, rate->base_bytes_per_s);
        sqlite3_bind_double(statement, 3, rate->incremental_bytes_per_s);
        store_bind_u64(statement, 4, rate->loads);
        for (int i = 0; i < (int)ELEMENTS(rate->course); i++)
                sqlite3_bind_double(statement, 5 + i, rate->course[i]);
        r = store_write(store, statement);
        return r < 0 ? r : 0;
}

int store_reboot_get(store *store, const char *host, struct store_reboot *ret)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_REBOOT_GET, &r);
        struct store_reboot reboot = {0};
        uint64_t reboots = 0;

        if (!statement)
                return r;
        store_bind_text(statement, 1, host);
        r = store_step(store, statement);
        r = r == 0 ? -ENOENT : r < 0 ? r : store_column_u64(statement, 0, &reboot.mean_us);
        if (r == 0)
                r = store_column_u64(statement, 1, &reboot.spread_us);
        if (r == 0)
                r = store_column_u64(statement, 2, &reboots);
        if (r == 0) {
                reboot.reboots = reboots > UINT32_MAX ? UINT32_MAX : (unsigned)reboots;
                *ret = reboot;
        }
        store_end(statement);
        return r;
}

int store_reboot_put(store *store, const char *host, const struct store_reboot *reboot)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_write(store, STATEMENT_REBOOT_PUT, &r);

        if (!statement)
                return r;
        store_bind_text(statement, 1, host);
        store_bind_u64(statement, 2, reboot->mean_us);
        store_bind_u64(statement, 3, reboot->spread_us);
        store_bind_u64(statement, 4, reboot->reboots);
        r = store_write(store, statement);
        return r < 0 ? r : 0;
}
