/* See store.h. The file is opened exclusively, in WAL mode with synchronous=FULL: a commit returns when its
 * frames are on disk. Nothing is retried: SQLite's promise after a failed write or fsync is only that a new
 * process can recover by reading, so the first failure ends the store. */
#include "controller/store/sqlite.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"

#define APPLICATION_ID 0x4d535452 /* "MSTR" */
#define VERSION        2
#define LOG_PAGES      1000 /* so long a log is copied into the file */

DEFINE_CLEANUP(store *, store_close);

#define QUOTE(number)  QUOTED(number)
#define QUOTED(number) #number

static const char schema[] = "PRAGMA application_id=" QUOTE(
        APPLICATION_ID) ";"
                        "PRAGMA user_version=" QUOTE(
                                VERSION) ";"
                                         "CREATE TABLE keys (role INTEGER NOT NULL, name TEXT NOT NULL, key "
                                         "BLOB NOT NULL UNIQUE,"
                                         " added_us INTEGER NOT NULL, PRIMARY KEY (role, name)) STRICT, "
                                         "WITHOUT ROWID;"
                                         "CREATE TABLE invitations (role INTEGER NOT NULL, name TEXT NOT "
                                         "NULL, hash BLOB NOT NULL UNIQUE,"
                                         " expires_us INTEGER NOT NULL, PRIMARY KEY (role, name)) STRICT, "
                                         "WITHOUT ROWID;"
                                         "CREATE TABLE runs (number INTEGER PRIMARY KEY, id TEXT NOT NULL "
                                         "UNIQUE, kind TEXT NOT NULL,"
                                         " scope TEXT NOT NULL, user TEXT NOT NULL, state TEXT NOT NULL, "
                                         "started_us INTEGER NOT NULL,"
                                         " finished_us INTEGER NOT NULL, plan TEXT NOT NULL) STRICT;"
                                         "CREATE TABLE locks (host TEXT NOT NULL PRIMARY KEY, run TEXT NOT "
                                         "NULL REFERENCES runs(id))"
                                         " STRICT, WITHOUT ROWID;"
                                         "CREATE INDEX locks_by_run ON locks (run);"
                                         "CREATE TABLE journal (run TEXT NOT NULL REFERENCES runs(id), event "
                                         "INTEGER NOT NULL,"
                                         " time_us INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (run, "
                                         "event)) STRICT, WITHOUT ROWID;"
                                         "CREATE TABLE rates (service TEXT NOT NULL PRIMARY KEY, base REAL "
                                         "NOT NULL,"
                                         " incremental REAL NOT NULL, loads INTEGER NOT NULL, course1 REAL "
                                         "NOT "
                                         "NULL, course2 REAL NOT NULL, course3 REAL NOT NULL) STRICT, "
                                         "WITHOUT ROWID;"
                                         "CREATE TABLE reboots (host TEXT NOT NULL PRIMARY KEY, mean_us "
                                         "INTEGER NOT NULL,"
                                         " spread_us INTEGER NOT NULL, reboots INTEGER NOT NULL) STRICT, "
                                         "WITHOUT ROWID;"
                                         "CREATE TABLE audit (number INTEGER PRIMARY KEY, time_us INTEGER "
                                         "NOT NULL, user TEXT NOT NULL,"
                                         " action TEXT NOT NULL, text TEXT NOT NULL, hash BLOB NOT NULL) "
                                         "STRICT;";

