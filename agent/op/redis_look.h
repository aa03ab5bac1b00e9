/* One look at a Redis and at the files of its append-only file: INFO, where CONFIG says the files are, the
 * manifest (or, before Redis 7, the one file) as this agent sees them, and what room the host has. Files are
 * looked at beside the loop: their folder may hang. */
#pragma once

#include "agent/op/room.h"
#include "common/loop/aside.h"
#include "common/loop/redis.h"
#include "common/model/state.h"

struct redis_seen {
        struct redis_state info;
        bool counted; /* this Redis counts its rewrites (7.0 on) */
        uint64_t keys_done, keys_total;
        uint64_t process_id;        /* as it says; perhaps of another host or container */
        char executable[PATH_SIZE]; /* "" not said */
        char folder[PATH_SIZE];     /* of the append-only file; "" unknown */
        bool hung; /* the folder did not answer in time: nothing is known of files and room */
        /* The files themselves could be read: then sizes and identity below are theirs. */
        bool files;
        char base_name[TEXT_SIZE]; /* printable; the base of a manifest, or the one file */
        uint64_t base_inode;
        uint64_t base_bytes, incremental_bytes;
        struct room room; /* what the host has; what is needed is not filled in */
};

struct redis_look;
/* result 0, or a negative errno when Redis could not be asked; -EACCES when it refuses INFO (look->refusal
 * says how). look may be ended and freed by it. */
typedef void (*redis_look_ready)(struct redis_look *look, int result, void *userdata);

/* Where the files are, by CONFIG, or else by its process's working folder. */
struct redis_places {
        char directory[PATH_SIZE], append_folder[NAME_SIZE * 2], append_file[NAME_SIZE * 2];
};

struct redis_look {
        struct redis_seen seen;
        char refusal[TEXT_SIZE];
        /* Its own. */
        aside *aside; /* owned */
        redis_link *link;
        struct redis_places places;
        unsigned pending;
        int failure;
        redis_look_ready ready;
        void *userdata;
};

/* Begins a look; look is zeroed before the first. ready comes exactly once, perhaps at once. The next look
 * may begin when ready has come. */
void redis_look_begin(struct redis_look *look, sd_event *event, redis_link *link, redis_look_ready ready,
                      void *userdata);
/* No ready comes any more, once the link is freed too. */
void redis_look_end(struct redis_look *look);
