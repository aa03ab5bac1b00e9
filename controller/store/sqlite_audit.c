/* See store.h: the audit trail. An entry's hash is SHA-256 over the hash before it (32 zero bytes for the
 * first), its number and time as little-endian 64-bit numbers, and user, action and text, each with its
 * length before it as a little-endian 32-bit number. Changing, removing or inserting an entry breaks the
 * chain from there on. What it cannot show by itself: entries cut off at the end, and a chain that someone
 * who may write the file has computed anew. Whoever needs that keeps a number and its hash elsewhere, and
 * gives them to the next verification. */
#include <endian.h>
#include <sodium.h>
#include <string.h>

#include "common/base/text.h"
#include "controller/store/sqlite.h"

#define HASH_SIZE crypto_hash_sha256_BYTES

static void hash_text(crypto_hash_sha256_state *state, const char *text)
{
        size_t length = strlen(text);
        uint32_t prefix = htole32((uint32_t)length);

        crypto_hash_sha256_update(state, (const unsigned char *)&prefix, sizeof(prefix));
        crypto_hash_sha256_update(state, (const unsigned char *)text, length);
}

/* hash is that of the entry before; becomes this entry's. */
static void hash_entry(uint8_t hash[HASH_SIZE], const struct store_audit *entry)
{
        uint64_t numbers[2] = {htole64(entry->number), htole64(entry->time_us)};
        crypto_hash_sha256_state state;

        crypto_hash_sha256_init(&state);
        crypto_hash_sha256_update(&state, hash, HASH_SIZE);
        crypto_hash_sha256_update(&state, (const unsigned char *)numbers, sizeof(numbers));
        hash_text(&state, entry->user);
        hash_text(&state, entry->action);
        hash_text(&state, entry->text);
        crypto_hash_sha256_final(&state, hash);
}

static int read_last(store *store, uint64_t *ret_number, uint8_t ret_hash[HASH_SIZE])
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_AUDIT_LAST, &r);

        if (!statement)
                return r;
        *ret_number = 0;
        memset(ret_hash, 0, HASH_SIZE);
        r = store_step(store, statement);
        if (r > 0) {
                r = store_column_u64(statement, 0, ret_number);
                if (r == 0)
                        r = store_column_blob(statement, 1, ret_hash, HASH_SIZE);
        }
        store_end(statement);
        return r;
}

int store_audit_add(store *store, uint64_t time_us, const char *user, const char *action, const char *text)
{
        struct store_audit entry = {.time_us = time_us};
        uint8_t hash[HASH_SIZE];
        sqlite3_stmt *statement;
        int r;

        if (time_us > INT64_MAX)
                return -ERANGE;
        text_copy_cut(entry.user, sizeof(entry.user), user);
        text_copy_cut(entry.action, sizeof(entry.action), action);
        text_copy_cut(entry.text, sizeof(entry.text), text);
        r = read_last(store, &entry.number, hash);
        if (r < 0)
                return r;
        entry.number++;
        hash_entry(hash, &entry);
        statement = store_begin_write(store, STATEMENT_AUDIT_ADD, &r);
        if (!statement)
                return r;
        store_bind_u64(statement, 1, entry.number);
        store_bind_u64(statement, 2, entry.time_us);
        store_bind_text(statement, 3, entry.user);
        store_bind_text(statement, 4, entry.action);
        store_bind_text(statement, 5, entry.text);
        store_bind_blob(statement, 6, hash, sizeof(hash));
        r = store_write(store, statement);
        return r < 0 ? r : 0;
}

static int read_entry(sqlite3_stmt *statement, struct store_audit *ret)
{
        int r = store_column_u64(statement, 0, &ret->number);

        if (r == 0)
                r = store_column_u64(statement, 1, &ret->time_us);
        if (r == 0)
                r = store_column_text(statement, 2, ret->user, sizeof(ret->user));
        if (r == 0)
                r = store_column_text(statement, 3, ret->action, sizeof(ret->action));
        if (r == 0)
                r = store_column_text(statement, 4, ret->text, sizeof(ret->text));
        return r;
}

int store_audit_list(store *store, size_t limit, int (*each)(const struct store_audit *entry, void *userdata),
                     void *userdata)
{
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_AUDIT_LIST, &r);

        if (!statement)
                return r;
        store_bind_u64(statement, 1, limit > INT32_MAX ? INT32_MAX : limit);
        while ((r = store_step(store, statement)) > 0) {
                struct store_audit entry = {0};

                r = read_entry(statement, &entry);
                if (r == 0)
                        r = each(&entry, userdata);
                if (r != 0)
                        break;
        }
        store_end(statement);
        return r;
}

/* One row of the chain; hash_entry's result has to be what is stored, and what was kept elsewhere. */
static int verify_entry(sqlite3_stmt *statement, struct store_audit_chain *chain)
{
        uint8_t hash[HASH_SIZE], stored[HASH_SIZE];
        struct store_audit entry = {0};
        int r = read_entry(statement, &entry);

        if (r == 0)
                r = store_column_blob(statement, 5, stored, sizeof(stored));
        if (r < 0)
                return r;
        memcpy(hash, chain->hash, sizeof(hash));
        hash_entry(hash, &entry);
        if (entry.number != chain->entries + 1 || sodium_memcmp(hash, stored, sizeof(hash)) != 0 ||
            (entry.number == chain->known && sodium_memcmp(hash, chain->known_hash, sizeof(hash)) != 0))
                return -EBADMSG;
        memcpy(chain->hash, hash, sizeof(hash));
        chain->entries++;
        return 0;
}

int store_audit_verify(store *store, struct store_audit_chain *chain, size_t limit)
{
        uint64_t until = chain->entries + (limit < INT32_MAX ? limit : INT32_MAX);
        int r = 0;
        sqlite3_stmt *statement = store_begin_read(store, STATEMENT_AUDIT_READ, &r);

        if (!statement)
                return r;
        store_bind_u64(statement, 1, chain->entries);
        store_bind_u64(statement, 2, until - chain->entries);
        while (chain->entries < until && (r = store_step(store, statement)) > 0) {
                r = verify_entry(statement, chain);
                if (r < 0)
                        break;
        }
        store_end(statement);
        if (r == 0 && chain->entries == until)
                return 1;
        if (r == 0 && chain->entries < chain->known)
                r = -EBADMSG; /* what was there once has been cut off */
        if (r == -EBADMSG)
                chain->bad = chain->entries + 1;
        return r;
}