static const char *const texts[STATEMENT_END] = {
        [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
        [STATEMENT_COMMIT] = "COMMIT",
        [STATEMENT_KEY_FIND] = "SELECT role, name, key, added_us FROM keys WHERE key=?1",
        [STATEMENT_KEY_NAMED] = "SELECT role, name, key, added_us FROM keys WHERE role=?1 AND name=?2",
        [STATEMENT_KEY_PUT] = "INSERT INTO keys (role, name, key, added_us) VALUES (?1, ?2, ?3, ?4)"
                              " ON CONFLICT (role, name) DO UPDATE SET key=?3, added_us=?4",
        [STATEMENT_KEY_REMOVE] = "DELETE FROM keys WHERE role=?1 AND name=?2",
        [STATEMENT_KEY_LIST] = "SELECT role, name, key, added_us FROM keys ORDER BY role, name",
        [STATEMENT_INVITE_PUT] = "INSERT OR REPLACE INTO invitations (role, name, hash, expires_us)"
                                 " VALUES (?1, ?2, ?3, ?4)",
        [STATEMENT_INVITE_FIND] = "SELECT name, expires_us FROM invitations WHERE role=?1 AND hash=?2",
        [STATEMENT_INVITE_REMOVE] = "DELETE FROM invitations WHERE role=?1 AND hash=?2",
        [STATEMENT_INVITE_VOID] = "DELETE FROM invitations WHERE role=?1 AND name=?2",
        [STATEMENT_RUN_ADD] = "INSERT INTO runs (id, kind, scope, user, state, started_us, finished_us, plan)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7)",
        [STATEMENT_RUN_FINISH] = "UPDATE runs SET state=?2, finished_us=?3 WHERE id=?1",
        [STATEMENT_RUN_GET] = "SELECT id, kind, scope, user, state, started_us, finished_us, plan FROM runs"
                              " WHERE id=?1",
        [STATEMENT_RUN_LIST] = "SELECT id, kind, scope, user, state, started_us, finished_us FROM runs"
                               " ORDER BY number DESC LIMIT ?1",
        [STATEMENT_LOCK_ADD] = "INSERT INTO locks (host, run) VALUES (?1, ?2)",
        [STATEMENT_LOCK_REMOVE] = "DELETE FROM locks WHERE run=?1",
        [STATEMENT_LOCK_HOLDER] = "SELECT run FROM locks WHERE host=?1",
        [STATEMENT_LOCK_LIST] = "SELECT host FROM locks WHERE run=?1 ORDER BY host",
        [STATEMENT_JOURNAL_APPEND] = "INSERT INTO journal (run, event, time_us, json) SELECT ?1, ?2, ?3, ?4"
                                     " WHERE EXISTS (SELECT 1 FROM runs WHERE id=?1)"
                                     " AND ?2=(SELECT coalesce(max(event), 0)+1 FROM journal WHERE run=?1)",
        [STATEMENT_JOURNAL_READ] = "SELECT event, time_us, json FROM journal WHERE run=?1 AND event>=?2"
                                   " ORDER BY event",
        [STATEMENT_RATE_GET] =
                "SELECT base, incremental, loads, course1, course2, course3 FROM rates WHERE service=?1",
        [STATEMENT_RATE_PUT] = "INSERT OR REPLACE INTO rates (service, base, incremental, loads,"
                               " course1, course2, course3) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        [STATEMENT_REBOOT_GET] = "SELECT mean_us, spread_us, reboots FROM reboots WHERE host=?1",
        [STATEMENT_REBOOT_PUT] = "INSERT OR REPLACE INTO reboots (host, mean_us, spread_us, reboots)"
                                 " VALUES (?1, ?2, ?3, ?4)",
        [STATEMENT_AUDIT_LAST] = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1",
        [STATEMENT_AUDIT_ADD] = "INSERT INTO audit (number, time_us, user, action, text, hash)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        [STATEMENT_AUDIT_LIST] = "SELECT number, time_us, user, action, text FROM audit"
                                 " ORDER BY number DESC LIMIT ?1",
        [STATEMENT_AUDIT_READ] = "SELECT number, time_us, user, action, text, hash FROM audit"
                                 " WHERE number>?1 ORDER BY number LIMIT ?2",
};

static int errno_of(int code)
{
        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_FORMAT:
                return -EBADMSG;
        case SQLITE_TOOBIG:
                return -E2BIG;
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_MISUSE:
        case SQLITE_RANGE:
                return -EINVAL;
        default:
                return -EIO;
        }
}

/* --- failing ------------------------------------------------------------------------------------------- */

/* The store's end: what SQLite said is kept for store_commit, the open transaction is given up. */
static int fail(store *store, const char *what)
{
        int code = sqlite3_extended_errcode(store->db);
        int r = errno_of(code);

        if (store->failed)
                return store->failed;
        store->failed = r ? r : -EIO;
        error_set(&store->failure, 0,
                  "the store cannot %s: %s (SQLite code %d); make room or repair the disk, then start the "
                  "controller again: it goes on from what was committed",
                  what, sqlite3_errmsg(store->db), code);
        if (!sqlite3_get_autocommit(store->db))
                sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        /* Closing would otherwise copy the log into the file once more: leave both as they are. */
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        return store->failed;
}

