/* The sections of a fleet file that say how: reboot: and restart:, each with what its plans go by. */
#include <string.h>

#include "common/base/suggest.h"
#include "common/base/text.h"
#include "common/conf/fleet_build.h"
#include "common/conf/value.h"

static const char *known_key(size_t i, const void *keys)
{
        return ((const char *const *)keys)[i];
}

static int read_batch(const struct fleet_building *building, const struct conf_node *node,
                      struct rollout *rollout)
{
        char text[NAME_SIZE];
        int r = conf_text(building->tree, node, text, sizeof(text));

        if (r < 0)
                return r;
        if (rollout_batch_parse(rollout, text) < 0)
                return conf_fail(building->tree, node->line, "batch: '%s' is not %s", CONF_SHOW(text),
                                 ROLLOUT_BATCH_EXPECTED);
        return 0;
}

static int read_canary(const struct fleet_building *building, const struct conf_node *node,
                       struct rollout *rollout)
{
        const struct fleet *fleet = building->fleet;
        char text[NAME_SIZE];
        struct suggest suggest;
        int r = conf_text(building->tree, node, text, sizeof(text));

        if (r < 0)
                return r;
        if (rollout_canary_parse(rollout, text) < 0)
                return conf_fail(building->tree, node->line, "canary: '%s' is not %s", CONF_SHOW(text),
                                 ROLLOUT_CANARY_EXPECTED);
        if (!rollout->canary_host[0] ||
            fleet_name_find(building->hosts, fleet->host_count, rollout->canary_host) >= 0)
                return 0;
        suggest_begin(&suggest, text);
        for (size_t i = 0; i < fleet->host_count; i++)
                suggest_offer(&suggest, fleet->hosts[i].name);
        return conf_fail(building->tree, node->line, "canary: there is no host '%s'%s", CONF_SHOW(text),
                         suggest_text(&suggest)[0] ? suggest_text(&suggest) : "; add it under hosts:");
}

/* reboot: {batch: 25%, canary: db2} */
static int read_rollout(const struct fleet_building *building, const char *key, struct rollout *rollout)
{
        static const char *const keys[] = {"batch", "canary", NULL};
        const struct conf_node *map = conf_node_get(building->tree->root, key);
        char example[64] = "";
        int r;

        if (!map)
                return 0;
        strncat(example, key, sizeof(example) - 1);
        strncat(example, ": {batch: 2, canary: db1}", sizeof(example) - strlen(example) - 1);
        r = conf_want_map(building->tree, map, example);
        if (r < 0)
                return r;
        for (const struct conf_node *child = map->first; child && r == 0; child = child->next) {
                if (text_equal(child->key, "batch"))
                        r = read_batch(building, child, rollout);
                else if (text_equal(child->key, "canary"))
                        r = read_canary(building, child, rollout);
                else
                        r = conf_unknown_key(building->tree, child, key, known_key, keys);
        }
        return r;
}

int fleet_policy_read(struct fleet_building *building)
{
        int r = read_rollout(building, "reboot", &building->fleet->reboot);

        return r < 0 ? r : read_rollout(building, "restart", &building->fleet->restart);
}
