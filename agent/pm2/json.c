/* See json.h. */
#include "agent/pm2/json.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/text.h"

/* jansson's own limit for reading; values built here are no deeper. */
#define DEPTH_MAX 2048

static int hex4(const char *text)
{
        int value = 0;

        for (int i = 0; i < 4; i++) {
                char c = text[i];
                int digit = c >= '0' && c <= '9'   ? c - '0'
                            : c >= 'a' && c <= 'f' ? c - 'a' + 10
                            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                   : -1;

                if (digit < 0)
                        return -1;
                value = value << 4 | digit;
        }
        return value;
}

/* Replaces escapes of unpaired surrogates, in place. */
static void mend_surrogates(char *text, size_t size)
{
        for (size_t i = 0; i + 6 <= size;) {
                int unit, next;

                if (text[i] != '\\') {
                        i++;
                        continue;
                }
                unit = text[i + 1] == 'u' ? hex4(text + i + 2) : -1;
                if (unit < 0xd800 || unit > 0xdfff) {
                        i += 2;
                        continue;
                }
                next = i + 12 <= size && text[i + 6] == '\\' && text[i + 7] == 'u' ? hex4(text + i + 8) : -1;
                if (unit < 0xdc00 && next >= 0xdc00 && next <= 0xdfff) {
                        i += 12;
                        continue;
                }
                memcpy(text + i, "\\ufffd", 6);
                i += 6;
        }
}

int pm2_json_parse(json_t **ret, const char *text, size_t size, struct error *error)
{
        size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
        cleanup_free char *mended = NULL;
        json_error_t problem;
        json_t *value = json_loadb(text, size, flags, &problem);

        if (!value) {
                mended = malloc(size + 1);
                if (!mended)
                        return -ENOMEM;
                memcpy(mended, text, size);
                mend_surrogates(mended, size);
                value = json_loadb(mended, size, flags | JSON_DECODE_INT_AS_REAL, &problem);
        }
        if (!value)
                return error_set(error,
                                 json_error_code(&problem) == json_error_out_of_memory ? -ENOMEM : -EBADMSG,
                                 "not JSON, at byte %d: %s", problem.position, problem.text);
        *ret = value;
        return 0;
}

/* Where the canonical form goes: a hash, or a text of limited size. */
struct sink {
        crypto_hash_sha256_state *hash;
        char *text;
        size_t size, used;
        int depth;
};

static void put(struct sink *sink, const char *bytes, size_t size)
{
        if (sink->hash) {
                crypto_hash_sha256_update(sink->hash, (const unsigned char *)bytes, size);
                return;
        }
        for (size_t i = 0; i < size && sink->used + 1 < sink->size; i++)
                sink->text[sink->used++] = bytes[i];
}

static void put_string(struct sink *sink, const char *text, size_t size)
{
        size_t start = 0;

        put(sink, "\"", 1);
        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char)text[i];
                char escape[8];

                if (c >= 0x20 && c != '"' && c != '\\')
                        continue;
                put(sink, text + start, i - start);
                start = i + 1;
                if (c < 0x20)
                        put(sink, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
                else
                        put(sink, (char[]){'\\', (char)c}, 2);
        }
        put(sink, text + start, size - start);
        put(sink, "\"", 1);
}

/* Small enough that a double holds every whole number. */
static bool is_exact(double value)
{
        return value > -9007199254740992.0 && value < 9007199254740992.0;
}

static void put_number(struct sink *sink, const json_t *value)
{
        char text[40];
        double real;
        int length;

        if (json_is_integer(value)) {
                length = snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
        } else {
                real = json_real_value(value);
                if (is_exact(real) && (double)(long long)real == real)
                        length = snprintf(text, sizeof(text), "%lld", (long long)real);
                else
                        length = snprintf(text, sizeof(text), "%.17g", real);
        }
        put(sink, text, (size_t)length);
}

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int put_value(struct sink *sink, const json_t *value, json_skip skip, const void *userdata);