/* --- statements ---------------------------------------------------------------------------------------- */

static sqlite3_stmt *prepare(store *store, enum store_statement which, int *ret_error)
{
        sqlite3_stmt **slot = &store->statements[which];

        if (store->failed) {
                *ret_error = store->failed;
                return NULL;
        }
        if (!*slot && sqlite3_prepare_v3(store->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT, slot,
                                         NULL) != SQLITE_OK) {
                *ret_error = fail(store, "be read");
                return NULL;
        }
        if (sqlite3_stmt_busy(*slot)) {
                *ret_error = -EDEADLK;
                return NULL;
        }
        return *slot;
}

sqlite3_stmt *store_begin_read(store *store, enum store_statement which, int *ret_error)
{
        return prepare(store, which, ret_error);
}

sqlite3_stmt *store_begin_write(store *store, enum store_statement which, int *ret_error)
{
        sqlite3_stmt *statement = prepare(store, which, ret_error);

        if (!statement || store->in_transaction)
                return statement;
        statement = prepare(store, STATEMENT_BEGIN, ret_error);
        if (!statement)
                return NULL;
        *ret_error = store_write(store, statement);
        if (*ret_error < 0)
                return NULL;
        store->in_transaction = true;
        return prepare(store, which, ret_error);
}

int store_step(store *store, sqlite3_stmt *statement)
{
        int code = sqlite3_step(statement);

        if (code == SQLITE_ROW)
                return 1;
        if (code == SQLITE_DONE)
                return 0;
        return fail(store, "be read");
}

int store_write(store *store, sqlite3_stmt *statement)
{
        int code = sqlite3_step(statement), r = 0;

        if (code != SQLITE_DONE)
                r = fail(store, "be written");
        store_end(statement);
        return r < 0 ? r : sqlite3_changes(store->db);
}

void store_end(sqlite3_stmt *statement)
{
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
}

void store_bind_text(sqlite3_stmt *statement, int position, const char *text)
{
        sqlite3_bind_text(statement, position, text, -1, SQLITE_STATIC);
}

void store_bind_blob(sqlite3_stmt *statement, int position, const void *bytes, size_t size)
{
        sqlite3_bind_blob(statement, position, bytes, (int)size, SQLITE_STATIC);
}

int store_bind_u64(sqlite3_stmt *statement, int position, uint64_t value)
{
        if (value > INT64_MAX)
                return -ERANGE;
        sqlite3_bind_int64(statement, position, (sqlite3_int64)value);
        return 0;
}

int store_column_text(sqlite3_stmt *statement, int column, char *ret, size_t size)
{
        const char *text = (const char *)sqlite3_column_text(statement, column);
        int length = sqlite3_column_bytes(statement, column);

        if (!text || strlen(text) != (size_t)length || text_copy(ret, size, text) < 0)
                return -EBADMSG;
        return 0;
}

int store_column_blob(sqlite3_stmt *statement, int column, void *ret, size_t size)
{
        const void *bytes = sqlite3_column_blob(statement, column);

        if (!bytes || (size_t)sqlite3_column_bytes(statement, column) != size)
                return -EBADMSG;
        memcpy(ret, bytes, size);
        return 0;
}

int store_column_u64(sqlite3_stmt *statement, int column, uint64_t *ret)
{
        sqlite3_int64 value = sqlite3_column_int64(statement, column);

        if (sqlite3_column_type(statement, column) != SQLITE_INTEGER || value < 0)
                return -EBADMSG;
        *ret = (uint64_t)value;
        return 0;
}

/* --- opening, committing, closing ---------------------------------------------------------------------- */

static int run(store *store, const char *sql)
{
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : errno_of(code);
}

/* The one number that a PRAGMA or SELECT gives. */
static int ask_number(store *store, const char *sql, int64_t *ret)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
        return code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -EBADMSG : errno_of(code);
}

