/* How long a step will take: always a range, with what it rests on. A load is base bytes / base rate +
 * incremental bytes / incremental rate; rates are learned from the loads that were watched, and until the
 * first one the range is as wide as what has been seen anywhere. Reboots likewise, a host. */
#include "controller/core/plan_estimate.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/text.h"
#include "common/base/time.h"

#define MB 1000000.0

/* The slowest and the fastest load seen: an incident's 80 MB a minute, small test data's 25 GB a minute. */
#define LOAD_SLOWEST (80 * MB / 60)
#define LOAD_FASTEST (25000 * MB / 60)
/* How far a load may stray from a rate that was learned. */
#define LEARNED_BELOW 0.7
#define LEARNED_ABOVE 1.4

#define REWRITE_SLOWEST (10 * MB)
#define REWRITE_FASTEST (400 * MB)
#define SAVE_SLOWEST    (30 * MB) /* an RDB written at SHUTDOWN */
#define SAVE_FASTEST    (500 * MB)
#define RESYNC_SLOWEST  (50 * MB)
#define REBOOT_LONGEST  (6 * 3600 * USEC_PER_SEC) /* what lasted longer waited for a person */

static uint64_t span(double bytes, double bytes_per_s)
{
        return (uint64_t)(bytes / bytes_per_s * (double)USEC_PER_SEC);
}

static void set_range(struct step *step, uint64_t low_us, uint64_t high_us, const char *basis)
{
        step->low_us = low_us;
        step->high_us = high_us > low_us ? high_us : low_us;
        text_copy_cut(step->basis, sizeof(step->basis), basis);
}

static void estimate_stop(struct step *step, const struct service_state *state)
{
        char size[32], basis[TEXT_SIZE];

        bool unknown = state && state->redis.config_refused[0];

        if (!state || state->kind != SERVICE_REDIS || (!state->redis.save_points && !unknown)) {
                set_range(step, 100 * USEC_PER_MSEC, 10 * USEC_PER_SEC, "stopping, nothing large to write");
                return;
        }
        text_bytes(size, sizeof(size), state->redis.used_memory);
        snprintf(basis, sizeof(basis), "%s an RDB of up to %s on its way down%s",
                 unknown ? "may save" : "saves", size, unknown ? ": CONFIG is refused" : "");
        set_range(step,
                  100 * USEC_PER_MSEC +
                          (unknown ? 0 : span((double)state->redis.used_memory / 4, SAVE_FASTEST)),
                  10 * USEC_PER_SEC + span((double)state->redis.used_memory, SAVE_SLOWEST), basis);
}

static void estimate_compact(struct step *step, const struct service_state *state)
{
        bool is_redis = step->operation == OPERATION_REDIS_REWRITE;
        uint64_t data = !state ? 0 : is_redis ? state->redis.used_memory : state->tile38.aof_size;
        uint64_t file = !state ? 0 : is_redis ? state->redis.aof_current_size : state->tile38.aof_size;
        char size[32], from[32], basis[TEXT_SIZE];

        text_bytes(size, sizeof(size), data);
        text_bytes(from, sizeof(from), file);
        snprintf(basis, sizeof(basis), "writes %s of data anew, from an AOF of %s", size, from);
        set_range(step, 200 * USEC_PER_MSEC + span((double)data / 4, REWRITE_FASTEST),
                  10 * USEC_PER_SEC + span((double)data, REWRITE_SLOWEST), basis);
}

static void estimate_pm2(struct step *step, const struct service_state *state)
{
        uint64_t apps = state ? state->pm2.app_count : 0, online = state ? state->pm2.online : 0;
        char basis[TEXT_SIZE];

        snprintf(basis, sizeof(basis), "%" PRIu64 " apps, %" PRIu64 " of them online", apps, online);
        switch (step->operation) {
        case OPERATION_PM2_STOP:
                set_range(step, 100 * USEC_PER_MSEC + online * 500, 5 * USEC_PER_SEC + online * 60000, basis);
                return;
        case OPERATION_PM2_RESTORE:
                set_range(step, 500 * USEC_PER_MSEC + apps * 10000, 10 * USEC_PER_SEC + apps * 250000, basis);
                return;
        case OPERATION_PM2_VERIFY:
                set_range(step, 1 * USEC_PER_SEC, 60 * USEC_PER_SEC, "settled, then compared");
                return;
        default:
                set_range(step, 50 * USEC_PER_MSEC, 5 * USEC_PER_SEC, basis);
        }
}

void plan_estimate_operation(struct step *step, const struct service_state *state)
{
        switch (step->operation) {
        case OPERATION_UNIT_STOP:
                estimate_stop(step, state);
                return;
        case OPERATION_REDIS_REWRITE:
        case OPERATION_TILE38_SHRINK:
                estimate_compact(step, state);
                return;
        case OPERATION_PM2_SAVE:
        case OPERATION_PM2_STOP:
        case OPERATION_PM2_RESTORE:
        case OPERATION_PM2_VERIFY:
                estimate_pm2(step, state);
                return;
        case OPERATION_HOST_REBOOT:
                if (step->soft)
                        set_range(step, 2 * USEC_PER_SEC, 60 * USEC_PER_SEC,
                                  "not learned: what userspace usually takes to stop and start");
                else
                        set_range(step, 5 * USEC_PER_SEC, 90 * USEC_PER_SEC,
                                  "not learned: what hosts usually take");
                return;
        default:
                set_range(step, 50 * USEC_PER_MSEC, 10 * USEC_PER_SEC, "a job of systemd");
        }
}

