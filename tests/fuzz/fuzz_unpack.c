/* Messages off the wire: the first byte chooses the type. Whatever the walk and the unpacking accept must
 * hold what the rest of muster relies on: text that is UTF-8, enums that are known, memory within the budget.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/rpc/unpack.h"
#include "proto/agent.pb-c.h"
#include "proto/fleet.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/link.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
        &muster__v1__hello__descriptor,
        &muster__v1__admit__descriptor,
        &muster__v1__call_head__descriptor,
        &muster__v1__call_end__descriptor,
        &muster__v1__agent_state__descriptor,
        &muster__v1__watch_request__descriptor,
        &muster__v1__operate_request__descriptor,
        &muster__v1__operations_reply__descriptor,
        &muster__v1__exec_output__descriptor,
        &muster__v1__status_reply__descriptor,
        &muster__v1__plan_reply__descriptor,
        &muster__v1__run_update__descriptor,
        &grpc__health__v1__health_check_response__descriptor,
};

static void message_verify(const ProtobufCMessage *message);

static void value_verify(const ProtobufCFieldDescriptor *field, const void *value)
{
        if (field->type == PROTOBUF_C_TYPE_ENUM) {
                if (!protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)value))
                        abort();
        } else if (field->type == PROTOBUF_C_TYPE_STRING) {
                const char *text = *(const char *const *)value;

                if (text && !text_is_utf8(text, strlen(text)))
                        abort();
        } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
                const ProtobufCMessage *inner = *(const ProtobufCMessage *const *)value;

                if (inner)
                        message_verify(inner);
        }
}

/* The size of what a repeated field's array holds, for the types that are looked at. */
static size_t element_size(const ProtobufCFieldDescriptor *field)
{
        return field->type == PROTOBUF_C_TYPE_ENUM ? sizeof(int) : sizeof(void *);
}

static void message_verify(const ProtobufCMessage *message)
{
        const char *base = (const char *)message;

        for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

                if (field->label == PROTOBUF_C_LABEL_REPEATED) {
                        size_t count = *(const size_t *)(base + field->quantifier_offset);
                        const char *array = *(const char *const *)(base + field->offset);

                        for (size_t k = 0; k < count && (field->type == PROTOBUF_C_TYPE_ENUM ||
                                                         field->type == PROTOBUF_C_TYPE_STRING ||
                                                         field->type == PROTOBUF_C_TYPE_MESSAGE);
                             k++)
                                value_verify(field, array + k * element_size(field));
                } else {
                        value_verify(field, base + field->offset);
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct unpack_space space;
        const ProtobufCMessageDescriptor *type;
        const ProtobufCMessage *message;
        struct error error = {0};
        int r;

        if (size < 1)
                return 0;
        type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
        r = unpack_message(&space, type, data + 1, size - 1, &message, &error);
        if (r == 0)
                message_verify(message);
        else if (!*error.text)
                abort();
        if (space.spent > UNPACK_BUDGET)
                abort();
        return 0;
}
