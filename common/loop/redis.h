/* One connection to a server that speaks Redis's protocol (Redis, tile38, a router in front of one), on the
 * loop.
 *
 * hiredis's asynchronous interface with a small sd-event adapter, and with the limits that hiredis lacks: a
 * reply that nobody asked for would end the process by an assertion in it, a header of ten bytes would make
 * it allocate gigabytes. What a reply may become in memory is bounded, every command has a deadline, and
 * anything unasked closes the connection. Commands are argv arrays, never formats. A connection that failed
 * is closed; the next command opens it again. A program that uses this has to ignore SIGPIPE: hiredis writes
 * to what may be closed. */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct redis_link redis_link;

#define REDIS_ARGV_MOST     8u
#define REDIS_OPEN_MOST     64u        /* commands without an answer */
#define REDIS_REPLY_MOST    (1u << 20) /* bytes that wait for their end, and of one reply in memory */
#define REDIS_ELEMENTS_MOST 4096u      /* of one array */
#define REDIS_WORD_SIZE     256u       /* user and password: 255 bytes and NUL */

/* socket "" means address and port. Nothing is connected yet. */
int redis_link_new(redis_link **ret, sd_event *event, const char *address, uint16_t port, const char *socket);
/* No callback comes any more. */
redis_link *redis_link_free(redis_link *link);

/* From the next connection on, AUTH comes first; user "" is the default user. A refused AUTH ends nothing:
 * the server then says itself what it does not allow, and redis_link_refusal says why. -ENAMETOOLONG. */
int redis_link_login(redis_link *link, const char *user, const char *password);
/* What the server said to our AUTH if it was not OK, else "". Clean text; valid until the link is used again.
 */
const char *redis_link_refusal(const redis_link *link);

/* result 0: reply is the server's (perhaps an error reply), valid during the call. Otherwise reply is NULL
 * and result says why: -ECONNREFUSED and the like, -ETIMEDOUT, -EPROTO (not this protocol, or over the
 * limits), -ECONNRESET. Exactly once a command, never from within redis_link_ask. */
typedef void (*redis_answer)(redis_link *link, int result, const redisReply *reply, void *userdata);

/* argv: count words (1 to REDIS_ARGV_MOST). When its deadline passes without an answer the connection is
 * closed, and with it every open command ends: answers come in order, none can overtake. Negative errno
 * (-ENOBUFS: too many open): nothing was asked and answer does not come. */
int redis_link_ask(redis_link *link, const char *const *argv, size_t count, uint64_t deadline_us,
                   redis_answer answer, void *userdata);

/* What a hiredis reader may make of its input. */
struct redis_guard {
        size_t awaited; /* replies that were asked for; the caller counts it down */
        size_t used;    /* bytes of memory of the reply being read */
};
/* Puts a reader under guard, which must outlive it; for the fuzz target too. */
void redis_guard_reader(redisReader *reader, struct redis_guard *guard);