/* Hosts with a memory test, and those that wait for a disk, take what they took before. */
void plan_estimate_reboot(struct step *step, const struct plan_host_fact *fact)
{
        uint64_t twice = 2 * fact->reboot_spread_us, mean = fact->reboot_us;
        char text[32], basis[TEXT_SIZE];

        if (!fact->reboots || !mean || mean > REBOOT_LONGEST || fact->reboot_spread_us > REBOOT_LONGEST)
                return;
        time_duration_text(text, sizeof(text), mean);
        snprintf(basis, sizeof(basis), "%s learned from %u reboot%s", text, fact->reboots,
                 fact->reboots == 1 ? "" : "s");
        set_range(step, mean > 2 * twice ? mean - twice : mean / 2,
                  mean + (twice > mean / 2 ? twice : mean / 2), basis);
}

/* What will have to be loaded: a range of base bytes, and the incremental bytes. */
struct load {
        double base_low, base_high, incremental;
};

static struct load redis_load(const struct redis_state *redis, bool compacted)
{
        double used = (double)redis->used_memory, base = (double)redis->base_bytes;
        struct load load;

        if (!redis->aof_enabled) {
                load = (struct load){used / 4, used, 0}; /* an RDB, denser than memory */
        } else if (compacted) {
                /* The new base holds the data of now: about the old base, at most what memory holds. */
                load.base_low = base > 0 && base < used ? base : used / 4;
                load.base_high = used > base ? used : base;
                load.incremental = 0;
        } else {
                load = (struct load){base, base, (double)redis->incremental_bytes};
        }
        return load;
}

static void estimate_load(struct step *step, struct load load, const struct plan_rate *rate,
                          uint64_t extra_us)
{
        bool learned = rate && rate->base_bytes_per_s > 0;
        double base_slow = learned ? rate->base_bytes_per_s * LEARNED_BELOW : LOAD_SLOWEST;
        double base_fast = learned ? rate->base_bytes_per_s * LEARNED_ABOVE : LOAD_FASTEST;
        bool both = rate && rate->incremental_bytes_per_s > 0;
        double more_slow = both ? rate->incremental_bytes_per_s * LEARNED_BELOW : LOAD_SLOWEST;
        double more_fast = both ? rate->incremental_bytes_per_s * LEARNED_ABOVE : LOAD_FASTEST;
        char base[32], more[32], fast[32], basis[TEXT_SIZE];

        text_bytes(base, sizeof(base), (uint64_t)load.base_high);
        text_bytes(more, sizeof(more), (uint64_t)load.incremental);
        if (learned && (both || load.incremental <= 0)) {
                text_bytes(fast, sizeof(fast), (uint64_t)rate->base_bytes_per_s);
                snprintf(basis, sizeof(basis), "base %s, incremental %s; %s/s learned from %u load%s", base,
                         more, fast, rate->loads, rate->loads == 1 ? "" : "s");
        } else {
                snprintf(basis, sizeof(basis),
                         "base %s, incremental %s; no rate learned yet: 80 MB to 25 GB a minute", base, more);
        }
        set_range(step, step->hold_us + span(load.base_low, base_fast) + span(load.incremental, more_fast),
                  step->hold_us + 5 * USEC_PER_SEC + span(load.base_high, base_slow) +
                          span(load.incremental, more_slow) + extra_us,
                  basis);
}

uint64_t plan_estimate_resync(const struct service_spec *spec, const struct service_state *state)
{
        bool is_replica = spec->kind == SERVICE_REDIS && spec->role == REDIS_REPLICA;

        return !is_replica ? 0
                           : 10 * USEC_PER_SEC +
                                     (state ? span((double)state->redis.used_memory, RESYNC_SLOWEST) : 0);
}

void plan_estimate_gate(struct step *step, const struct service_state *state, const struct plan_rate *rate,
                        bool compacted)
{
        if (rate && step->phase == PHASE_LOAD)
                step->rate = *rate;
        if (step->phase == PHASE_CHECK) {
                set_range(step, 0, step->hold_us, "is not touched, only has to be ready");
        } else if (state && step->service.kind == SERVICE_REDIS) {
                estimate_load(step, redis_load(&state->redis, compacted), rate,
                              plan_estimate_resync(&step->service, state));
        } else if (state && step->service.kind == SERVICE_TILE38) {
                double size = (double)state->tile38.aof_size;

                estimate_load(step, (struct load){compacted ? size / 8 : size, size, 0}, rate, 0);
        } else {
                set_range(step, step->hold_us, step->hold_us + 10 * USEC_PER_SEC, "started, then held");
        }
}
