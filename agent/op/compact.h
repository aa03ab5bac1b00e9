/* What redis.rewrite and tile38.shrink share: a server is asked to write its file anew, and looked at again
 * and again until it is proven, or has been silent for too long. */
#pragma once

#include "agent/op/op.h"
#include "common/loop/redis.h"

#define COMPACT_SETTLED "while its agent was away"

struct compact {
        redis_link *link; /* owned; the looks go over it */
        bool asked;       /* the server accepted to do it */
        bool settles;     /* an earlier life of this agent asked: nothing is begun, it is only looked */
        uint64_t asked_us;
        /* Its own. */
        struct op *op;
        void (*look)(struct op *op);
        sd_event_source *timer;
        uint64_t poll_us;
        unsigned silent; /* looks in a row without an answer */
};

/* Opens the link to the operation's service. look is called on the loop each time, and begins a look; the
 * first one is the caller's. Where the operation has notes of an earlier life, it is asked and settles. */
int compact_begin(struct compact *compact, struct op *op, void (*look)(struct op *op), struct error *error);
/* Frees what it holds and zeroes it; no look comes any more. */
void compact_end(struct compact *compact);

/* Sends the command that begins the work; asked stays false until the caller has read the answer. */
int compact_ask(struct compact *compact, const char *command, uint64_t deadline_us, redis_answer answer);
/* Looks again soon: what is small ends soon; what is big is not bothered often. */
int compact_look_again(struct compact *compact);
/* A look that was answered. */
void compact_heard(struct compact *compact);
/* A look without an answer, once it has begun: a fork or a full disk may hold a server up for long. Says so
 * and looks again: 0; or negative: it was silent for too long, or has not been asked yet. server: "Redis". */
int compact_unheard(struct compact *compact, const char *server, int failure);
