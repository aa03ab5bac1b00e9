/* One connection to a server that speaks Redis's protocol (Redis, tile38, a router in front of one), on the
 * loop.
 *
 * hiredis's asynchronous interface with a small sd-event adapter, and with limits that hiredis lacks: what a
 * reply may announce and how much of it may wait is bounded, every command has a deadline. Commands are argv
 * arrays, never formats. A connection that failed is closed; the next command opens it again. */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct redis_link redis_link;

#define REDIS_ARGV_MOST     8u
#define REDIS_REPLY_MOST    (16u << 20) /* bytes of one reply that may wait for its end */
#define REDIS_ELEMENTS_MOST 65536u      /* of one array */

/* socket "" means address and port. Nothing is connected yet. */
int redis_link_new(redis_link **ret, sd_event *event, const char *address, uint16_t port, const char *socket);
/* No callback comes any more. */
redis_link *redis_link_free(redis_link *link);

/* result 0: reply is the server's (perhaps an error reply), valid during the call. Otherwise reply is NULL
 * and result says why: -ECONNREFUSED and the like, -ETIMEDOUT, -EPROTO (not this protocol, or over the
 * limits), -ECONNRESET. Exactly once a command, never from within redis_link_ask. */
typedef void (*redis_answer)(redis_link *link, int result, const redisReply *reply, void *userdata);

/* argv: count words (1 to REDIS_ARGV_MOST). After the deadline the connection is closed and every open
 * command ends. Negative errno: nothing was asked and answer does not come. */
int redis_link_ask(redis_link *link, const char *const *argv, size_t count, uint64_t deadline_us,
                   redis_answer answer, void *userdata);

/* Sets the limits on a hiredis reader; for the fuzz target too. */
void redis_limit_reader(redisReader *reader);
