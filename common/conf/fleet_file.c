/* See fleet_file.h. Here: the file's keys, hosts, and the names that everything else refers to. */
#include "common/conf/fleet_file.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/conf/fleet_build.h"
#include "common/conf/value.h"

DEFINE_CLEANUP(struct conf_tree *, conf_tree_free);
DEFINE_CLEANUP(struct fleet *, fleet_free);

static const char *const file_keys[] = {"fleet", "hosts", "services", "reboot", "restart", "policies", NULL};
static const char *const host_keys[] = {"groups", "loads_per_disk", NULL};

static const char *known_key(size_t i, const void *keys)
{
        return ((const char *const *)keys)[i];
}

static int check_keys(const struct conf_tree *tree, const struct conf_node *map, const char *of,
                      const char *const *keys)
{
        for (const struct conf_node *child = map->first; child; child = child->next) {
                size_t i = 0;

                while (keys[i] && !text_equal(keys[i], child->key))
                        i++;
                if (!keys[i])
                        return conf_unknown_key(tree, child, of, known_key, keys);
        }
        return 0;
}

/* The names under hosts: or services: are their keys. */
static int read_name(const struct conf_tree *tree, const struct conf_node *node, const char *what,
                     char ret[NAME_SIZE])
{
        if (!text_is_name(node->key))
                return conf_fail(tree, node->key_line,
                                 "'%s' is no name for a %s; use 1 to 63 letters, digits, '.', '_' or '-', a "
                                 "letter or digit first",
                                 CONF_SHOW(node->key), what);
        return text_copy(ret, NAME_SIZE, node->key);
}

static int read_groups(const struct conf_tree *tree, const struct conf_node *list, struct fleet_host *host)
{
        int r = conf_want_list(tree, list, "groups: [data]");

        if (r < 0)
                return r;
        for (const struct conf_node *child = list->first; child; child = child->next) {
                if (host->group_count == GROUPS_MAX)
                        return conf_fail(tree, child->line, "host %s has more than %d groups; remove some",
                                         host->name, GROUPS_MAX);
                r = conf_name(tree, child, host->groups[host->group_count]);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < host->group_count; i++)
                        if (text_equal(host->groups[i], host->groups[host->group_count]))
                                return conf_fail(tree, child->line,
                                                 "host %s has group '%s' twice; remove one", host->name,
                                                 host->groups[i]);
                host->group_count++;
        }
        return 0;
}

static int read_host(const struct conf_tree *tree, const struct conf_node *node, struct fleet_host *host)
{
        const struct conf_node *groups, *loads;
        int r = read_name(tree, node, "host", host->name);

        if (r < 0)
                return r;
        host->line = node->key_line;
        if (node->type == CONF_TEXT && node->empty)
                return 0;
        r = conf_want_map(tree, node, "db1: {groups: [data]} or db1: {}");
        if (r < 0)
                return r;
        r = check_keys(tree, node, "a host", host_keys);
        if (r < 0)
                return r;
        loads = conf_node_get(node, "loads_per_disk");
        host->loads_said = loads != NULL;
        r = loads ? fleet_loads_read(tree, loads, &host->loads_per_disk) : 0;
        groups = conf_node_get(node, "groups");
        return r == 0 && groups ? read_groups(tree, groups, host) : r;
}

static int read_hosts(struct fleet_building *building, const struct conf_node *map)
{
        const struct conf_tree *tree = building->tree;
        struct fleet *fleet = building->fleet;
        int r = conf_want_map(tree, map, "hosts: {db1: {groups: [data]}}");

        if (r < 0)
                return r;
        if (map->count == 0)
                return conf_fail(tree, map->key_line, "no hosts; add at least one, like db1: {}");
        if (map->count > FLEET_HOSTS_MAX)
                return conf_fail(tree, map->key_line, "%zu hosts; a fleet has at most %d", map->count,
                                 FLEET_HOSTS_MAX);
        fleet->hosts = calloc(map->count, sizeof(*fleet->hosts));
        if (!fleet->hosts)
                return -ENOMEM;
        for (const struct conf_node *child = map->first; child; child = child->next) {
                r = read_host(tree, child, &fleet->hosts[fleet->host_count]);
                if (r < 0)
                        return r;
                fleet->host_count++;
        }
        return 0;
}

