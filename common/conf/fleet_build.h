/* What the files that read a fleet file share; for common/conf only. */
#pragma once

#include "common/conf/tree.h"
#include "common/model/fleet.h"

/* A name and what it stands for, in an array that is sorted by name. */
struct fleet_name {
        const char *name; /* in the fleet */
        size_t index;
};

struct fleet_building {
        const struct conf_tree *tree;
        struct fleet *fleet;            /* hosts and services have their names and lines from the start */
        const struct conf_node **nodes; /* of the services, same index */
        struct fleet_name *hosts, *services; /* sorted */
};

/* -1 if there is none. */
int fleet_name_find(const struct fleet_name *names, size_t count, const char *name);

/* fleet_service.c: reads a service's keys; names of others are resolved in it (hosts and services are known
 * by then). */
int fleet_service_read(struct fleet_building *building, size_t index);

/* fleet_policy.c: what the file says of plans; hosts are known by then. */
/* loads_per_disk: of a host, or of the plans of a kind. */
int fleet_loads_read(const struct conf_tree *tree, const struct conf_node *node, uint32_t *ret);
int fleet_policy_read(struct fleet_building *building);
/* policies: of the file or of a service; kinds: those that may stand there, a mask of 1u << kind. */
int fleet_policies_read(const struct conf_tree *tree, const struct conf_node *map, unsigned kinds,
                        const char *of, struct step_policy *policies);

/* fleet_rules.c: what must hold between services: nothing claimed twice, no circle of needs. */
int fleet_rules_check(const struct fleet_building *building);
