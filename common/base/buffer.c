/* See buffer.h. */
#include "common/base/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int buffer_reserve(struct buffer *buffer, size_t extra)
{
        size_t wanted, room = buffer->room ? buffer->room : 256;
        uint8_t *larger;

        if (__builtin_add_overflow(buffer->size, extra, &wanted))
                return -ENOMEM;
        if (wanted <= buffer->room)
                return 0;
        while (room < wanted)
                if (__builtin_mul_overflow(room, (size_t)2, &room))
                        return -ENOMEM;
        larger = realloc(buffer->data, room);
        if (!larger)
                return -ENOMEM;
        buffer->data = larger;
        buffer->room = room;
        return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
        int r = buffer_reserve(buffer, size);

        if (r < 0)
                return r;
        if (size)
                memcpy(buffer->data + buffer->size, bytes, size);
        buffer->size += size;
        return 0;
}

void buffer_consume(struct buffer *buffer, size_t count)
{
        if (count > buffer->size)
                count = buffer->size;
        buffer->size -= count;
        if (buffer->size)
                memmove(buffer->data, buffer->data + count, buffer->size);
}

void buffer_clear(struct buffer *buffer)
{
        free(buffer->data);
        *buffer = (struct buffer){0};
}