/* Names only; their keys are read when all names are known. */
static int read_service_names(struct fleet_building *building, const struct conf_node *map)
{
        const struct conf_tree *tree = building->tree;
        struct fleet *fleet = building->fleet;
        int r;

        if (!map || (map->type == CONF_TEXT && map->empty))
                return 0;
        r = conf_want_map(tree, map, "services: {bds: {kind: redis, host: db1, port: 6379}}");
        if (r < 0)
                return r;
        if (map->count > FLEET_SERVICES_MAX)
                return conf_fail(tree, map->key_line, "%zu services; a fleet has at most %d", map->count,
                                 FLEET_SERVICES_MAX);
        fleet->services = calloc(map->count ? map->count : 1, sizeof(*fleet->services));
        building->nodes = calloc(map->count ? map->count : 1, sizeof(struct conf_node *));
        if (!fleet->services || !building->nodes)
                return -ENOMEM;
        for (const struct conf_node *child = map->first; child; child = child->next) {
                struct fleet_service *service = &fleet->services[fleet->service_count];

                r = read_name(tree, child, "service", service->spec.name);
                if (r < 0)
                        return r;
                service->line = child->key_line;
                building->nodes[fleet->service_count++] = child;
        }
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const struct fleet_name *)a)->name, ((const struct fleet_name *)b)->name);
}

int fleet_name_find(const struct fleet_name *names, size_t count, const char *name)
{
        const struct fleet_name key = {.name = name};
        const struct fleet_name *found =
                count ? bsearch(&key, names, count, sizeof(*names), compare_names) : NULL;

        return found ? (int)found->index : -1;
}

static int index_names(struct fleet_building *building)
{
        struct fleet *fleet = building->fleet;

        building->hosts = calloc(fleet->host_count, sizeof(*building->hosts));
        building->services =
                calloc(fleet->service_count ? fleet->service_count : 1, sizeof(*building->services));
        if (!building->hosts || !building->services)
                return -ENOMEM;
        for (size_t i = 0; i < fleet->host_count; i++)
                building->hosts[i] = (struct fleet_name){fleet->hosts[i].name, i};
        for (size_t i = 0; i < fleet->service_count; i++)
                building->services[i] = (struct fleet_name){fleet->services[i].spec.name, i};
        qsort(building->hosts, fleet->host_count, sizeof(*building->hosts), compare_names);
        qsort(building->services, fleet->service_count, sizeof(*building->services), compare_names);
        for (size_t i = 0; i < fleet->service_count; i++) {
                int host = fleet_name_find(building->hosts, fleet->host_count, fleet->services[i].spec.name);

                if (host >= 0)
                        return conf_fail(
                                building->tree, fleet->services[i].line,
                                "service '%s' has the name of a host (line %u); rename one, commands "
                                "could not tell them apart",
                                fleet->hosts[host].name, fleet->hosts[host].line);
        }
        return 0;
}

static int build(struct fleet_building *building)
{
        const struct conf_tree *tree = building->tree;
        const struct conf_node *root = tree->root, *name = conf_node_get(root, "fleet"),
                               *hosts = conf_node_get(root, "hosts");
        int r = check_keys(tree, root, "a fleet file", file_keys);

        if (r < 0)
                return r;
        if (!name)
                return conf_fail(tree, root->line, "the fleet has no name; add fleet: NAME");
        if (!hosts)
                return conf_fail(tree, root->line, "no hosts; add hosts: {db1: {}}");
        r = conf_name(tree, name, building->fleet->name);
        if (r == 0)
                r = read_hosts(building, hosts);
        if (r == 0)
                r = read_service_names(building, conf_node_get(root, "services"));
        if (r == 0)
                r = index_names(building);
        if (r == 0)
                r = fleet_policy_read(building);
        for (size_t i = 0; r == 0 && i < building->fleet->service_count; i++)
                r = fleet_service_read(building, i);
        return r < 0 ? r : fleet_rules_check(building);
}

static int build_from(struct fleet **ret, const struct conf_tree *tree, struct error *error)
{
        cleanup_with(fleet_freep) struct fleet *fleet = calloc(1, sizeof(*fleet));
        struct fleet_building building = {.tree = tree, .fleet = fleet};
        int r = fleet ? build(&building) : -ENOMEM;

        free(building.nodes);
        free(building.hosts);
        free(building.services);
        if (r == -ENOMEM)
                return error_set(error, r, "%s: out of memory", tree->file);
        if (r < 0)
                return r;
        *ret = TAKE(fleet);
        return 0;
}

int fleet_file_parse(struct fleet **ret, const char *text, size_t size, const char *name, struct error *error)
{
        cleanup_with(conf_tree_freep) struct conf_tree *tree = NULL;
        int r = conf_tree_parse(&tree, text, size, name, error);

        return r < 0 ? r : build_from(ret, tree, error);
}

int fleet_file_read(struct fleet **ret, const char *path, struct error *error)
{
        cleanup_with(conf_tree_freep) struct conf_tree *tree = NULL;
        int r = conf_tree_read(&tree, path, error);

        return r < 0 ? r : build_from(ret, tree, error);
}
