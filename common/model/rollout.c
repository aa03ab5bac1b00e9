/* See rollout.h. */
#include "common/model/rollout.h"

#include <errno.h>
#include <string.h>

#include "common/base/text.h"
#include "common/model/fleet.h"

int rollout_batch_parse(struct rollout *rollout, const char *text)
{
        char number[16];
        size_t size = strlen(text);
        uint64_t value;

        if (text_equal(text, "all")) {
                rollout->batch = 0;
                rollout->share = 0;
                return 0;
        }
        if (size == 0 || size >= sizeof(number))
                return -EINVAL;
        memcpy(number, text, size + 1);
        if (text_ends(text, "%"))
                number[size - 1] = '\0';
        if (text_to_u64(number, &value) < 0 || value == 0)
                return -EINVAL;
        if (text_ends(text, "%")) {
                if (value > 100)
                        return -EINVAL;
                rollout->batch = 0;
                rollout->share = (double)value / 100;
                return 0;
        }
        if (value > FLEET_HOSTS_MAX)
                return -EINVAL;
        rollout->batch = (uint32_t)value;
        rollout->share = 0;
        return 0;
}

int rollout_canary_parse(struct rollout *rollout, const char *text)
{
        uint64_t value = 0;
        int r = text_equal(text, "none") ? 0 : text_to_u64(text, &value);

        if (r < 0 && !text_is_name(text))
                return -EINVAL;
        if (r == 0 && (value > FLEET_HOSTS_MAX || (value == 0 && !text_equal(text, "none"))))
                return -EINVAL;
        rollout->canary = (uint32_t)value;
        rollout->canary_host[0] = '\0';
        return r < 0 ? TEXT_COPY(rollout->canary_host, text) : 0;
}

size_t rollout_batch_size(const struct rollout *rollout, size_t hosts)
{
        size_t size = rollout->batch;

        if (rollout->share > 0)
                size = (size_t)(rollout->share * (double)hosts + 1e-9);
        else if (size == 0)
                size = hosts;
        return size > 0 ? size : 1;
}
