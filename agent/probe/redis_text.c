/* See redis_text.h. */
#include "agent/probe/redis_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

#define MANIFEST_FILES_MOST 4096u

enum field_type { FIELD_NUMBER, FIELD_FLAG, FIELD_TEXT };

struct field {
        const char *key;
        enum field_type type;
        size_t offset, size;
};

#define NUMBER(key, member)                                                                                  \
        {                                                                                                    \
                key, FIELD_NUMBER, offsetof(struct redis_state, member), 0                                   \
        }
#define FLAG(key, member)                                                                                    \
        {                                                                                                    \
                key, FIELD_FLAG, offsetof(struct redis_state, member), 0                                     \
        }
#define TEXT(key, member)                                                                                    \
        {                                                                                                    \
                key, FIELD_TEXT, offsetof(struct redis_state, member),                                       \
                        sizeof(((struct redis_state *)0)->member)                                            \
        }

static const struct field fields[] = {
        TEXT("redis_version", version),
        TEXT("run_id", run_id),
        TEXT("role", role),
        FLAG("loading", loading),
        NUMBER("loading_total_bytes", loading_total_bytes),
        NUMBER("loading_loaded_bytes", loading_loaded_bytes),
        NUMBER("used_memory", used_memory),
        NUMBER("maxmemory", max_memory),
        FLAG("aof_enabled", aof_enabled),
        NUMBER("aof_current_size", aof_current_size),
        NUMBER("aof_base_size", aof_base_size),
        NUMBER("aof_rewrites", aof_rewrites),
        FLAG("aof_rewrite_in_progress", aof_rewrite_in_progress),
        FLAG("aof_rewrite_scheduled", aof_rewrite_scheduled),
        TEXT("aof_last_bgrewrite_status", aof_last_rewrite_status),
        TEXT("aof_last_write_status", aof_last_write_status),
        TEXT("rdb_last_bgsave_status", rdb_last_save_status),
        FLAG("rdb_bgsave_in_progress", rdb_save_in_progress),
        NUMBER("master_repl_offset", master_offset),
        NUMBER("slave_repl_offset", replica_offset),
        TEXT("master_replid", replication_id),
        TEXT("master_host", master_address),
        FLAG("master_sync_in_progress", sync_in_progress),
        NUMBER("master_sync_total_bytes", sync_total_bytes), /* -1 and 0: its master has not said it */
        NUMBER("master_sync_read_bytes", sync_read_bytes),
};

static void set_field(struct redis_state *state, const struct field *field, const char *value)
{
        char *at = (char *)state + field->offset;
        uint64_t number;

        switch (field->type) {
        case FIELD_TEXT:
                text_copy_clean(at, field->size, value);
                return;
        case FIELD_FLAG:
                *(bool *)at = text_equal(value, "1");
                return;
        case FIELD_NUMBER:
                if (text_to_u64(value, &number) == 0)
                        memcpy(at, &number, sizeof(number));
                return;
        }
}

/* "db0:keys=12,expires=0,avg_ttl=0" */
static void add_keys(struct redis_state *state, const char *value)
{
        char digits[24];
        uint64_t count;
        size_t n;

        if (!text_starts(value, "keys="))
                return;
        value += strlen("keys=");
        n = strcspn(value, ",");
        if (n >= sizeof(digits))
                return;
        memcpy(digits, value, n);
        digits[n] = '\0';
        if (text_to_u64(digits, &count) == 0 && state->keys + count >= state->keys)
                state->keys += count;
}

static void read_pair(struct redis_state *state, const char *key, const char *value)
{
        if (text_equal(key, "master_link_status")) {
                state->master_link_up = text_equal(value, "up");
                return;
        }
        if (key[0] == 'd' && key[1] == 'b' && key[2] >= '0' && key[2] <= '9') {
                add_keys(state, value);
                return;
        }
        for (size_t i = 0; i < ELEMENTS(fields); i++)
                if (text_equal(key, fields[i].key)) {
                        set_field(state, &fields[i], value);
                        return;
                }
}

void redis_text_info(struct redis_state *state, const char *text)
{
        char line[TEXT_SIZE];
        uint64_t received = 0; /* by a replica from its master, applied or not */
        uint64_t port = 0;     /* of its master */
        size_t host;

        for (const char *at = text; *at;) {
                size_t length = strcspn(at, "\r\n");
                char *colon;

                /* Lines that are longer (the module list, paths) hold nothing that is read here. */
                if (length < sizeof(line)) {
                        memcpy(line, at, length);
                        line[length] = '\0';
                        colon = line[0] == '#' ? NULL : strchr(line, ':');
                        if (colon) {
                                *colon = '\0';
                                read_pair(state, line, colon + 1);
                                if (text_equal(line, "slave_read_repl_offset"))
                                        (void)text_to_u64(colon + 1, &received);
                                else if (text_equal(line, "master_port"))
                                        (void)text_to_u64(colon + 1, &port);
                        }
                }
                at += length;
                at += strspn(at, "\r\n");
        }
        if (text_equal(state->role, "slave") && received > state->replica_offset)
                state->replication_lag_bytes = received - state->replica_offset;
        host = strnlen(state->master_address, sizeof(state->master_address));
        if (host > 0 && port <= UINT16_MAX)
                snprintf(state->master_address + host, sizeof(state->master_address) - host, ":%" PRIu64,
                         port);
}

/* The file's name after "file ", which Redis puts in quotes if it holds spaces; what follows it, or NULL.
 * Names with escapes in them, or with a path, are not taken. */
static const char *read_name(const char *at, char *name, size_t size)
{
        bool quoted = *at == '"';
        size_t length;

        at += quoted;
        length = strcspn(at, quoted ? "\"\\" : " \"\\");
        if (length == 0 || length >= size || at[length] != (quoted ? '"' : ' '))
                return NULL;
        memcpy(name, at, length);
        name[length] = '\0';
        return strchr(name, '/') ? NULL : at + length + quoted;
}

/* "file NAME seq N type b", perhaps with more behind. 1: nothing in this line. */
static int read_manifest_line(const char *line, char *name, size_t size, char *ret_type)
{
        unsigned long long sequence;
        char type;

        if (!line[0] || line[0] == '#')
                return 1;
        line = text_starts(line, "file ") ? read_name(line + strlen("file "), name, size) : NULL;
        if (!line || sscanf(line, " seq %llu type %c", &sequence, &type) != 2 || !strchr("bih", type))
                return -EBADMSG;
        *ret_type = type;
        return 0;
}

int redis_text_manifest(struct redis_state *state, const char *text,
                        uint64_t (*size_of)(const char *name, void *userdata), void *userdata)
{
        uint64_t base = 0, incremental = 0;
        char base_file[sizeof(state->base_file)] = "";
        unsigned files = 0;

        for (const char *at = text; *at;) {
                size_t length = strcspn(at, "\r\n");
                char line[512], name[sizeof(base_file)], type;
                int r;

                if (length >= sizeof(line) || files++ == MANIFEST_FILES_MOST)
                        return -EBADMSG;
                memcpy(line, at, length);
                line[length] = '\0';
                at += length;
                at += strspn(at, "\r\n");
                r = read_manifest_line(line, name, sizeof(name), &type);
                if (r < 0)
                        return r;
                if (r == 0 && type == 'b') {
                        base += size_of(name, userdata);
                        (void)TEXT_COPY(base_file, name);
                } else if (r == 0 && type == 'i') {
                        incremental += size_of(name, userdata);
                }
        }
        state->base_bytes = base;
        state->incremental_bytes = incremental;
        memcpy(state->base_file, base_file, sizeof(base_file));
        return 0;
}
