/* How a plan goes over its hosts: all at once, or batch by batch, a canary first. Plain data, and the words
 * that people write it in. */
#pragma once

#include "common/base/error.h"
#include "common/model/service.h"

/* 0.55 times 100 is a little more than 55 in binary: shares of counted things are compared with this much
 * slack. */
#define SHARE_SLACK 1e-9

struct rollout {
        uint32_t batch;              /* hosts at a time; 0: see share */
        double share;                /* of the plan's hosts at a time, at least one; 0: all */
        uint32_t canary;             /* so many hosts before all others; 0: see canary_host */
        char canary_host[NAME_SIZE]; /* this one before all others; "": none */
        bool has_budget;             /* of failed steps that the run may go on over */
        uint32_t budget;             /* so many; 0: see budget_share */
        double budget_share;         /* of the plan's steps */
        uint32_t loads_per_disk;     /* so many services load from a disk at a time; 0: all */
};

/* "2", "25%", "all". Sets what batch means; -EINVAL leaves it untouched. */
int rollout_batch_parse(struct rollout *rollout, const char *text);
/* "1", "db2" (a host), "none". Sets what the canary is; -EINVAL leaves it untouched. */
int rollout_canary_parse(struct rollout *rollout, const char *text);
/* "2", "5%", "none". Sets the error budget; -EINVAL leaves it untouched. */
int rollout_budget_parse(struct rollout *rollout, const char *text);
/* "2", "all": how many services load from a disk at a time; 0 is all. -EINVAL leaves it untouched. */
int rollout_loads_parse(uint32_t *loads, const char *text);
/* How many of that many steps may fail; UINT32_MAX: there is no budget. */
uint32_t rollout_budget_size(const struct rollout *rollout, size_t steps);
/* How many of that many hosts are a batch: from 1 on. */
size_t rollout_batch_size(const struct rollout *rollout, size_t hosts);

/* What the parsers take, for errors. */
#define ROLLOUT_BATCH_EXPECTED  "a number of hosts, a share like 25%, or all"
#define ROLLOUT_BUDGET_EXPECTED "a number of steps, a share like 5%, or none"
#define ROLLOUT_LOADS_EXPECTED  "a number of loads from 1 on, or all"
#define ROLLOUT_CANARY_EXPECTED "the name of a host, a number of hosts, or none"
