/* See store.h: keys and invitations. */
#include <string.h>

#include "common/base/text.h"
#include "controller/store/sqlite.h"

static int read_key(sqlite3_stmt *statement, struct store_key *ret)
{
        struct store_key key = {0};
        uint64_t role = 0;
        int r = store_column_u64(statement, 0, &role);

        key.role = (unsigned)role;
        if (r == 0)
                r = store_column_text(statement, 1, key.name, sizeof(key.name));
        if (r == 0)
                r = store_column_blob(statement, 2, key.key, sizeof(key.key));
        if (r == 0)
                r = store_column_u64(statement, 3, &key.added_us);
        if (r == 0)
                *ret = key;
        return r;
}

/* The one row of a statement whose parameters are bound. */
static int find_key(store *store, sqlite3_stmt *statement, struct store_key *ret)
{
        int r = store_step(store, statement);

        r = r == 0 ? -ENOENT : r < 0 ? r : read_key(statement, ret);
        store_end(statement);
        return r;
}

int store_key_find(store *store, const uint8_t key[32], struct store_key *ret)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_KEY_FIND, &r);

        if (!statement)
                return r;
        store_bind_blob(statement, 1, key, 32);
        return find_key(store, statement, ret);
}

int store_key_named(store *store, unsigned role, const char *name, struct store_key *ret)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_KEY_NAMED, &r);

        if (!statement)
                return r;
        store_bind_u64(statement, 1, role);
        store_bind_text(statement, 2, name);
        return find_key(store, statement, ret);
}

int store_key_put(store *store, const struct store_key *key)
{
        struct store_key known;
        sqlite3_stmt *statement;
        int r = store_key_find(store, key->key, &known);

        if (r == 0 && (known.role != key->role || !text_equal(known.name, key->name)))
                return -EEXIST;
        if (r < 0 && r != -ENOENT)
                return r;
        if (key->added_us > INT64_MAX)
                return -ERANGE;
        statement = store_begin_write(store, STATEMENT_KEY_PUT, &r);
        if (!statement)
                return r;
        store_bind_u64(statement, 1, key->role);
        store_bind_text(statement, 2, key->name);
        store_bind_blob(statement, 3, key->key, sizeof(key->key));
        store_bind_u64(statement, 4, key->added_us);
        r = store_write(store, statement);
        return r < 0 ? r : 0;
}

static int remove_named(store *store, enum store_statement which, unsigned role, const char *name)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_write(store, which, &r);

        if (!statement)
                return r;
        store_bind_u64(statement, 1, role);
        store_bind_text(statement, 2, name);
        r = store_write(store, statement);
        return r < 0 ? r : r == 0 ? -ENOENT : 0;
}

int store_key_remove(store *store, unsigned role, const char *name)
{
        return remove_named(store, STATEMENT_KEY_REMOVE, role, name);
}

int store_invite_void(store *store, unsigned role, const char *name)
{
        return remove_named(store, STATEMENT_INVITE_VOID, role, name);
}

int store_key_list(store *store, int (*each)(const struct store_key *key, void *userdata), void *userdata)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_KEY_LIST, &r);

        if (!statement)
                return r;
        while ((r = store_step(store, statement)) > 0) {
                struct store_key key;

                r = read_key(statement, &key);
                if (r == 0)
                        r = each(&key, userdata);
                if (r != 0)
                        break;
        }
        store_end(statement);
        return r;
}

int store_invite_put(store *store, unsigned role, const char *name, const uint8_t hash[32],
                     uint64_t expires_us)
{
        int r = 0;
        sqlite3_stmt *statement;

        if (expires_us > INT64_MAX)
                return -ERANGE;
        statement = store_begin_write(store, STATEMENT_INVITE_PUT, &r);
        if (!statement)
                return r;
        store_bind_u64(statement, 1, role);
        store_bind_text(statement, 2, name);
        store_bind_blob(statement, 3, hash, 32);
        store_bind_u64(statement, 4, expires_us);
        r = store_write(store, statement);
        return r < 0 ? r : 0;
}

static int find_invite(store *store, unsigned role, const uint8_t hash[32], char ret_name[NAME_SIZE],
                       uint64_t *ret_expires_us)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_INVITE_FIND, &r);

        if (!statement)
                return r;
        store_bind_u64(statement, 1, role);
        store_bind_blob(statement, 2, hash, 32);
        r = store_step(store, statement);
        if (r == 0)
                r = -ENOENT;
        if (r > 0)
                r = store_column_text(statement, 0, ret_name, NAME_SIZE);
        if (r == 0)
                r = store_column_u64(statement, 1, ret_expires_us);
        store_end(statement);
        return r;
}

int store_invite_find(store *store, unsigned role, const uint8_t hash[32], uint64_t now_us,
                      char ret_name[NAME_SIZE])
{
        char name[NAME_SIZE];
        uint64_t expires_us = 0;
        int r = find_invite(store, role, hash, name, &expires_us);

        if (r < 0)
                return r;
        return now_us >= expires_us ? -ETIME : text_copy(ret_name, NAME_SIZE, name);
}

int store_invite_take(store *store, unsigned role, const uint8_t hash[32], uint64_t now_us,
                      char ret_name[NAME_SIZE])
{
        char name[NAME_SIZE];
        uint64_t expires_us = 0;
        sqlite3_stmt *statement;
        int r = find_invite(store, role, hash, name, &expires_us);

        if (r < 0)
                return r;
        statement = store_begin_write(store, STATEMENT_INVITE_REMOVE, &r);
        if (!statement)
                return r;
        store_bind_u64(statement, 1, role);
        store_bind_blob(statement, 2, hash, 32);
        r = store_write(store, statement);
        if (r < 0)
                return r;
        if (now_us >= expires_us)
                return -ETIME;
        return text_copy(ret_name, NAME_SIZE, name);
}
