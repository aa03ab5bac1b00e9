/* See unpack.h. Encoding: Protocol Buffers, "Encoding" (proto3). */
#include "common/rpc/unpack.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

#define BLOCK_SIZE (16u << 10)

struct unpack_block {
        struct unpack_block *older;
        size_t room;
        alignas(max_align_t) uint8_t bytes[];
};

static void space_drop(struct unpack_space *space)
{
        struct unpack_block *block = space->newest;

        space->newest = block->older;
        free(block);
}

/* Back to one empty block of the usual size, which is kept. */
static void space_reset(struct unpack_space *space)
{
        while (space->newest && (space->newest->older || space->newest->room > BLOCK_SIZE))
                space_drop(space);
        space->used = 0;
        space->spent = 0;
}

void unpack_space_clear(struct unpack_space *space)
{
        while (space->newest)
                space_drop(space);
        *space = (struct unpack_space){0};
}

static void *space_allocate(void *data, size_t size)
{
        struct unpack_space *space = data;
        const size_t align = alignof(max_align_t);
        void *allocated;

        if (size > UNPACK_BUDGET)
                return NULL;
        size = (size + align - 1) & ~(align - 1);
        if (space->spent + size > UNPACK_BUDGET)
                return NULL;
        if (!space->newest || space->newest->room - space->used < size) {
                size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
                struct unpack_block *block = malloc(sizeof(*block) + room);

                if (!block)
                        return NULL;
                block->older = space->newest;
                block->room = room;
                space->newest = block;
                space->used = 0;
        }
        allocated = space->newest->bytes + space->used;
        space->used += size;
        space->spent += size;
        return allocated;
}

static void space_release(void *data, void *pointer)
{
}

/* --- the walk ------------------------------------------------------------------------------------------ */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LENGTH = 2, WIRE_32 = 5 };

struct walk {
        struct error *error;
        unsigned fields, unknown;
};

/* A varint of at most 64 bits; returns how many bytes it takes, or 0. */
static size_t varint_read(uint64_t *ret, const uint8_t *bytes, size_t size)
{
        uint64_t value = 0;

        for (size_t i = 0; i < size && i < 10; i++) {
                if (i == 9 && bytes[i] > 1)
                        return 0;
                value |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
                if (!(bytes[i] & 0x80)) {
                        *ret = value;
                        return i + 1;
                }
        }
        return 0;
}

static enum wire field_wire(const ProtobufCFieldDescriptor *field)
{
        switch (field->type) {
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
                return WIRE_32;
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return WIRE_64;
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
                return WIRE_LENGTH;
        default:
                return WIRE_VARINT;
        }
}

static int walk_refuse(struct walk *walk, const ProtobufCMessageDescriptor *type,
                       const ProtobufCFieldDescriptor *field, const char *what)
{
        return error_set(walk->error, -EBADMSG, "%s%s%s: %s", type->name, field ? "." : "",
                         field ? field->name : "", what);
}

static int walk_number(struct walk *walk, const ProtobufCMessageDescriptor *type,
                       const ProtobufCFieldDescriptor *field, uint64_t value)
{
        if (field->type == PROTOBUF_C_TYPE_ENUM &&
            (value != (uint64_t)(int64_t)(int32_t)value ||
             !protobuf_c_enum_descriptor_get_value(field->descriptor, (int32_t)value)))
                return walk_refuse(walk, type, field, "holds a value that this version does not know");
        return 0;
}

/* The elements of a packed repeated field. */
static int walk_packed(struct walk *walk, const ProtobufCMessageDescriptor *type,
                       const ProtobufCFieldDescriptor *field, const uint8_t *bytes, size_t size)
{
        enum wire wire = field_wire(field);
        int r;

        if (wire != WIRE_VARINT) {
                size_t width = wire == WIRE_32 ? 4 : 8;

                walk->fields += (unsigned)(size / width);
                if (size % width || walk->fields > UNPACK_FIELDS_MAX)
                        return walk_refuse(walk, type, field, "is packed badly");
                return 0;
        }
        while (size) {
                uint64_t value;
                size_t taken = varint_read(&value, bytes, size);

                if (!taken || ++walk->fields > UNPACK_FIELDS_MAX)
                        return walk_refuse(walk, type, field, "is packed badly");
                r = walk_number(walk, type, field, value);
                if (r < 0)
                        return r;
                bytes += taken;
                size -= taken;
        }
        return 0;
}

static int walk_message(struct walk *walk, const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                        size_t size, unsigned depth);

