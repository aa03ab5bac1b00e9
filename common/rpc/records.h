/* What stands inside a transport message: records of {stream u32, type u8, flags u8, length u16, payload},
 * all numbers big-endian, one behind the other to the message's end. Pure: bytes in, records out.
 *
 *     HEAD     opens a stream: a CallHead; the request follows as MESSAGE records
 *     MESSAGE  a message or, with MORE, a part of one that is continued in the stream's next MESSAGE
 *     END      closes a stream, from the side that serves it: a CallEnd
 *     CANCEL   closes a stream, from the side that called
 *     CREDIT   u32: so many more bytes of MESSAGE payload may be sent to the caller
 *     PING, PONG
 *     REKEY    a message of a new handshake; its number in flags (see rekey.c)
 *
 * Private to common/rpc. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/noise/noise.h"

enum record_type {
        RECORD_HEAD = 1,
        RECORD_MESSAGE = 2,
        RECORD_END = 3,
        RECORD_CANCEL = 4,
        RECORD_CREDIT = 5,
        RECORD_PING = 6,
        RECORD_PONG = 7,
        RECORD_REKEY = 8,
};

#define RECORD_MORE 1u /* flag of MESSAGE */

#define RECORD_HEADER_SIZE 8u
#define RECORDS_MAX        (NOISE_MESSAGE_MAX - NOISE_TAG_SIZE) /* the plaintext of one transport message */
#define RECORD_PAYLOAD_MAX (RECORDS_MAX - RECORD_HEADER_SIZE)
#define RECORD_HEAD_MAX    512u  /* payload of HEAD */
#define RECORD_END_MAX     1024u /* payload of END */

struct record {
        uint32_t stream;
        enum record_type type;
        unsigned flags;
        const uint8_t *payload; /* into the bytes that were read */
        size_t length;
};

/* The first record of size bytes. Returns how many bytes it takes, or -EBADMSG for anything that is not a
 * whole record of a known type with the stream, flags and length that its type allows. */
int record_read(struct record *ret, const uint8_t *bytes, size_t size);

/* RECORD_HEADER_SIZE bytes. */
void record_write_header(uint8_t *at, uint32_t stream, enum record_type type, unsigned flags, size_t length);

static inline uint16_t bytes_get16(const uint8_t *at)
{
        return (uint16_t)(at[0] << 8 | at[1]);
}
static inline uint32_t bytes_get32(const uint8_t *at)
{
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static inline void bytes_put16(uint8_t *at, size_t value)
{
        at[0] = (uint8_t)(value >> 8);
        at[1] = (uint8_t)value;
}
static inline void bytes_put32(uint8_t *at, uint32_t value)
{
        at[0] = (uint8_t)(value >> 24);
        at[1] = (uint8_t)(value >> 16);
        at[2] = (uint8_t)(value >> 8);
        at[3] = (uint8_t)value;
}
