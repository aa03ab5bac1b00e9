/* One look at a tile38, at the files of its append-only file and at the room beside them. Files are looked at
 * beside the loop: their folder may hang. */
#pragma once

#include "agent/op/room.h"
#include "common/loop/aside.h"
#include "common/loop/redis.h"
#include "common/model/state.h"

struct tile38_seen {
        struct tile38_state state; /* its files are known where aof_inode is not 0 */
        char file[PATH_SIZE];      /* and this is the path of the append-only file */
        uint64_t pid;
        bool aof_enabled;
        bool hung;           /* the files did not answer in time: nothing is known of them or of the room */
        uint64_t work_bytes; /* what a shrink has written so far; 0: no such file */
        struct room room;    /* what the host has; what is needed is not filled in */
};

struct tile38_look;
/* result 0, or a negative errno when tile38 could not be asked; look->refusal says how it refused, if it did.
 * look may be ended and freed by it. */
typedef void (*tile38_look_ready)(struct tile38_look *look, int result, void *userdata);

struct tile38_look {
        struct tile38_seen seen;
        char refusal[TEXT_SIZE];
        /* Its own. */
        aside *aside; /* owned */
        redis_link *link;
        unsigned pending;
        int failure;
        tile38_look_ready ready;
        void *userdata;
};

/* Begins a look; look is zeroed before the first. ready comes exactly once, perhaps at once. The next look
 * may begin when ready has come. */
void tile38_look_begin(struct tile38_look *look, sd_event *event, redis_link *link, tile38_look_ready ready,
                       void *userdata);
/* No ready comes any more, once the link is freed too. */
void tile38_look_end(struct tile38_look *look);
