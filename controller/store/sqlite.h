/* What the files of the SQLite backend share; for controller/store only. */
#pragma once

#include <sqlite3.h>

#include "controller/store/store.h"

/* One prepared statement each, made at its first use and kept. */
enum store_statement {
        STATEMENT_BEGIN,
        STATEMENT_COMMIT,
        STATEMENT_KEY_FIND,
        STATEMENT_KEY_NAMED,
        STATEMENT_KEY_PUT,
        STATEMENT_KEY_REMOVE,
        STATEMENT_KEY_LIST,
        STATEMENT_INVITE_PUT,
        STATEMENT_INVITE_FIND,
        STATEMENT_INVITE_REMOVE,
        STATEMENT_INVITE_VOID,
        STATEMENT_RUN_ADD,
        STATEMENT_RUN_FINISH,
        STATEMENT_RUN_GET,
        STATEMENT_RUN_LIST,
        STATEMENT_LOCK_ADD,
        STATEMENT_LOCK_REMOVE,
        STATEMENT_LOCK_HOLDER,
        STATEMENT_LOCK_LIST,
        STATEMENT_JOURNAL_APPEND,
        STATEMENT_JOURNAL_READ,
        STATEMENT_RATE_GET,
        STATEMENT_RATE_PUT,
        STATEMENT_REBOOT_GET,
        STATEMENT_REBOOT_PUT,
        STATEMENT_AUDIT_LAST,
        STATEMENT_AUDIT_ADD,
        STATEMENT_AUDIT_LIST,
        STATEMENT_AUDIT_READ,
        STATEMENT_END,
};

struct store {
        int log_pages; /* of the log, as of the last commit */
        sqlite3 *db;
        sqlite3_stmt *statements[STATEMENT_END];
        bool in_transaction;
        int failed; /* negative errno of the write that failed; all later calls return it */
        struct error failure;
};

/* The statement, reset and without bindings; NULL with *ret_error set (the store has failed, no memory, or
 * -EDEADLK: it is being read from, by a callback's caller). Ends with store_end(). */
sqlite3_stmt *store_begin_read(store *store, enum store_statement which, int *ret_error);
/* The same for a write: opens the turn's transaction first. */
sqlite3_stmt *store_begin_write(store *store, enum store_statement which, int *ret_error);

/* Next row of a read: 1 a row, 0 no more, or a negative errno. */
int store_step(store *store, sqlite3_stmt *statement);
/* Runs a write and resets it. Rows changed (0 or more), or a negative errno, which is final. */
int store_write(store *store, sqlite3_stmt *statement);
void store_end(sqlite3_stmt *statement);

/* Binding, by position from 1; the bytes must stay until the statement ended. A failure shows in the step. */
void store_bind_text(sqlite3_stmt *statement, int position, const char *text);
void store_bind_blob(sqlite3_stmt *statement, int position, const void *bytes, size_t size);
/* -ERANGE above INT64_MAX. */
int store_bind_u64(sqlite3_stmt *statement, int position, uint64_t value);

/* Columns from 0. -EBADMSG where the value is not of that form: the file was damaged or changed by others. */
int store_column_text(sqlite3_stmt *statement, int column, char *ret, size_t size);
int store_column_blob(sqlite3_stmt *statement, int column, void *ret, size_t size);
int store_column_u64(sqlite3_stmt *statement, int column, uint64_t *ret);
