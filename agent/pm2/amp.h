/* AMP, the framing under PM2's sockets (axon): bytes in, arguments out. Pure.
 *
 * A message is one byte (version 1 in the high half, number of arguments in the low), then each argument as
 * a big-endian u32 length and its bytes. Arguments begin with "j:" for JSON or "s:" for a string. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/base/buffer.h"

#define AMP_ARGUMENTS_MAX 15

struct amp_argument {
        const uint8_t *bytes; /* borrowed from the message */
        size_t size;
};

struct amp_message {
        struct amp_argument arguments[AMP_ARGUMENTS_MAX];
        size_t count;
};

/* Decodes the first message in bytes. Returns how many bytes it took (>0), 0 while it is not complete,
 * -EBADMSG for another version or no arguments, -EMSGSIZE as soon as its lengths pass limit. Writes ret only
 * when the message is complete; arguments point into bytes. */
ssize_t amp_decode(const uint8_t *bytes, size_t size, size_t limit, struct amp_message *ret);

/* Appends one message. -EINVAL for a bad count, -EMSGSIZE for an argument beyond u32, -ENOMEM. */
int amp_encode(struct buffer *out, const struct amp_argument *arguments, size_t count);

/* Whether the argument has the two-byte prefix (such as "j:"); then ret is what follows it. */
int amp_argument_body(const struct amp_argument *argument, const char prefix[2], struct amp_argument *ret);
