/* Messages from a peer: checked on the wire, then unpacked within a budget.
 *
 * protobuf-c takes strings with NUL bytes in them, enums of any value and as much memory as a small message
 * can ask for. So the bytes are walked first with the type's descriptor: every field's wire type, every
 * string (UTF-8, no NUL), every enum (a known value), the depth. Fields that the type does not know are
 * allowed (a newer program may send them) and few. Private to common/rpc. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "common/base/error.h"

#define UNPACK_BUDGET      (16u << 20) /* bytes of memory a message may take */
#define UNPACK_DEPTH       16u
#define UNPACK_UNKNOWN_MAX 64u     /* unknown fields */
#define UNPACK_FIELDS_MAX  400000u /* fields and elements in all */

/* Where a message is unpacked: one block that stays, more while a message needs them. Zero it before use. */
struct unpack_space {
        struct unpack_block *newest;
        size_t used;  /* of the newest block */
        size_t spent; /* of the budget */
};
void unpack_space_clear(struct unpack_space *space);

/* The message lives in space until the next unpack there. Returns 0, -EBADMSG (error says what is wrong with
 * it) or -ENOMEM (the budget counts too). error may be NULL. */
int unpack_message(struct unpack_space *space, const ProtobufCMessageDescriptor *descriptor,
                   const uint8_t *bytes, size_t size, const ProtobufCMessage **ret, struct error *error);

/* The walk alone. */
int unpack_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size,
                 struct error *error);
