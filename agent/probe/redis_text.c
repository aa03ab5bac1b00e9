/* See redis_text.h. */
#include "agent/probe/redis_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

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
};

static void set_field(struct redis_state *state, const struct field *field, const char *value)
{
        char *at = (char *)state + field->offset;
        uint64_t number;

        switch (field->type) {
        case FIELD_TEXT:
                text_copy_cut(at, field->size, value);
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
                        }
                }
                at += length;
                at += strspn(at, "\r\n");
        }
        if (text_equal(state->role, "slave") && state->master_offset > state->replica_offset)
                state->replication_lag_bytes = state->master_offset - state->replica_offset;
}

int redis_text_manifest(struct redis_state *state, const char *text,
                        uint64_t (*size_of)(const char *name, void *userdata), void *userdata)
{
        uint64_t base = 0, incremental = 0;
        char base_file[sizeof(state->base_file)] = "";

        for (const char *at = text; *at;) {
                size_t length = strcspn(at, "\n");
                char line[512], name[256], type;
                unsigned long long sequence;

                if (length >= sizeof(line))
                        return -EBADMSG;
                memcpy(line, at, length);
                line[length] = '\0';
                at += length + (at[length] == '\n');
                if (!line[0] || line[0] == '#')
                        continue;
                if (sscanf(line, "file %255s seq %llu type %c", name, &sequence, &type) != 3 ||
                    strchr(name, '/') || !strchr("bih", type))
                        return -EBADMSG;
                if (type == 'b') {
                        base += size_of(name, userdata);
                        text_copy_cut(base_file, sizeof(base_file), name);
                } else if (type == 'i') {
                        incremental += size_of(name, userdata);
                }
        }
        state->base_bytes = base;
        state->incremental_bytes = incremental;
        memcpy(state->base_file, base_file, sizeof(base_file));
        return 0;
}
