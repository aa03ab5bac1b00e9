/* Whatever a server may send: hiredis's reader under our guard, and the texts of INFO and of a manifest.
 *
 * The first byte says how many replies were asked for and in which bits the rest is cut up; what follows is
 * what comes over the wire. The memory of each reply is measured anew, not believed. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/redis_text.h"
#include "common/loop/redis.h"

/* Bytes that a reply holds; an array's elements are perhaps not all there yet, never in a whole reply. */
static size_t weigh(const redisReply *reply)
{
        size_t sum = sizeof(*reply) + (reply->str ? reply->len : 0) + reply->elements * sizeof(void *);

        for (size_t i = 0; i < reply->elements; i++)
                sum += weigh(reply->element[i]);
        return sum;
}

static uint64_t size_of(const char *name, void *userdata)
{
        return strlen(name);
}

/* As the readers do it. */
static void use(const redisReply *reply)
{
        struct redis_state state = {0};

        if (weigh(reply) > REDIS_REPLY_MOST)
                abort();
        if (reply->type != REDIS_REPLY_STRING)
                return;
        redis_text_info(&state, reply->str);
        (void)redis_text_manifest(&state, reply->str, size_of, NULL);
        if (strlen(state.base_file) >= sizeof(state.base_file) || strchr(state.base_file, '/'))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct redis_guard guard = {0};
        redisReader *reader;
        size_t chunk;

        if (size < 1)
                return 0;
        reader = redisReaderCreate();
        if (!reader)
                return 0;
        redis_guard_reader(reader, &guard);
        guard.awaited = data[0] & 7u;
        chunk = (size_t)1 << (data[0] >> 4);
        for (size_t at = 1; at < size; at += chunk) {
                size_t n = size - at < chunk ? size - at : chunk;
                void *reply = NULL;

                if (redisReaderFeed(reader, (const char *)data + at, n) != REDIS_OK)
                        break;
                while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
                        if (guard.awaited-- == 0) /* a reply that nobody asked for got through */
                                abort();
                        use(reply);
                        freeReplyObject(reply);
                        reply = NULL;
                }
                if (reader->err || reader->len > REDIS_REPLY_MOST)
                        break;
        }
        redisReaderFree(reader);
        return 0;
}