static int put_object(struct sink *sink, const json_t *object, json_skip skip, const void *userdata)
{
        cleanup_free const char **keys = NULL;
        json_t *unqualified = (json_t *)object, *member;
        size_t count = 0;
        const char *key;

        keys = calloc(json_object_size(object) + 1, sizeof(*keys));
        if (!keys)
                return -ENOMEM;
        json_object_foreach(unqualified, key, member)
        {
                if (!skip || !skip(key, member, userdata))
                        keys[count++] = key;
        }
        qsort(keys, count, sizeof(*keys), compare_keys);
        put(sink, "{", 1);
        for (size_t i = 0; i < count; i++) {
                int r;

                if (i)
                        put(sink, ",", 1);
                put_string(sink, keys[i], strlen(keys[i]));
                put(sink, ":", 1);
                r = put_value(sink, json_object_get(object, keys[i]), NULL, NULL);
                if (r < 0)
                        return r;
        }
        put(sink, "}", 1);
        return 0;
}

static int put_array(struct sink *sink, const json_t *array)
{
        put(sink, "[", 1);
        for (size_t i = 0; i < json_array_size(array); i++) {
                int r;

                if (i)
                        put(sink, ",", 1);
                r = put_value(sink, json_array_get(array, i), NULL, NULL);
                if (r < 0)
                        return r;
        }
        put(sink, "]", 1);
        return 0;
}

static int put_value(struct sink *sink, const json_t *value, json_skip skip, const void *userdata)
{
        int r = 0;

        if (++sink->depth > DEPTH_MAX)
                return -ELOOP;
        switch (value ? json_typeof(value) : JSON_NULL) {
        case JSON_OBJECT:
                r = put_object(sink, value, skip, userdata);
                break;
        case JSON_ARRAY:
                r = put_array(sink, value);
                break;
        case JSON_STRING:
                put_string(sink, json_string_value(value), json_string_length(value));
                break;
        case JSON_INTEGER:
        case JSON_REAL:
                put_number(sink, value);
                break;
        case JSON_TRUE:
                put(sink, "true", 4);
                break;
        case JSON_FALSE:
                put(sink, "false", 5);
                break;
        case JSON_NULL:
                put(sink, "null", 4);
                break;
        }
        sink->depth--;
        return r;
}

int json_hash(const json_t *value, json_skip skip, const void *userdata, char ret[JSON_HASH_SIZE])
{
        crypto_hash_sha256_state state;
        unsigned char hash[crypto_hash_sha256_BYTES];
        struct sink sink = {.hash = &state};
        int r;

        crypto_hash_sha256_init(&state);
        r = put_value(&sink, value, skip, userdata);
        if (r < 0)
                return r;
        crypto_hash_sha256_final(&state, hash);
        text_hex(ret, hash, sizeof(hash));
        return 0;
}

int json_truthy(const json_t *value)
{
        switch (value ? json_typeof(value) : JSON_NULL) {
        case JSON_TRUE:
        case JSON_OBJECT:
        case JSON_ARRAY:
                return 1;
        case JSON_STRING:
                return json_string_length(value) > 0;
        case JSON_INTEGER:
        case JSON_REAL:
                return json_number_value(value) != 0;
        default:
                return 0;
        }
}

void json_brief(const json_t *value, char *ret, size_t size)
{
        struct sink sink = {.text = ret, .size = size};

        if (json_is_string(value))
                put(&sink, json_string_value(value), json_string_length(value));
        else if (json_truthy(value) && (!json_is_array(value) || json_array_size(value) > 0))
                put_value(&sink, value, NULL, NULL);
        while (sink.used > 0 && !text_is_utf8(ret, sink.used))
                sink.used--;
        ret[sink.used] = '\0';
}

json_int_t json_number(const json_t *object, const char *key, json_int_t fallback)
{
        const json_t *value = json_object_get(object, key);
        uint64_t number;

        if (json_is_integer(value))
                return json_integer_value(value);
        if (json_is_real(value) && is_exact(json_real_value(value)))
                return (json_int_t)json_real_value(value);
        if (json_is_string(value) && text_to_u64(json_string_value(value), &number) == 0 &&
            number <= INT64_MAX)
                return (json_int_t)number;
        return fallback;
}

const char *json_text(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}
