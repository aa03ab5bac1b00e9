/* The sections of a fleet file that say how: reboot: and restart:, each with what its plans go by, and
 * policies:, what is done when a step fails. */
#include <string.h>

#include "common/base/suggest.h"
#include "common/base/text.h"
#include "common/base/time.h"
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

static int read_budget(const struct fleet_building *building, const struct conf_node *node,
                       struct rollout *rollout)
{
        char text[NAME_SIZE];
        int r = conf_text(building->tree, node, text, sizeof(text));

        if (r < 0)
                return r;
        if (rollout_budget_parse(rollout, text) < 0)
                return conf_fail(building->tree, node->line, "error_budget: '%s' is not %s", CONF_SHOW(text),
                                 ROLLOUT_BUDGET_EXPECTED);
        return 0;
}

int fleet_loads_read(const struct conf_tree *tree, const struct conf_node *node, uint32_t *ret)
{
        char text[NAME_SIZE];
        int r = conf_text(tree, node, text, sizeof(text));

        if (r < 0)
                return r;
        if (rollout_loads_parse(ret, text) < 0)
                return conf_fail(tree, node->line, "loads_per_disk: '%s' is not %s", CONF_SHOW(text),
                                 ROLLOUT_LOADS_EXPECTED);
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
        static const char *const keys[] = {"batch", "canary", "error_budget", "loads_per_disk", NULL};
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
                else if (text_equal(child->key, "error_budget"))
                        r = read_budget(building, child, rollout);
                else if (text_equal(child->key, "loads_per_disk"))
                        r = fleet_loads_read(building->tree, child, &rollout->loads_per_disk);
                else
                        r = conf_unknown_key(building->tree, child, key, known_key, keys);
        }
        return r;
}

/* --- policies by kind of step ----------------------------------------------------------------------------
 */

#define RETRIES_MAX 100
#define HOUR_US     (3600 * USEC_PER_SEC)

static const struct {
        const char *name;
        enum policy_key key;
} policy_keys[] = {
        {"retries", POLICY_RETRIES},
        {"backoff", POLICY_BACKOFF},
        {"deadline", POLICY_DEADLINE},
        {"on_failure", POLICY_ON_FAILURE},
};
#define POLICY_KEY_COUNT (sizeof(policy_keys) / sizeof(policy_keys[0]))

static const char *known_policy_key(size_t i, const void *mask)
{
        if (i >= POLICY_KEY_COUNT)
                return NULL;
        return *(const unsigned *)mask & policy_keys[i].key ? policy_keys[i].name : "";
}

static const char *known_policy_kind(size_t i, const void *mask)
{
        if (i >= POLICY_KIND_END)
                return NULL;
        return *(const unsigned *)mask & (1u << i) ? policy_kind_name((unsigned)i) : "";
}

static int read_policy_key(const struct conf_tree *tree, const struct conf_node *node, enum policy_key key,
                           struct step_policy *policy)
{
        static const char *const words[] = {"pause", "continue", "abort"};
        char text[NAME_SIZE];
        uint64_t number;
        unsigned choice;
        int r;

        switch (key) {
        case POLICY_BACKOFF:
                return conf_duration(tree, node, HOUR_US, &policy->backoff_us);
        case POLICY_DEADLINE:
                r = conf_duration(tree, node, 24 * HOUR_US, &policy->deadline_us);
                return r == 0 && policy->deadline_us < USEC_PER_SEC
                               ? conf_fail(tree, node->line, "deadline: '%s' is too short; at least 1s",
                                           CONF_SHOW(node->text))
                               : r;
        case POLICY_ON_FAILURE:
                r = conf_choice(tree, node, words, 3, &choice);
                if (r == 0)
                        policy->on_failure = (enum failure_policy)choice;
                return r;
        default:
                r = conf_text(tree, node, text, sizeof(text));
                if (r < 0)
                        return r;
                if (text_to_u64(text, &number) < 0 || number > RETRIES_MAX)
                        return conf_fail(tree, node->line, "retries: '%s' is not a number from 0 to %d",
                                         CONF_SHOW(text), RETRIES_MAX);
                policy->retries = (uint32_t)number;
                return 0;
        }
}

static int check_policy_key(const struct conf_tree *tree, const struct conf_node *node, enum policy_key key,
                            const struct step_policy *policy, unsigned kind)
{
        if (key == POLICY_ON_FAILURE && policy->on_failure == ON_FAILURE_CONTINUE &&
            !policy_may_continue(kind))
                return conf_fail(
                        tree, node->line,
                        "%s: on_failure cannot be 'continue', for what runs would be lost; 'pause' or "
                        "'abort'",
                        policy_kind_name(kind));
        return 0;
}

static int read_policy(const struct conf_tree *tree, const struct conf_node *map, unsigned kind,
                       struct step_policy *policy)
{
        unsigned allowed = policy_keys_of(kind);
        int r = conf_want_map(tree, map, "redis.rewrite: {retries: 2, on_failure: continue}");

        for (const struct conf_node *child = r == 0 ? map->first : NULL; child; child = child->next) {
                size_t i = 0;

                while (i < POLICY_KEY_COUNT && !text_equal(policy_keys[i].name, child->key))
                        i++;
                if (i == POLICY_KEY_COUNT || !(allowed & policy_keys[i].key))
                        return conf_unknown_key(tree, child, policy_kind_name(kind), known_policy_key,
                                                &allowed);
                r = read_policy_key(tree, child, policy_keys[i].key, policy);
                if (r == 0)
                        r = check_policy_key(tree, child, policy_keys[i].key, policy, kind);
                if (r < 0)
                        return r;
                policy->set |= policy_keys[i].key;
        }
        return r;
}

int fleet_policies_read(const struct conf_tree *tree, const struct conf_node *map, unsigned kinds,
                        const char *of, struct step_policy *policies)
{
        int r = conf_want_map(tree, map, "policies: {redis.rewrite: {retries: 2, on_failure: continue}}");

        for (const struct conf_node *child = r == 0 ? map->first : NULL; child && r == 0;
             child = child->next) {
                unsigned kind = policy_kind_named(child->key);

                if (!kind || !(kinds & (1u << kind)))
                        return conf_unknown_key(tree, child, of, known_policy_kind, &kinds);
                r = read_policy(tree, child, kind, &policies[kind]);
        }
        return r;
}

int fleet_policy_read(struct fleet_building *building)
{
        const struct conf_node *policies = conf_node_get(building->tree->root, "policies");
        unsigned kinds = 0;
        int r = read_rollout(building, "reboot", &building->fleet->reboot);

        if (r == 0)
                r = read_rollout(building, "restart", &building->fleet->restart);
        for (int kind = SERVICE_NONE; kind <= SERVICE_PM2; kind++)
                kinds |= policy_kinds_of((enum service_kind)kind);
        return r < 0 || !policies ? r
                                  : fleet_policies_read(building->tree, policies, kinds, "policies",
                                                        building->fleet->policies);
}
