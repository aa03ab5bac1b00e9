/* How long a load that is under way still takes: what was loaded when, file by file, into a range. Pure: the
 * caller's clock, in us, from any start.
 *
 * The base and the incremental files load at rates of their own, several times apart, so each has its own:
 * measured over a window of the newest samples of the same file; until it is reached, as learned from earlier
 * loads, corrected by how fast the file before it went compared with what was learned; else a wide guess. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/core/plan.h"

#define LOAD_ETA_SAMPLES 128

struct load_eta {
        uint64_t base_bytes, total_bytes;
        struct plan_rate rate; /* learned; zero where nothing is */
        struct {
                uint64_t at_us, bytes;
        } samples[LOAD_ETA_SAMPLES]; /* ascending; thinned out when full, so that they span the load */
        size_t count;
};

/* Symmetric about what is likeliest, as far as zero. */
struct load_left {
        uint64_t low_us, high_us;
};

/* base_bytes: of the manifest's base, 0 for a load without one; the rest of total_bytes is incremental.
 * rate NULL: nothing learned. */
void load_eta_begin(struct load_eta *eta, uint64_t base_bytes, uint64_t total_bytes,
                    const struct plan_rate *rate);

/* Takes what is loaded now. Bytes or a clock that go back are a new load; beyond total_bytes counts as all.
 */
void load_eta_sample(struct load_eta *eta, uint64_t at_us, uint64_t bytes);

/* From the newest sample on. -ENODATA while nothing can be said: no sample yet, or no progress seen and
 * nothing learned. */
int load_eta_left(const struct load_eta *eta, struct load_left *ret);
