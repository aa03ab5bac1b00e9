/* See amp.h. */
#include "agent/pm2/amp.h"

#include <errno.h>
#include <string.h>

#define VERSION 1

static uint32_t read_u32(const uint8_t *bytes)
{
        return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

ssize_t amp_decode(const uint8_t *bytes, size_t size, size_t limit, struct amp_message *ret)
{
        struct amp_message message = {0};
        size_t position = 1;

        if (size == 0)
                return 0;
        message.count = bytes[0] & 0x0f;
        if (bytes[0] >> 4 != VERSION || message.count == 0)
                return -EBADMSG;
        for (size_t i = 0; i < message.count; i++) {
                size_t length;

                if (position + 4 > size)
                        return position + 4 > limit ? -EMSGSIZE : 0;
                length = read_u32(bytes + position);
                position += 4;
                if (position > limit || length > limit - position)
                        return -EMSGSIZE;
                if (length > size - position)
                        return 0;
                message.arguments[i] = (struct amp_argument){.bytes = bytes + position, .size = length};
                position += length;
        }
        *ret = message;
        return (ssize_t)position;
}

int amp_encode(struct buffer *out, const struct amp_argument *arguments, size_t count)
{
        size_t total = 1, start = out->size;
        uint8_t *to;
        int r;

        if (count == 0 || count > AMP_ARGUMENTS_MAX)
                return -EINVAL;
        for (size_t i = 0; i < count; i++) {
                if (arguments[i].size > UINT32_MAX)
                        return -EMSGSIZE;
                total += 4 + arguments[i].size;
        }
        r = buffer_reserve(out, total);
        if (r < 0)
                return r;
        to = out->data + start;
        *to++ = (uint8_t)(VERSION << 4 | count);
        for (size_t i = 0; i < count; i++) {
                uint32_t length = (uint32_t)arguments[i].size;

                *to++ = (uint8_t)(length >> 24);
                *to++ = (uint8_t)(length >> 16);
                *to++ = (uint8_t)(length >> 8);
                *to++ = (uint8_t)length;
                if (length)
                        memcpy(to, arguments[i].bytes, length);
                to += length;
        }
        out->size = start + total;
        return 0;
}

int amp_argument_body(const struct amp_argument *argument, const char prefix[2], struct amp_argument *ret)
{
        if (argument->size < 2 || memcmp(argument->bytes, prefix, 2) != 0)
                return -EBADMSG;
        *ret = (struct amp_argument){.bytes = argument->bytes + 2, .size = argument->size - 2};
        return 0;
}
