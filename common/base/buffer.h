/* A growable run of bytes with a read position; what links and parsers keep unfinished input in. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer {
        uint8_t *data; /* owned; NULL while room is 0 */
        size_t size;   /* bytes in use, from data[0] */
        size_t room;   /* bytes allocated */
};

/* Makes place for extra more bytes behind size. Returns 0 or -ENOMEM; on failure nothing changed. */
int buffer_reserve(struct buffer *buffer, size_t extra);
int buffer_append(struct buffer *buffer, const void *bytes, size_t size);
/* Drops count bytes (at most size) from the front. */
void buffer_consume(struct buffer *buffer, size_t count);
/* Frees the memory; the buffer is empty and usable again. */
void buffer_clear(struct buffer *buffer);

#define cleanup_buffer __attribute__((cleanup(buffer_clear)))
