/* See reply.h. */
#include "agent/op/reply.h"

void printable_copy(char *out, size_t size, const char *text)
{
        size_t n = 0;

        for (; text && *text && n + 1 < size; text++)
                out[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
        out[n] = '\0';
}

void reply_text(char *out, size_t size, const redisReply *reply)
{
        switch (reply->type) {
        case REDIS_REPLY_ERROR:
        case REDIS_REPLY_STATUS:
        case REDIS_REPLY_STRING:
                printable_copy(out, size, reply->str);
                return;
        case REDIS_REPLY_ARRAY:
                printable_copy(out, size, "an array");
                return;
        case REDIS_REPLY_INTEGER:
                printable_copy(out, size, "a number");
                return;
        default:
                printable_copy(out, size, "nothing");
                return;
        }
}
