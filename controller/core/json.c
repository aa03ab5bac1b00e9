/* See json.h. */
#include "controller/core/json.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

struct json_reader json_reader_begin(json_t *object, const char *what, struct error *error)
{
        struct json_reader reader = {.object = object, .what = what, .error = error};

        if (!json_is_object(object))
                reader.result = error_set(error, -EINVAL, "%s is not an object", what);
        return reader;
}

json_t *json_take(struct json_reader *reader, const char *key, json_type type)
{
        json_t *value = reader->result < 0 ? NULL : json_object_get(reader->object, key);

        if (!value)
                return NULL;
        reader->taken++;
        if (json_typeof(value) == type)
                return value;
        reader->result = error_set(reader->error, -EINVAL, "%s: '%s' has the wrong type", reader->what, key);
        return NULL;
}

void json_take_text(struct json_reader *reader, const char *key, char *target, size_t size)
{
        json_t *value = json_take(reader, key, JSON_STRING);

        if (!value)
                return;
        if (json_string_length(value) >= size ||
            strlen(json_string_value(value)) != json_string_length(value))
                reader->result = error_set(reader->error, -EINVAL, "%s: '%s' is too long", reader->what, key);
        else
                text_copy_cut(target, size, json_string_value(value));
}

void json_take_number(struct json_reader *reader, const char *key, uint64_t *target)
{
        json_t *value = json_take(reader, key, JSON_INTEGER);

        if (value && json_integer_value(value) < 0)
                reader->result = error_set(reader->error, -EINVAL, "%s: '%s' is negative", reader->what, key);
        else if (value)
                *target = (uint64_t)json_integer_value(value);
}

void json_take_real(struct json_reader *reader, const char *key, double *target)
{
        json_t *value = json_take(reader, key, JSON_REAL);

        if (value)
                *target = json_real_value(value);
}

void json_take_bool(struct json_reader *reader, const char *key, bool *target)
{
        json_t *value = reader->result < 0 ? NULL : json_object_get(reader->object, key);

        if (!value)
                return;
        reader->taken++;
        if (json_is_boolean(value))
                *target = json_is_true(value);
        else
                reader->result =
                        error_set(reader->error, -EINVAL, "%s: '%s' has the wrong type", reader->what, key);
}

int json_reader_end(struct json_reader *reader)
{
        if (reader->result >= 0 && reader->taken != json_object_size(reader->object))
                reader->result =
                        error_set(reader->error, -EINVAL, "%s has a key that is not known", reader->what);
        return reader->result;
}

void json_put(json_t *object, const char *key, json_t *value, int *result)
{
        if (*result < 0)
                json_decref(value);
        else if (!value || json_object_set_new(object, key, value) < 0)
                *result = -ENOMEM;
}

json_t *json_text(const char *value)
{
        json_t *string;
        char *plain;

        if (text_is_utf8(value, strlen(value)))
                return json_string(value);
        plain = strdup(value);
        if (!plain)
                return NULL;
        for (char *c = plain; *c; c++)
                if (*c & 0x80)
                        *c = '?';
        string = json_string(plain);
        free(plain);
        return string;
}

void json_put_text(json_t *object, const char *key, const char *value, int *result)
{
        if (value[0])
                json_put(object, key, json_text(value), result);
}

void json_put_number(json_t *object, const char *key, uint64_t value, int *result)
{
        if (value)
                json_put(object, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value),
                         result);
}

void json_put_bool(json_t *object, const char *key, bool value, int *result)
{
        if (value)
                json_put(object, key, json_true(), result);
}
