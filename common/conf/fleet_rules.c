/* What must hold between the services of a fleet file: nothing is claimed twice, needs go in no circle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/conf/fleet_build.h"

/* Something of a host that can belong to one service only. */
struct claim {
        size_t host;
        char what[PATH_SIZE + 32];
        size_t service;
};

static int compare_claims(const void *a, const void *b)
{
        const struct claim *x = a, *y = b;
        int order = (x->host > y->host) - (x->host < y->host);

        if (!order)
                order = strcmp(x->what, y->what);
        return order ? order : (x->service > y->service) - (x->service < y->service);
}

/* At most two claims a service: its unit, and where it listens or lives. */
static size_t list_claims(const struct fleet *fleet, struct claim *claims)
{
        size_t n = 0;

        for (size_t i = 0; i < fleet->service_count; i++) {
                const struct service_spec *spec = &fleet->services[i].spec;
                struct claim claim = {.host = fleet->services[i].host, .service = i};

                if (spec->unit[0]) {
                        snprintf(claim.what, sizeof(claim.what), "unit %s", spec->unit);
                        claims[n++] = claim;
                }
                if (spec->kind == SERVICE_PM2)
                        snprintf(claim.what, sizeof(claim.what), "PM2 home %s", spec->home);
                else if (spec->socket[0])
                        snprintf(claim.what, sizeof(claim.what), "socket %s", spec->socket);
                else if (spec->port)
                        snprintf(claim.what, sizeof(claim.what), "port %u of %s", spec->port, spec->address);
                else
                        continue;
                claims[n++] = claim;
        }
        return n;
}

static int check_claims(const struct fleet_building *building)
{
        const struct fleet *fleet = building->fleet;
        cleanup_free struct claim *claims =
                calloc(fleet->service_count ? 2 * fleet->service_count : 1, sizeof(*claims));
        size_t n;

        if (!claims)
                return -ENOMEM;
        n = list_claims(fleet, claims);
        qsort(claims, n, sizeof(*claims), compare_claims);
        for (size_t i = 1; i < n; i++) {
                const struct fleet_service *first = &fleet->services[claims[i - 1].service],
                                           *second = &fleet->services[claims[i].service];

                if (claims[i - 1].host != claims[i].host || !text_equal(claims[i - 1].what, claims[i].what))
                        continue;
                return conf_fail(building->tree, second->line,
                                 "services %s (line %u) and %s both claim %.200s on host %s; correct one",
                                 first->spec.name, first->line, second->spec.name, claims[i].what,
                                 fleet->hosts[first->host].name);
        }
        return 0;
}

/* The k-th service that service i waits for: its needs, then what it copies, then what is seen through it.
 * -1 behind the last. */
static int edge(const struct fleet *fleet, size_t i, size_t k)
{
        const struct fleet_service *service = &fleet->services[i];

        if (k < service->need_count)
                return (int)service->needs[k];
        k -= service->need_count;
        if (service->of >= 0 && k-- == 0)
                return service->of;
        if (service->same_as >= 0 && k == 0)
                return service->same_as;
        return -1;
}

struct walk {
        size_t *next; /* per service: the edge to follow next; SIZE_MAX: all done */
        size_t *path;
        size_t depth;
        bool *on_path;
};

/* "a -> b -> a": the end of the walk's path from where service `again` stands on it. */
static int fail_circle(const struct fleet_building *building, const struct walk *walk, size_t again)
{
        const struct fleet *fleet = building->fleet;
        char text[400] = "";
        size_t start = 0, shown = 0;

        while (walk->path[start] != again)
                start++;
        for (size_t i = start; i < walk->depth && shown < 5; i++, shown++) {
                strncat(text, fleet->services[walk->path[i]].spec.name, sizeof(text) - strlen(text) - 1);
                strncat(text, " -> ", sizeof(text) - strlen(text) - 1);
        }
        if (walk->depth - start > shown)
                strncat(text, "... -> ", sizeof(text) - strlen(text) - 1);
        return conf_fail(building->tree, fleet->services[again].line,
                         "services need one another in a circle: %s%s; remove one of these needs", text,
                         fleet->services[again].spec.name);
}

/* Depth first, by hand: a chain of needs may be as long as the fleet. */
static int walk_from(const struct fleet_building *building, struct walk *walk, size_t start)
{
        walk->path[0] = start;
        walk->depth = 1;
        walk->on_path[start] = true;
        while (walk->depth > 0) {
                size_t here = walk->path[walk->depth - 1];
                int to = edge(building->fleet, here, walk->next[here]++);

                if (to < 0) {
                        walk->next[here] = SIZE_MAX;
                        walk->on_path[here] = false;
                        walk->depth--;
                } else if (walk->on_path[to]) {
                        return fail_circle(building, walk, (size_t)to);
                } else if (walk->next[to] == 0) {
                        walk->on_path[to] = true;
                        walk->path[walk->depth++] = (size_t)to;
                }
        }
        return 0;
}

int fleet_rules_check(const struct fleet_building *building)
{
        size_t n = building->fleet->service_count;
        cleanup_free size_t *next = calloc(n + 1, sizeof(*next)), *path = calloc(n + 1, sizeof(*path));
        cleanup_free bool *on_path = calloc(n + 1, sizeof(*on_path));
        struct walk walk = {.next = next, .path = path, .on_path = on_path};
        int r = check_claims(building);

        if (r < 0)
                return r;
        if (!next || !path || !on_path)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if (next[i] == SIZE_MAX)
                        continue;
                r = walk_from(building, &walk, i);
                if (r < 0)
                        return r;
        }
        return 0;
}
