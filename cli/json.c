/* See json.h. */
#include "cli/json.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

/* SERVICE_PHASE_READY of ServicePhase is "ready". */
static json_t *enum_word(const ProtobufCEnumDescriptor *type, int number)
{
        const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
        char prefix[128], word[128];
        size_t n = 0;

        if (!value)
                return json_integer(number);
        for (const char *c = type->short_name; *c && n + 3 < sizeof(prefix); c++) {
                if (isupper((unsigned char)*c) && n > 0 && !isupper((unsigned char)c[-1]))
                        prefix[n++] = '_';
                prefix[n++] = (char)toupper((unsigned char)*c);
        }
        prefix[n++] = '_';
        prefix[n] = '\0';
        snprintf(word, sizeof(word), "%s", text_starts(value->name, prefix) ? value->name + n : value->name);
        for (char *c = word; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        return json_string(word);
}

static json_t *bytes_hex(const ProtobufCBinaryData *bytes)
{
        cleanup_free char *hex = NULL;

        if (bytes->len > SIZE_MAX / 2 - 1)
                return NULL;
        hex = malloc(2 * bytes->len + 1);
        if (!hex)
                return NULL;
        text_hex(hex, bytes->data, bytes->len);
        return json_string(hex);
}

static json_t *big_number(uint64_t value)
{
        return value > INT64_MAX ? json_null() : json_integer((json_int_t)value);
}

/* JSON has no word for what is not finite. */
static json_t *real_number(double value)
{
        return isfinite(value) ? json_real(value) : json_null();
}

/* One value of the field's type, at value. */
static json_t *field_value(const ProtobufCFieldDescriptor *field, const void *value)
{
        const ProtobufCMessage *message;
        const char *text;

        switch (field->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                return json_integer(*(const int32_t *)value);
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                return json_integer(*(const uint32_t *)value);
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                return json_integer(*(const int64_t *)value);
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                return big_number(*(const uint64_t *)value);
        case PROTOBUF_C_TYPE_FLOAT:
                return real_number((double)*(const float *)value);
        case PROTOBUF_C_TYPE_DOUBLE:
                return real_number(*(const double *)value);
        case PROTOBUF_C_TYPE_BOOL:
                return json_boolean(*(const protobuf_c_boolean *)value);
        case PROTOBUF_C_TYPE_ENUM:
                return enum_word(field->descriptor, *(const int *)value);
        case PROTOBUF_C_TYPE_STRING:
                text = *(char *const *)value;
                return text_is_utf8(text, strlen(text)) ? json_string(text) : json_null();
        case PROTOBUF_C_TYPE_BYTES:
                return bytes_hex(value);
        case PROTOBUF_C_TYPE_MESSAGE:
                message = *(const ProtobufCMessage *const *)value;
                return message ? json_message(message) : json_null();
        }
        return json_null();
}

static size_t element_size(const ProtobufCFieldDescriptor *field)
{
        switch (field->type) {
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return 8;
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_BYTES:
                return sizeof(ProtobufCBinaryData);
        case PROTOBUF_C_TYPE_BOOL:
                return sizeof(protobuf_c_boolean);
        default:
                return 4;
        }
}

static json_t *repeated_value(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
        const char *base = (const char *)message;
        size_t count = *(const size_t *)(base + field->quantifier_offset), size = element_size(field);
        const char *elements = *(const char *const *)(base + field->offset);
        json_t *array = json_array();

        for (size_t i = 0; array && i < count; i++) {
                if (json_array_append_new(array, field_value(field, elements + i * size)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

json_t *json_message(const ProtobufCMessage *message)
{
        json_t *object = json_object();

        for (unsigned i = 0; object && i < message->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
                json_t *value = field->label == PROTOBUF_C_LABEL_REPEATED
                                        ? repeated_value(field, message)
                                        : field_value(field, (const char *)message + field->offset);

                if (json_object_set_new(object, field->name, value) < 0) {
                        json_decref(object);
                        return NULL;
                }
        }
        return object;
}

int json_print(const ProtobufCMessage *message, bool one_line)
{
        json_t *object = json_message(message);
        int r;

        if (!object)
                return -ENOMEM;
        r = json_dumpf(object, stdout, one_line ? JSON_COMPACT : JSON_INDENT(2));
        json_decref(object);
        if (r < 0)
                return -ENOMEM;
        putchar('\n');
        fflush(stdout);
        return 0;
}
