/* What is done when a step fails, by its kind: the kinds are the operations, and for gates what is awaited.
 * Plain data; a policy says only what was written of it. */
#pragma once

#include "common/model/operation.h"

enum failure_policy {
        ON_FAILURE_PAUSE = 0,
        ON_FAILURE_CONTINUE = 1,
        ON_FAILURE_ABORT = 2,
};

/* Operations have the numbers of enum operation_kind. */
enum policy_kind {
        POLICY_REDIS_LOAD = OPERATION_KIND_END,
        POLICY_TILE38_LOAD,
        POLICY_UNIT_READY,
        POLICY_KIND_END,
};

enum policy_key {
        POLICY_RETRIES = 1,
        POLICY_BACKOFF = 2,
        POLICY_DEADLINE = 4,
        POLICY_ON_FAILURE = 8,
};

struct step_policy {
        unsigned set;         /* mask of enum policy_key: what was written */
        uint32_t retries;     /* after the first attempt */
        uint64_t backoff_us;  /* before the first retry; twice as long before each further one */
        uint64_t deadline_us; /* operations: in all; gates: without progress */
        enum failure_policy on_failure;
};

/* "redis.rewrite", …; "redis.load", "tile38.load", "unit.ready". NULL for what is none. */
const char *policy_kind_name(unsigned kind);
/* 0 for an unknown word. */
unsigned policy_kind_named(const char *word);
/* Which steps a service of that kind (SERVICE_NONE: a host) has, and what can be said of them: masks of
 * 1u << kind and of enum policy_key. */
unsigned policy_kinds_of(enum service_kind kind);
unsigned policy_keys_of(unsigned kind);
/* Of the gate that a service of that kind has. */
unsigned policy_kind_of_gate(enum service_kind kind);

/* Whether a run may go on over a failed step of that kind: not over a pm2.save, for then its PM2 would go
 * down with the host, and what ran in it be lost. */
bool policy_may_continue(unsigned kind);

/* "pause", "continue", "abort". */
const char *failure_policy_name(enum failure_policy policy);
