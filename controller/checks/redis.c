/* See redis.h. */
#include "controller/checks/redis.h"

#include <stdio.h>

#include "common/base/text.h"

const struct redis_state *redis_answering(const struct checking *checking)
{
        return checking->state->redis.answering && !checking->state->redis.loading ? &checking->state->redis
                                                                                   : NULL;
}

struct check_text redis_client(const struct checking *checking)
{
        const struct service_spec *spec = &checking->service->spec;
        struct check_text text;

        if (spec->socket[0])
                snprintf(text.text, sizeof(text.text), "redis-cli -s %.60s", spec->socket);
        else if (text_equal(spec->address, "127.0.0.1"))
                snprintf(text.text, sizeof(text.text), "redis-cli -p %u", spec->port);
        else
                snprintf(text.text, sizeof(text.text), "redis-cli -h %.46s -p %u", spec->address, spec->port);
        return text;
}
