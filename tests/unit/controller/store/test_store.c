/* The store's contract, call by call, on a real file. Crashes are in test_power_cut.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/base/text.h"
#include "controller/store/store.h"

static char folder[] = "/tmp/muster-test-store-XXXXXX";
static char path[sizeof(folder) + 16];

static store *open_store(void)
{
        struct error error = {""};
        store *store = NULL;
        int r = store_open(&store, path, &error);

        if (r < 0)
                fail_msg("store_open: %d %s", r, error.text);
        return store;
}

/* What a restart of the controller would find. */
static store *reopen(store *store)
{
        store_close(store);
        return open_store();
}

static int set_up(void **state)
{
        strcpy(folder + sizeof(folder) - 7, "XXXXXX");
        if (!mkdtemp(folder))
                return -1;
        snprintf(path, sizeof(path), "%s/store.db", folder);
        return 0;
}

static int tear_down(void **state)
{
        static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
        char name[sizeof(path) + 16];

        for (size_t i = 0; i < 4; i++) {
                snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
                unlink(name);
        }
        return rmdir(folder);
}

/* Someone else's hands in the file, while no controller has it. */
static void tamper(const char *sql)
{
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_open(void **state)
{
        struct error error = {""};
        store *store = open_store(), *second = NULL;
        struct stat status;
        int code;
        pid_t child;

        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(store_open(&second, path, &error), -EBUSY);
        assert_non_null(strstr(error.text, "another controller"));
        child = fork();
        if (child == 0)
                _exit(store_open(&second, path, NULL) == -EBUSY ? 0 : 1);
        assert_int_equal(waitpid(child, &code, 0), child);
        assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
        store = reopen(store);
        store_close(store);
        tamper("PRAGMA user_version=9");
        assert_int_equal(store_open(&store, path, &error), -EPROTO);
        assert_non_null(strstr(error.text, "newer muster"));
        tamper("PRAGMA user_version=2; PRAGMA application_id=7");
        assert_int_equal(store_open(&store, path, &error), -EPROTO);
        assert_non_null(strstr(error.text, "not muster's"));
        assert_null(store_close(NULL));
}

static void test_open_refusals(void **state)
{
        struct error error = {""};
        store *store = NULL;
        FILE *file = fopen(path, "w");

        fprintf(file, "%4096s", "this is not a database");
        fclose(file);
        assert_int_equal(store_open(&store, path, &error), -EBADMSG);
        assert_non_null(strstr(error.text, path));
        assert_int_equal(store_open(&store, "/nowhere/at/all", &error), -ENOENT);
        assert_int_equal(store_open(&store, folder, &error), -EISDIR);
        assert_null(store);
}

static int count_key(const struct store_key *key, void *userdata)
{
        return ++*(int *)userdata == 2 ? 77 : 0;
}

static void test_keys(void **state)
{
        struct store_key db1 = {.name = "db1", .role = 1, .key = {1}, .added_us = 5}, found,
                         user = {.name = "db1", .role = 2, .key = {2}, .added_us = 6};
        store *store = open_store();
        int count = 0;

        assert_int_equal(store_key_find(store, db1.key, &found), -ENOENT);
        assert_int_equal(store_key_put(store, &db1), 0);
        assert_int_equal(store_key_put(store, &user), 0);
        assert_int_equal(store_commit(store, NULL), 0);
        store = reopen(store);
        assert_int_equal(store_key_find(store, db1.key, &found), 0);
        assert_memory_equal(&found, &db1, sizeof(found));
        assert_int_equal(store_key_named(store, 2, "db1", &found), 0);
        assert_int_equal(found.key[0], 2);
        assert_int_equal(store_key_named(store, 4, "db1", &found), -ENOENT);
        /* a key belongs to one name; refusing it leaves the store usable */
        memcpy(user.key, db1.key, sizeof(user.key));
        assert_int_equal(store_key_put(store, &user), -EEXIST);
        db1.key[0] = 9;
        assert_int_equal(store_key_put(store, &db1), 0);
        assert_int_equal(store_key_find(store, user.key, &found), -ENOENT);
        assert_int_equal(store_key_list(store, count_key, &count), 77);
        assert_int_equal(count, 2);
        assert_int_equal(store_key_remove(store, 1, "db1"), 0);
        assert_int_equal(store_key_remove(store, 1, "db1"), -ENOENT);
        assert_int_equal(store_key_find(store, db1.key, &found), -ENOENT);
        store_close(store);
}

static void test_invitations(void **state)
{
        uint8_t first[32] = {1}, second[32] = {2};
        char name[NAME_SIZE] = "-";
        store *store = open_store();

        assert_int_equal(store_invite_put(store, 1, "db1", first, 1000), 0);
        assert_int_equal(store_invite_take(store, 2, first, 10, name), -ENOENT); /* another role */
        assert_int_equal(store_invite_take(store, 1, second, 10, name), -ENOENT);
        assert_int_equal(store_invite_put(store, 1, "db1", second, 1000), 0); /* replaces */
        assert_int_equal(store_invite_take(store, 1, first, 10, name), -ENOENT);
        assert_string_equal(name, "-");
        assert_int_equal(store_invite_take(store, 1, second, 999, name), 0);
        assert_string_equal(name, "db1");
        assert_int_equal(store_commit(store, NULL), 0);
        store = reopen(store);
        assert_int_equal(store_invite_take(store, 1, second, 10, name), -ENOENT); /* once */
        assert_int_equal(store_invite_put(store, 1, "db1", first, 1000), 0);
        assert_int_equal(store_invite_take(store, 1, first, 1000, name), -ETIME);
        assert_int_equal(store_invite_take(store, 1, first, 10, name), -ENOENT); /* gone */
        store_close(store);
}

static int note_host(const char *host, void *userdata)
{
        strcat(strcat(userdata, host), ",");
        return 0;
}

static int note_run(const struct store_run *run, void *userdata)
{
        strcat(userdata, run->id);
        return 0;
}

static void test_runs(void **state)
{
        static const char *const hosts[] = {"db1", "db2"}, *const overlap[] = {"db3", "db2"},
                                 *const twice[] = {"db3", "db3"};
        struct store_run run = {.id = "a",
                                .kind = "reboot",
                                .scope = "@data",
                                .user = "me",
                                .state = "running",
                                .started_us = 7},
                         found;
        char holder[NAME_SIZE] = "", ids[64] = "", held[64] = "", *plan = NULL;
        store *store = open_store();

        assert_int_equal(store_run_add(store, &run, "{\"x\":1}", hosts, 2, holder), 0);
        assert_int_equal(store_run_add(store, &run, "{}", NULL, 0, holder), -EEXIST);
        strcpy(run.id, "b");
        assert_int_equal(store_run_add(store, &run, "{}", overlap, 2, holder), -EBUSY);
        assert_string_equal(holder, "a");
        assert_int_equal(store_run_get(store, "b", &found, NULL), -ENOENT);
        assert_int_equal(store_lock_holder(store, "db3", holder), -ENOENT);
        assert_int_equal(store_run_add(store, &run, "{}", twice, 2, holder), -EINVAL);
        assert_int_equal(store_commit(store, NULL), 0);
        store = reopen(store);
        assert_int_equal(store_lock_holder(store, "db2", holder), 0);
        assert_string_equal(holder, "a");
        assert_int_equal(store_lock_list(store, "a", note_host, held), 0);
        assert_string_equal(held, "db1,db2,");
        assert_int_equal(store_run_get(store, "a", &found, &plan), 0);
        assert_string_equal(plan, "{\"x\":1}");
        free(plan);
        strcpy(run.id, "a");
        assert_memory_equal(&found, &run, sizeof(run));
        assert_int_equal(store_run_finish(store, "nope", "done", 9), -ENOENT);
        assert_int_equal(store_run_finish(store, "a", "done", 9), 0);
        assert_int_equal(store_run_get(store, "a", &found, NULL), 0);
        assert_string_equal(found.state, "done");
        assert_int_equal(found.finished_us, 9);
        assert_int_equal(store_lock_holder(store, "db2", holder), -ENOENT);
        held[0] = '\0';
        assert_int_equal(store_lock_list(store, "a", note_host, held), 0);
        assert_string_equal(held, "");
        strcpy(run.id, "b");
        run.started_us = 1; /* a clock that went back does not change which run is the newest */
        assert_int_equal(store_run_add(store, &run, "{}", overlap, 2, holder), 0);
        assert_int_equal(store_run_list(store, 10, note_run, ids), 0);
        assert_string_equal(ids, "ba");
        ids[0] = '\0';
        assert_int_equal(store_run_list(store, 1, note_run, ids), 0);
        assert_string_equal(ids, "b");
        store_close(store);
}

struct reading {
        store *store;
        char text[128];
        uint64_t stop_at;
};

static int note_event(uint64_t event, uint64_t time_us, const char *json, void *userdata)
{
        struct reading *reading = userdata;
        char one[64];

        snprintf(one, sizeof(one), "%d:%d:%s ", (int)event, (int)time_us, json);
        strcat(reading->text, one);
        /* other calls are allowed from here, the same listing is not */
        assert_int_equal(store_journal_read(reading->store, "a", 1, note_event, reading), -EDEADLK);
        assert_int_equal(store_run_get(reading->store, "a", &(struct store_run){0}, NULL), 0);
        return event == reading->stop_at ? 5 : 0;
}

static void test_journal(void **state)
{
        struct store_run run = {.id = "a", .kind = "restart", .state = "running"};
        struct reading reading = {0};
        char holder[NAME_SIZE];
        store *store = open_store();

        assert_int_equal(store_journal_append(store, "a", 1, 10, "{}"), -EINVAL); /* no such run */
        assert_int_equal(store_run_add(store, &run, "{}", NULL, 0, holder), 0);
        assert_int_equal(store_journal_append(store, "a", 2, 10, "{}"), -EINVAL);
        assert_int_equal(store_journal_append(store, "a", 1, 10, "x"), 0);
        assert_int_equal(store_journal_append(store, "a", 1, 10, "again"), -EINVAL);
        assert_int_equal(store_journal_append(store, "a", 2, 11, "y"), 0);
        assert_int_equal(store_journal_append(store, "a", 4, 11, "gap"), -EINVAL);
        assert_int_equal(store_journal_append(store, "a", 3, 12, "z"), 0);
        assert_int_equal(store_commit(store, NULL), 0);
        assert_int_equal(store_journal_append(store, "a", 4, 13, "lost"), 0); /* not committed */
        store = reopen(store);
        reading.store = store;
        assert_int_equal(store_journal_read(store, "a", 2, note_event, &reading), 0);
        assert_string_equal(reading.text, "2:11:y 3:12:z ");
        reading.text[0] = '\0';
        reading.stop_at = 1;
        assert_int_equal(store_journal_read(store, "a", 0, note_event, &reading), 5);
        assert_string_equal(reading.text, "1:10:x ");
        assert_int_equal(store_journal_read(store, "b", 0, note_event, &reading), 0);
        store_close(store);
}

static void test_reboots(void **state)
{
        store *store = open_store();
        struct store_reboot reboot = {30000000, 5000000, 2}, found;

        assert_int_equal(store_reboot_get(store, "db1", &found), -ENOENT);
        assert_int_equal(store_reboot_put(store, "db1", &reboot), 0);
        reboot.reboots = 3;
        assert_int_equal(store_reboot_put(store, "db1", &reboot), 0);
        assert_int_equal(store_commit(store, NULL), 0);
        store_close(store);
        store = open_store();
        assert_int_equal(store_reboot_get(store, "db1", &found), 0);
        assert_int_equal(found.mean_us, 30000000);
        assert_int_equal(found.spread_us, 5000000);
        assert_int_equal(found.reboots, 3);
        store_close(store);
}

static void test_rates(void **state)
{
        struct store_rate rate = {1e6 / 3, 0, 2, {0.2, 0.4, 0.7}}, found;
        store *store = open_store();

        assert_int_equal(store_rate_get(store, "bds", &found), -ENOENT);
        assert_int_equal(store_rate_put(store, "bds", &rate), 0);
        rate.loads = 3;
        assert_int_equal(store_rate_put(store, "bds", &rate), 0);
        assert_int_equal(store_commit(store, NULL), 0);
        store = reopen(store);
        assert_int_equal(store_rate_get(store, "bds", &found), 0);
        assert_true(found.base_bytes_per_s == 1e6 / 3 && found.incremental_bytes_per_s == 0);
        assert_int_equal(found.loads, 3);
        assert_memory_equal(found.course, rate.course, sizeof(found.course));
        rate.base_bytes_per_s = NAN;
        assert_int_equal(store_rate_put(store, "bds", &rate), -EINVAL); /* not a number */
        rate = (struct store_rate){1, 1, 1, {0.2, NAN, 0.7}};
        assert_int_equal(store_rate_put(store, "bds", &rate), -EINVAL);
        store_close(store);
}

static int note_audit(const struct store_audit *entry, void *userdata)
{
        char one[1200];

        snprintf(one, sizeof(one), "%d %s %s %s;", (int)entry->number, entry->user, entry->action,
                 entry->text);
        strcat(userdata, one);
        return 0;
}

static void fill_audit(void)
{
        store *store = open_store();

        for (int i = 1; i <= 4; i++)
                assert_int_equal(store_audit_add(store, (uint64_t)i, "me", "reboot", "db1"), 0);
        assert_int_equal(store_commit(store, NULL), 0);
        store_close(store);
}

static void test_audit(void **state)
{
        static const struct {
                const char *sql;
                int bad; /* the first bad entry; 0: none */
        } cases[] = {
                {"UPDATE audit SET text='db2' WHERE number=2", 2},
                {"UPDATE audit SET user='you' WHERE number=1", 1},
                {"UPDATE audit SET user='mer', action='eboot' WHERE number=3", 3}, /* same bytes, moved */
                {"UPDATE audit SET time_us=time_us+1 WHERE number=4", 4},
                {"DELETE FROM audit WHERE number=2", 2},
                {"UPDATE audit SET number=number+10 WHERE number=4", 4},
                {"UPDATE audit SET hash=zeroblob(32) WHERE number=1", 1},
                {"UPDATE audit SET hash=zeroblob(31) WHERE number=3", 3},
                {"UPDATE audit SET user=printf('%100s', 'x') WHERE number=3", 3},
                {"DELETE FROM audit WHERE number=4", 0}, /* the end cut off: what the chain cannot show */
        };
        char text[256] = "", longer[2000];
        struct store_audit_chain chain = {0};
        store *store;

        fill_audit();
        store = open_store();
        assert_int_equal(store_audit_list(store, 2, note_audit, text), 0);
        assert_string_equal(text, "4 me reboot db1;3 me reboot db1;");
        assert_int_equal(store_audit_verify(store, &chain, SIZE_MAX), 0);
        assert_int_equal(chain.entries, 4);
        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        assert_int_equal(store_audit_add(store, 9, longer, longer, longer), 0);
        assert_int_equal(store_audit_verify(store, &chain, SIZE_MAX), 0); /* goes on from the fourth */
        assert_int_equal(chain.entries, 5);
        store_close(store);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                unlink(path);
                fill_audit();
                tamper(cases[i].sql);
                store = open_store();
                chain = (struct store_audit_chain){0};
                assert_int_equal(store_audit_verify(store, &chain, SIZE_MAX), cases[i].bad ? -EBADMSG : 0);
                assert_int_equal(chain.bad, cases[i].bad);
                store_close(store);
        }
}

