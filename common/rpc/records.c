/* See records.h. What a type allows is a table; what is not in it does not exist. */
#include "common/rpc/records.h"

#include <errno.h>
#include <stdbool.h>

#include "common/base/cleanup.h"

static const struct {
        bool known;
        bool stream; /* belongs to a stream: the number is not 0 */
        unsigned flags_low, flags_high;
        size_t length_low, length_high;
} rules[] = {
        [RECORD_HEAD] = {true, true, 0, 0, 1, RECORD_HEAD_MAX},
        [RECORD_MESSAGE] = {true, true, 0, RECORD_MORE, 0, RECORD_PAYLOAD_MAX},
        [RECORD_END] = {true, true, 0, 0, 0, RECORD_END_MAX},
        [RECORD_CANCEL] = {true, true, 0, 0, 0, 0},
        [RECORD_CREDIT] = {true, true, 0, 0, 4, 4},
        [RECORD_PING] = {true, false, 0, 0, 0, 0},
        [RECORD_PONG] = {true, false, 0, 0, 0, 0},
        [RECORD_REKEY] = {true, false, 1, 5, 0, NOISE_XK_OVERHEAD3},
};

int record_read(struct record *ret, const uint8_t *bytes, size_t size)
{
        size_t length;
        unsigned type, flags;
        uint32_t stream;

        if (size < RECORD_HEADER_SIZE)
                return -EBADMSG;
        stream = bytes_get32(bytes);
        type = bytes[4];
        flags = bytes[5];
        length = bytes_get16(bytes + 6);
        if (type >= ELEMENTS(rules) || !rules[type].known || rules[type].stream != (stream != 0))
                return -EBADMSG;
        if (flags < rules[type].flags_low || flags > rules[type].flags_high)
                return -EBADMSG;
        if (length < rules[type].length_low || length > rules[type].length_high ||
            length > size - RECORD_HEADER_SIZE)
                return -EBADMSG;
        /* a part that is not the last brings something, so that parts cannot be sent for nothing for ever */
        if (type == RECORD_MESSAGE && flags == RECORD_MORE && length == 0)
                return -EBADMSG;

        *ret = (struct record){stream, (enum record_type)type, flags, bytes + RECORD_HEADER_SIZE, length};
        return (int)(RECORD_HEADER_SIZE + length);
}

void record_write_header(uint8_t *at, uint32_t stream, enum record_type type, unsigned flags, size_t length)
{
        bytes_put32(at, stream);
        at[4] = (uint8_t)type;
        at[5] = (uint8_t)flags;
        bytes_put16(at + 6, length);
}