static int walk_bytes(struct walk *walk, const ProtobufCMessageDescriptor *type,
                      const ProtobufCFieldDescriptor *field, const uint8_t *bytes, size_t size,
                      unsigned depth)
{
        switch (field->type) {
        case PROTOBUF_C_TYPE_STRING:
                if (!text_is_utf8(bytes, size))
                        return walk_refuse(walk, type, field, "is not UTF-8 text or holds a NUL byte");
                return 0;
        case PROTOBUF_C_TYPE_BYTES:
                return 0;
        case PROTOBUF_C_TYPE_MESSAGE:
                return walk_message(walk, field->descriptor, bytes, size, depth + 1);
        default:
                return walk_packed(walk, type, field, bytes, size);
        }
}

static const ProtobufCFieldDescriptor *walk_find(const ProtobufCMessageDescriptor *type, uint64_t number)
{
        return number <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(type, (unsigned)number) : NULL;
}

/* One field's value behind its tag; returns how many bytes it takes. */
static int walk_field(struct walk *walk, const ProtobufCMessageDescriptor *type, uint64_t tag,
                      const uint8_t *bytes, size_t size, unsigned depth)
{
        const ProtobufCFieldDescriptor *field = walk_find(type, tag >> 3);
        enum wire wire = (enum wire)(tag & 7);
        uint64_t value = 0;
        size_t taken = 0;
        int r = 0;

        if (tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1)
                return walk_refuse(walk, type, NULL, "has a field with an impossible number");
        if (++walk->fields > UNPACK_FIELDS_MAX)
                return walk_refuse(walk, type, field, "has too many fields");
        if (!field && ++walk->unknown > UNPACK_UNKNOWN_MAX)
                return walk_refuse(walk, type, NULL, "has too many unknown fields");
        if (field && wire != field_wire(field) &&
            !(wire == WIRE_LENGTH && field->label == PROTOBUF_C_LABEL_REPEATED))
                return walk_refuse(walk, type, field, "has another type than it should");

        if (wire == WIRE_32 || wire == WIRE_64)
                taken = wire == WIRE_32 ? 4 : 8;
        else if (wire == WIRE_VARINT || wire == WIRE_LENGTH)
                taken = varint_read(&value, bytes, size);
        if (!taken || taken > size)
                return walk_refuse(walk, type, field, "is cut off or malformed");
        if (wire == WIRE_LENGTH) {
                if (value > size - taken)
                        return walk_refuse(walk, type, field, "is cut off");
                if (field)
                        r = walk_bytes(walk, type, field, bytes + taken, (size_t)value, depth);
                taken += (size_t)value;
        } else if (wire == WIRE_VARINT && field) {
                r = walk_number(walk, type, field, value);
        }
        return r < 0 ? r : (int)taken;
}

static int walk_message(struct walk *walk, const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                        size_t size, unsigned depth)
{
        if (depth > UNPACK_DEPTH)
                return walk_refuse(walk, type, NULL, "is nested too deeply");
        while (size) {
                uint64_t tag;
                size_t taken = varint_read(&tag, bytes, size);
                int r;

                if (!taken || taken > 5)
                        return walk_refuse(walk, type, NULL, "is cut off or malformed");
                bytes += taken;
                size -= taken;
                r = walk_field(walk, type, tag, bytes, size, depth);
                if (r < 0)
                        return r;
                bytes += r;
                size -= (size_t)r;
        }
        return 0;
}

int unpack_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size,
                 struct error *error)
{
        struct walk walk = {.error = error};

        if (size > INT32_MAX)
                return error_set(error, -EBADMSG, "%s: is too large", descriptor->name);
        return walk_message(&walk, descriptor, bytes, size, 0);
}

int unpack_message(struct unpack_space *space, const ProtobufCMessageDescriptor *descriptor,
                   const uint8_t *bytes, size_t size, const ProtobufCMessage **ret, struct error *error)
{
        ProtobufCAllocator allocator = {space_allocate, space_release, space};
        const ProtobufCMessage *message;
        int r;

        r = unpack_check(descriptor, bytes, size, error);
        if (r < 0)
                return r;
        space_reset(space);
        message = protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
        if (!message && space->spent + size / 2 > UNPACK_BUDGET)
                return error_set(error, -ENOMEM, "%s: takes more memory than a message may",
                                 descriptor->name);
        if (!message)
                return error_set(error, -EBADMSG, "%s: is malformed or memory is out", descriptor->name);
        *ret = message;
        return 0;
}