/* A few at a time is the same; and a hash that was kept elsewhere shows what the chain alone cannot. */
static void test_audit_known(void **state)
{
        struct store_audit_chain chain = {0}, kept, again;
        store *store;
        int turns = 0, r;

        fill_audit();
        store = open_store();
        while ((r = store_audit_verify(store, &chain, 1)) == 1)
                turns++;
        assert_int_equal(r, 0);
        assert_int_equal(turns, 4);
        assert_int_equal(chain.entries, 4);
        kept = (struct store_audit_chain){.known = 4};
        memcpy(kept.known_hash, chain.hash, sizeof(kept.known_hash));
        again = kept;
        assert_int_equal(store_audit_verify(store, &again, SIZE_MAX), 0);
        store_close(store);

        tamper("DELETE FROM audit WHERE number=4");
        store = open_store();
        again = kept;
        assert_int_equal(store_audit_verify(store, &again, SIZE_MAX), -EBADMSG);
        assert_int_equal(again.bad, 4);
        assert_int_equal(store_audit_add(store, 9, "me", "reboot", "db1"), 0); /* well chained, and another */
        again = (struct store_audit_chain){0};
        assert_int_equal(store_audit_verify(store, &again, SIZE_MAX), 0);
        again = kept;
        assert_int_equal(store_audit_verify(store, &again, SIZE_MAX), -EBADMSG);
        assert_int_equal(again.bad, 4);
        store_close(store);
}

