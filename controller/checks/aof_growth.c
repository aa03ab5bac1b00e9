/* aof-growth: is the append-only file of a Redis worth rewriting before a restart. */
#include <stdio.h>

#include "controller/checks/check.h"
#include "controller/checks/redis.h"

#define MB 1000000u

/* An incremental AOF is worth a rewrite from half of its base on, unless it is small. */
#define GROWTH_SHARE   0.5
#define GROWTH_MINIMUM (32ull * MB)

static uint64_t less(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

/* What a rewrite saves: fast load against fast load, slow against slow. */
static struct check_text saving(uint64_t now_low, uint64_t now_high, uint64_t then_low, uint64_t then_high)
{
        uint64_t fast = less(now_low, then_low), slow = less(now_high, then_high);
        struct check_text text;

        if (fast && slow > fast)
                return check_range(fast, slow);
        snprintf(text.text, sizeof(text.text), "up to %.40s", CHECK_SPAN(fast > slow ? fast : slow));
        return text;
}

void check_aof_growth(struct checking *checking)
{
        const struct redis_state *redis = redis_answering(checking);
        uint64_t now_low, now_high, then_low, then_high;
        struct finding *finding;

        if (!redis || !redis->aof_enabled || redis->incremental_bytes < GROWTH_MINIMUM ||
            (double)redis->incremental_bytes < GROWTH_SHARE * (double)redis->base_bytes)
                return;
        if (redis->aof_rewrite_in_progress || redis->aof_rewrite_scheduled) {
                finding = finding_add(checking, SEVERITY_INFORMS);
                finding_evidence(finding, "a rewrite of the AOF of %s is under way",
                                 checking->service->spec.name);
                finding_advice(finding, "wait for it: muster status %s --watch",
                               checking->service->spec.name);
                return;
        }
        check_load_estimate(checking, false, &now_low, &now_high);
        check_load_estimate(checking, true, &then_low, &then_high);
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(
                finding,
                "incremental AOF of %s beside a base of %s: loading takes %s, after a rewrite %s; it "
                "saves %s",
                CHECK_BYTES(redis->incremental_bytes), CHECK_BYTES(redis->base_bytes),
                CHECK_RANGE(now_low, now_high), CHECK_RANGE(then_low, then_high),
                saving(now_low, now_high, then_low, then_high).text);
        finding_advice(finding, "muster check %s --fix, or on %s: %s BGREWRITEAOF",
                       checking->service->spec.name, checking->host->name, redis_client(checking).text);
        finding_fix(finding, checking, OPERATION_REDIS_REWRITE);
}
