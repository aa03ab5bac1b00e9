/* See rollout.h. */
#include "common/model/rollout.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "common/base/text.h"
#include "common/model/fleet.h"

/* "2" is a count, "25%" a share: the other one is 0 then. */
static int count_or_share(const char *text, uint32_t most, uint32_t *ret_count, double *ret_share)
{
        char number[16];
        size_t size = strlen(text);
        bool is_share = text_ends(text, "%");
        uint64_t value;

        if (size == 0 || size >= sizeof(number))
                return -EINVAL;
        memcpy(number, text, size + 1);
        if (is_share)
                number[size - 1] = '\0';
        if (text_to_u64(number, &value) < 0 || value > (is_share ? 100 : most))
                return -EINVAL;
        *ret_count = is_share ? 0 : (uint32_t)value;
        *ret_share = is_share ? (double)value / 100 : 0;
        return 0;
}

int rollout_batch_parse(struct rollout *rollout, const char *text)
{
        uint32_t count = 0;
        double share = 0;
        int r = text_equal(text, "all") ? 0 : count_or_share(text, FLEET_HOSTS_MAX, &count, &share);

        if (r < 0 || (count == 0 && share <= 0 && !text_equal(text, "all")))
                return -EINVAL;
        rollout->batch = count;
        rollout->share = share;
        return 0;
}

int rollout_budget_parse(struct rollout *rollout, const char *text)
{
        uint32_t count = 0;
        double share = 0;
        bool none = text_equal(text, "none");

        if (!none && count_or_share(text, 100000, &count, &share) < 0)
                return -EINVAL;
        rollout->has_budget = !none;
        rollout->budget = count;
        rollout->budget_share = share;
        return 0;
}

uint32_t rollout_budget_size(const struct rollout *rollout, size_t steps)
{
        if (!rollout->has_budget)
                return UINT32_MAX;
        return rollout->budget_share > 0 ? (uint32_t)(rollout->budget_share * (double)steps + SHARE_SLACK)
                                         : rollout->budget;
}

int rollout_loads_parse(uint32_t *loads, const char *text)
{
        bool all = text_equal(text, "all");
        uint64_t value = 0;

        if (!all && (text_to_u64(text, &value) < 0 || value == 0 || value > FLEET_SERVICES_MAX))
                return -EINVAL;
        *loads = (uint32_t)value;
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
                size = (size_t)(rollout->share * (double)hosts + SHARE_SLACK);
        else if (size == 0)
                size = hosts;
        return size > 0 ? size : 1;
}