/* Rows that others wrote are not trusted: wrong sizes are -EBADMSG, never an overrun. */
static void test_damaged_rows(void **state)
{
        struct store_key key;
        struct store_run run;
        char holder[NAME_SIZE];
        uint8_t hash[32] = {0};
        store *store;

        store_close(open_store());
        tamper("INSERT INTO keys VALUES (1, printf('%64s', 'x'), zeroblob(32), 1), (1, 'short', x'00', 1),"
               " (1, 'past', randomblob(32), -1);"
               "INSERT INTO runs VALUES (1, 'r', printf('%99s', 'x'), '', '', '', 1, 1, '');"
               "INSERT INTO locks VALUES ('h', 'r');"
               "INSERT INTO invitations VALUES (1, 'a' || char(0) || 'b', zeroblob(32), 5)");
        store = open_store();
        assert_int_equal(store_key_find(store, hash, &key), -EBADMSG);
        assert_int_equal(store_key_named(store, 1, "short", &key), -EBADMSG);
        assert_int_equal(store_key_named(store, 1, "past", &key), -EBADMSG);
        assert_int_equal(store_run_get(store, "r", &run, NULL), -EBADMSG);
        assert_int_equal(store_lock_holder(store, "h", holder), 0);
        assert_int_equal(store_invite_take(store, 1, hash, 1, holder), -EBADMSG);
        store_close(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(test_open),  TEST(test_open_refusals), TEST(test_keys),         TEST(test_invitations),
                TEST(test_runs),  TEST(test_journal),       TEST(test_rates),        TEST(test_reboots),
                TEST(test_audit), TEST(test_audit_known),   TEST(test_damaged_rows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
