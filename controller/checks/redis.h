/* What the checks of Redis share. */
#pragma once

#include "controller/checks/check.h"

/* The Redis of the present service; NULL if it does not answer, or is loading. */
const struct redis_state *redis_answering(const struct checking *checking);
/* "redis-cli -p 6379" or "redis-cli -s /run/redis.sock" */
struct check_text redis_client(const struct checking *checking);
