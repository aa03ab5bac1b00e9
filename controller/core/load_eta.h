/* How long a load that is under way still takes: what was loaded when, file by file, into a range. Pure: the
 * caller's clock, in us, from any start.
 *
 * What is expected of the load (the learned rate of the base and of the incremental files, and the course of
 * the base, which slows down as the tables grow) is held against what is seen: the newest quarter of the load
 * says how many times slower or faster than expected it goes, and what is left is taken to go on so. The less
 * was seen, the more what was learned counts; when what is seen contradicts it for long, it counts less.
 * Without anything learned, each file is measured by itself, and files not reached yet are a wide guess. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/core/plan.h"

#define LOAD_ETA_SAMPLES 128

struct load_point {
        uint64_t at_us, bytes;
};

struct load_eta {
        uint64_t base_bytes, total_bytes;
        struct plan_rate rate; /* learned; zero where nothing is */
        struct load_point
                samples[LOAD_ETA_SAMPLES]; /* ascending; thinned out when full: they span the load */
        size_t count;
        struct load_point base[2], more[2]; /* first and newest sample within each file; at_us 0: none */
};

/* Symmetric about what is likeliest, as far as zero. */
struct load_left {
        uint64_t low_us, high_us;
};

/* How much of the load that the service's agent speaks of is its base: all of it, unless the files of an
 * append-only file make up the load to the byte. */
uint64_t load_base(const struct service_state *state);
/* Whether the load is of the service's own files; what a replica gets from its master is not. */
bool load_is_own(const struct service_state *state);
/* Whether it gets the bytes from its master just now, rather than from a disk. */
bool load_is_received(const struct service_state *state);

/* base_bytes: the rest of total_bytes is incremental.
 * rate NULL: nothing learned. */
void load_eta_begin(struct load_eta *eta, uint64_t base_bytes, uint64_t total_bytes,
                    const struct plan_rate *rate);

/* Takes what is loaded now. Bytes or a clock that go back are a new load; beyond total_bytes counts as all.
 * at_us is not 0. */
void load_eta_sample(struct load_eta *eta, uint64_t at_us, uint64_t bytes);

/* From the newest sample on. -ENODATA while nothing can be said: no sample yet, or no progress seen and
 * nothing learned. */
int load_eta_left(const struct load_eta *eta, struct load_left *ret);
/* Bytes a second of late, 0 while not known. */
double load_eta_pace(const struct load_eta *eta);

/* What this load teaches, loads being 1; false if too little was seen of it. */
bool load_eta_learn(const struct load_eta *eta, struct plan_rate *ret);
/* Finite rates that are not negative, a course that rises between 0 and 1. */
bool load_rate_is_sound(const struct plan_rate *rate);
/* Adds what one load taught: each of the newest three counts as much as all before. */
void load_rate_add(struct plan_rate *rate, const struct plan_rate *seen);