/* In the opening transaction: makes the tables of a new file, refuses what others made. */
static int check_schema(store *store, const char *path, struct error *error)
{
        int64_t version = 0, application = 0, tables = 0;
        int r = ask_number(store, "PRAGMA user_version", &version);

        if (r == 0)
                r = ask_number(store, "PRAGMA application_id", &application);
        if (r == 0)
                r = ask_number(store, "SELECT count(*) FROM sqlite_schema", &tables);
        if (r < 0)
                return r;
        if (tables == 0 && version == 0 && application == 0)
                return run(store, schema);
        if (application != APPLICATION_ID)
                return error_set(error, -EPROTO, "%s is a database, but not muster's; name another file",
                                 path);
        if (version != VERSION)
                return error_set(error, -EPROTO,
                                 "%s was made by %s muster (its format is %lld, this one knows %d); run "
                                 "that one, or restore %s copy",
                                 path, version < VERSION ? "an older" : "a newer", (long long)version,
                                 VERSION, version < VERSION ? "a newer" : "an older");
        return 0;
}

static int on_log(void *userdata, sqlite3 *db, const char *name, int pages)
{
        store *store = userdata;

        store->log_pages = pages;
        return SQLITE_OK;
}

/* By the store itself: SQLite's own hook ignores what becomes of it, and pages whose fsync failed would be
 * read as if they were on disk. What is being read meanwhile puts it off. */
static int shorten_log(store *store)
{
        int code;

        if (store->log_pages < LOG_PAGES)
                return 0;
        code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        if (code == SQLITE_LOCKED || code == SQLITE_BUSY)
                return 0;
        store->log_pages = 0;
        return code == SQLITE_OK ? 0 : fail(store, "be written");
}

/* What an earlier life wrote may have been read from the page cache only: after an fsync that failed, Linux
 * calls those pages clean. Copied into the file and synced there, it is on disk before anything rests on it.
 */
static int copy_log(store *store)
{
        int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

        return code == SQLITE_OK ? 0 : errno_of(code);
}

/* WAL needs no shared memory when the lock is exclusive before the log is first touched: that order matters.
 * The lock is taken by the first transaction and kept until the file is closed. */
static int set_up(store *store, const char *path, struct error *error)
{
        int r;

        sqlite3_extended_result_codes(store->db, 1);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        r = run(store, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                       "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; BEGIN IMMEDIATE");
        if (r == 0)
                r = check_schema(store, path, error);
        if (r == 0)
                r = run(store, "COMMIT");
        if (r == 0)
                r = copy_log(store);
        sqlite3_wal_hook(store->db, on_log, store);
        return r;
}

/* What the file is made with: 0600, and its name durable in its folder. */
static int make_file(const char *path, struct error *error)
{
        cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        cleanup_free char *copy = strdup(path);
        int r;

        if (fd < 0)
                return error_set(error, -errno, "cannot open the store %s: %s", path, strerror(errno));
        if (!copy)
                return -ENOMEM;
        r = file_sync_folder(dirname(copy));
        if (r < 0)
                return error_set(error, r, "cannot make the store's folder durable (%s): %s", path,
                                 strerror(-r));
        return 0;
}

int store_open(store **ret, const char *path, struct error *error)
{
        cleanup_with(store_closep) store *store = calloc(1, sizeof(*store));
        struct error text = {""};
        int code, r;

        if (!store)
                return -ENOMEM;
        r = make_file(path, error);
        if (r < 0)
                return r;
        code = sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        r = code == SQLITE_OK ? set_up(store, path, &text) : errno_of(code);
        if (r == -EBUSY)
                return error_set(error, r, "the store %s is in use; is another controller running?", path);
        if (r < 0 && !text.text[0])
                return error_set(error, r, "cannot open the store %s: %s", path,
                                 store->db ? sqlite3_errmsg(store->db) : "out of memory");
        if (r < 0)
                return error_set(error, r, "%s", text.text);
        *ret = TAKE(store);
        return 0;
}

store *store_close(store *store)
{
        if (!store)
                return NULL;
        for (size_t i = 0; i < STATEMENT_END; i++)
                sqlite3_finalize(store->statements[i]);
        if (store->db && !sqlite3_get_autocommit(store->db))
                sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        sqlite3_close(store->db);
        free(store);
        return NULL;
}

int store_commit(store *store, struct error *error)
{
        sqlite3_stmt *statement;
        int r = store->failed;

        if (r == 0 && !store->in_transaction)
                return 0;
        if (r == 0) {
                statement = prepare(store, STATEMENT_COMMIT, &r);
                r = statement ? store_write(store, statement) : r;
                store->in_transaction = false;
                if (r >= 0)
                        r = shorten_log(store);
        }
        if (store->failed)
                return error_set(error, store->failed, "%s", store->failure.text);
        return r < 0 ? r : 0;
}
