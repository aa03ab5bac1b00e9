/* Memory of one outgoing message; see wire.h. */
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/rpc/wire.h"

struct wire_block {
        struct wire_block *next;
        max_align_t data[];
};

void wire_arena_clear(struct wire_arena *arena)
{
        while (arena->blocks) {
                struct wire_block *next = arena->blocks->next;

                free(arena->blocks);
                arena->blocks = next;
        }
        arena->failed = false;
}

void *wire_alloc(struct wire_arena *arena, size_t size)
{
        struct wire_block *block;

        if (size > SIZE_MAX - sizeof(*block)) {
                arena->failed = true;
                return NULL;
        }
        block = calloc(1, sizeof(*block) + size);
        if (!block) {
                arena->failed = true;
                return NULL;
        }
        block->next = arena->blocks;
        arena->blocks = block;
        return block->data;
}

char *wire_text(struct wire_arena *arena, const char *text)
{
        size_t size = text ? strlen(text) : 0;
        char *copy;

        /* What protobuf-c itself points at for an empty field: it knows not to free it. */
        if (size == 0)
                return (char *)protobuf_c_empty_string;
        copy = wire_alloc(arena, size + 1);
        if (!copy)
                return (char *)protobuf_c_empty_string;
        memcpy(copy, text, size);
        /* A message with other bytes is refused whole by its reader: one odd name must not silence a host. */
        if (!text_is_utf8(text, size))
                text_copy_clean(copy, size + 1, text);
        return copy;
}
