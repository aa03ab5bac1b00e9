/* The keys of a service in the fleet file: one table of which kinds take which key, one reader a key. */
#include <string.h>

#include "common/base/suggest.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/fleet_build.h"
#include "common/conf/value.h"

#define HOUR_US (3600 * USEC_PER_SEC)

#define UNIT   (1u << SERVICE_UNIT)
#define REDIS  (1u << SERVICE_REDIS)
#define TILE38 (1u << SERVICE_TILE38)
#define PM2    (1u << SERVICE_PM2)
#define ALL    (UNIT | REDIS | TILE38 | PM2)

struct reading {
        const struct fleet_building *building;
        const struct conf_tree *tree;
        struct fleet_service *service;
};

/* The index of the service that the node names, of the wanted kind (SERVICE_NONE: any). */
static int read_reference(const struct reading *reading, const struct conf_node *node, enum service_kind kind,
                          int *ret)
{
        const struct fleet *fleet = reading->building->fleet;
        char name[NAME_SIZE];
        struct suggest suggest;
        int r = conf_name(reading->tree, node, name), index;

        if (r < 0)
                return r;
        if (text_equal(name, reading->service->spec.name))
                return conf_fail(reading->tree, node->line, "service %s refers to itself; name another one",
                                 name);
        index = fleet_name_find(reading->building->services, fleet->service_count, name);
        if (index < 0) {
                suggest_begin(&suggest, name);
                for (size_t i = 0; i < fleet->service_count; i++)
                        if (&fleet->services[i] != reading->service)
                                suggest_offer(&suggest, fleet->services[i].spec.name);
                return conf_fail(reading->tree, node->line, "service %s: there is no service '%s'%s",
                                 reading->service->spec.name, name,
                                 suggest_text(&suggest)[0] ? suggest_text(&suggest)
                                                           : "; add it under services:");
        }
        if (kind != SERVICE_NONE && fleet->services[index].spec.kind != kind) {
                /* Services are read in the file's order: a later one has no kind yet, its text has. */
                const struct conf_node *of = reading->building->nodes[index],
                                       *word = of->type == CONF_MAP ? conf_node_get(of, "kind") : NULL;

                if (!word || !word->text || service_kind_parse(word->text) != kind)
                        return conf_fail(reading->tree, node->line,
                                         "service %s: '%s' is not of kind %s; name one "
                                         "that is",
                                         reading->service->spec.name, name, service_kind_name(kind));
        }
        *ret = index;
        return 0;
}

static int read_host(struct reading *reading, const struct conf_node *node)
{
        const struct fleet *fleet = reading->building->fleet;
        char name[NAME_SIZE];
        struct suggest suggest;
        int r = conf_name(reading->tree, node, name), index;

        if (r < 0)
                return r;
        index = fleet_name_find(reading->building->hosts, fleet->host_count, name);
        if (index >= 0) {
                reading->service->host = (size_t)index;
                return 0;
        }
        suggest_begin(&suggest, name);
        for (size_t i = 0; i < fleet->host_count; i++)
                suggest_offer(&suggest, fleet->hosts[i].name);
        return conf_fail(reading->tree, node->line, "service %s: there is no host '%s'%s",
                         reading->service->spec.name, name,
                         suggest_text(&suggest)[0] ? suggest_text(&suggest) : "; add it under hosts:");
}

static int read_unit(struct reading *reading, const struct conf_node *node)
{
        static const char *const suffixes[] = {".service", ".socket", ".target", ".mount",     ".timer",
                                               ".path",    ".slice",  ".swap",   ".automount", ".device"};
        struct service_spec spec = {.name = "unit", .kind = SERVICE_UNIT};
        char name[UNIT_SIZE - sizeof(".service")];
        int r = conf_text(reading->tree, node, name, sizeof(name));
        bool has_suffix = false;

        if (r < 0)
                return r;
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
                has_suffix |= text_ends(name, suffixes[i]);
        TEXT_COPY(spec.unit, name);
        if (!has_suffix)
                strcat(spec.unit, ".service");
        if (service_spec_check(&spec) < 0)
                return conf_fail(reading->tree, node->line,
                                 "unit: '%s' is no name of a systemd unit; write it as systemctl shows it",
                                 CONF_SHOW(name));
        if (strstr(spec.unit, "@."))
                return conf_fail(reading->tree, node->line,
                                 "unit: '%s' is a template; name one of its instances, like %.*s@NAME",
                                 CONF_SHOW(name), (int)(strstr(spec.unit, "@.") - spec.unit), spec.unit);
        return TEXT_COPY(reading->service->spec.unit, spec.unit);
}

static int read_needs(struct reading *reading, const struct conf_node *node)
{
        struct fleet_service *service = reading->service;
        int r = conf_want_list(reading->tree, node, "needs: [bds, router]");

        if (r < 0)
                return r;
        for (const struct conf_node *child = node->first; child; child = child->next) {
                int index;

                if (service->need_count == NEEDS_MAX)
                        return conf_fail(reading->tree, child->line,
                                         "service %s needs more than %d others; remove some",
                                         service->spec.name, NEEDS_MAX);
                r = read_reference(reading, child, SERVICE_NONE, &index);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < service->need_count; i++)
                        if (service->needs[i] == (size_t)index)
                                return conf_fail(reading->tree, child->line,
                                                 "service %s needs '%s' twice; remove one",
                                                 service->spec.name, CONF_SHOW(child->text));
                service->needs[service->need_count++] = (size_t)index;
        }
        return 0;
}

static const char *known_key(size_t i, const void *keys)
{
        return ((const char *const *)keys)[i];
}

/* probe: {redis: {port: 6400, address: 127.0.0.1, same_as: bds}} */
static int read_probe(struct reading *reading, const struct conf_node *node)
{
        static const char *const kinds[] = {"redis", NULL};
        static const char *const keys[] = {"port", "address", "same_as", NULL};
        static const char example[] = "probe: {redis: {port: 6400, same_as: bds}}";
        struct fleet_service *service = reading->service;
        const struct conf_node *redis;
        int r = conf_want_map(reading->tree, node, example);

        if (r < 0)
                return r;
        for (const struct conf_node *child = node->first; child; child = child->next)
                if (!text_equal(child->key, "redis"))
                        return conf_unknown_key(reading->tree, child, "probe", known_key, kinds);
        redis = conf_node_get(node, "redis");
        if (!redis)
                return conf_fail(reading->tree, node->key_line, "probe is empty; write %s", example);
        r = conf_want_map(reading->tree, redis, example);
        for (const struct conf_node *child = redis->first; child; child = child->next) {
                if (r < 0)
                        return r;
                if (text_equal(child->key, "port"))
                        r = conf_port(reading->tree, child, &service->spec.probe_port);
                else if (text_equal(child->key, "address"))
                        r = conf_address(reading->tree, child, service->spec.probe_address);
                else if (text_equal(child->key, "same_as"))
                        r = read_reference(reading, child, SERVICE_REDIS, &service->same_as);
                else
                        r = conf_unknown_key(reading->tree, child, "a redis probe", known_key, keys);
        }
        if (r == 0 && !service->spec.probe_port)
                return conf_fail(reading->tree, redis->key_line,
                                 "the redis probe has no port; add port: NUMBER");
        if (r == 0 && !service->spec.probe_address[0])
                TEXT_COPY(service->spec.probe_address, "127.0.0.1");
        return r;
}

static int read_role(struct reading *reading, const struct conf_node *node)
{
        static const char *const words[] = {"any", "master", "replica"};
        unsigned role;
        int r = conf_choice(reading->tree, node, words, 3, &role);

        if (r == 0)
                reading->service->spec.role = (enum redis_role)role;
        return r;
}

static int read_on_failure(struct reading *reading, const struct conf_node *node)
{
        static const char *const words[] = {"pause", "continue", "abort"};
        unsigned policy;
        int r = conf_choice(reading->tree, node, words, 3, &policy);

        if (r == 0)
                reading->service->on_failure = (enum failure_policy)policy;
        return r;
}

static int read_of(struct reading *reading, const struct conf_node *node)
{
        return read_reference(reading, node, SERVICE_REDIS, &reading->service->of);
}

static int read_address(struct reading *reading, const struct conf_node *node)
{
        return conf_address(reading->tree, node, reading->service->spec.address);
}

static int read_port(struct reading *reading, const struct conf_node *node)
{
        return conf_port(reading->tree, node, &reading->service->spec.port);
}

static int read_socket(struct reading *reading, const struct conf_node *node)
{
        return conf_path(reading->tree, node, reading->service->spec.socket,
                         sizeof(reading->service->spec.socket));
}

static int read_user(struct reading *reading, const struct conf_node *node)
{
        return conf_name(reading->tree, node, reading->service->spec.user);
}

static int read_home(struct reading *reading, const struct conf_node *node)
{
        return conf_path(reading->tree, node, reading->service->spec.home,
                         sizeof(reading->service->spec.home));
}

static int read_at_least(struct reading *reading, const struct conf_node *node)
{
        int r = conf_share(reading->tree, node, &reading->service->at_least);

        if (r == 0 && reading->service->at_least <= 0)
                return conf_fail(reading->tree, node->line,
                                 "at_least: '%s' asks for nothing; more than 0%%, or on_failure: continue",
                                 CONF_SHOW(node->text));
        return r;
}

static int read_hold(struct reading *reading, const struct conf_node *node)
{
        return conf_duration(reading->tree, node, HOUR_US, &reading->service->hold_us);
}

static int read_start_limit(struct reading *reading, const struct conf_node *node)
{
        return conf_duration(reading->tree, node, 24 * HOUR_US, &reading->service->start_limit_us);
}

static int read_reload_limit(struct reading *reading, const struct conf_node *node)
{
        return conf_duration(reading->tree, node, 24 * HOUR_US, &reading->service->reload_limit_us);
}

static int read_max_lag(struct reading *reading, const struct conf_node *node)
{
        return conf_bytes(reading->tree, node, &reading->service->max_lag);
}

static int read_nothing(struct reading *reading, const struct conf_node *node)
{
        return 0; /* kind: read before all others; policies: after them */
}

static const struct service_key {
        const char *name;
        unsigned kinds;    /* that take it */
        unsigned required; /* kinds that cannot do without */
        int (*read)(struct reading *reading, const struct conf_node *node);
        const char *example;
} keys[] = {
        {"kind", ALL, ALL, read_nothing, "redis"},
        {"host", ALL, ALL, read_host, "db1"},
        {"unit", UNIT | REDIS | TILE38, UNIT, read_unit, "redis-router"},
        {"needs", ALL, 0, read_needs, ""},
        {"probe", UNIT, 0, read_probe, ""},
        {"address", REDIS | TILE38, 0, read_address, ""},
        {"port", REDIS | TILE38, TILE38, read_port, "9851"},
        {"socket", REDIS, 0, read_socket, ""},
        {"role", REDIS, 0, read_role, ""},
        {"of", REDIS, 0, read_of, ""},
        {"user", PM2, PM2, read_user, "beamdevlive"},
        {"home", PM2, PM2, read_home, "/var/www/beamdevlive/.pm2"},
        {"at_least", PM2, 0, read_at_least, ""},
        {"hold", ALL, 0, read_hold, ""},
        {"start_limit", ALL, 0, read_start_limit, ""},
        {"reload_limit", REDIS | TILE38, 0, read_reload_limit, ""},
        {"max_lag", REDIS, 0, read_max_lag, ""},
        {"on_failure", ALL, 0, read_on_failure, ""},
        {"policies", ALL, 0, read_nothing, ""},
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static const struct service_key *key_named(const char *name)
{
        for (size_t i = 0; i < KEY_COUNT; i++)
                if (text_equal(keys[i].name, name))
                        return &keys[i];
        return NULL;
}

/* The names of the keys that a kind takes, "" for the others. */
static const char *known_service_key(size_t i, const void *kind)
{
        if (i >= KEY_COUNT)
                return NULL;
        return keys[i].kinds & (1u << *(const enum service_kind *)kind) ? keys[i].name : "";
}

static int read_kind(struct reading *reading, const struct conf_node *map)
{
        static const char *const words[] = {"unit", "redis", "tile38", "pm2"};
        const struct conf_node *node = conf_node_get(map, "kind");
        unsigned kind;
        int r;

        if (!node)
                return conf_fail(reading->tree, map->key_line,
                                 "service %s has no kind; add kind: unit, redis, tile38 or pm2",
                                 reading->service->spec.name);
        r = conf_choice(reading->tree, node, words, 4, &kind);
        if (r == 0)
                reading->service->spec.kind = service_kind_parse(words[kind]);
        return r;
}

static int read_keys(struct reading *reading, const struct conf_node *map)
{
        enum service_kind kind = reading->service->spec.kind;
        char of[64] = "a service of kind ";

        strcat(of, service_kind_name(kind));
        for (const struct conf_node *child = map->first; child; child = child->next) {
                const struct service_key *key = key_named(child->key);
                int r;

                if (key && !(key->kinds & (1u << kind)))
                        return conf_fail(reading->tree, child->key_line,
                                         "service %s is of kind %s, which takes no '%s'; remove it or change "
                                         "the kind",
                                         reading->service->spec.name, service_kind_name(kind), key->name);
                r = key ? key->read(reading, child)
                        : conf_unknown_key(reading->tree, child, of, known_service_key, &kind);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Required keys, and keys that depend on one another. */
static int check_whole(const struct reading *reading, const struct conf_node *map)
{
        const struct service_spec *spec = &reading->service->spec;
        unsigned line = map->key_line;

        for (size_t i = 0; i < KEY_COUNT; i++)
                if ((keys[i].required & (1u << spec->kind)) && !conf_node_get(map, keys[i].name))
                        return conf_fail(reading->tree, line, "service %s of kind %s has no %s; add %s: %s",
                                         spec->name, service_kind_name(spec->kind), keys[i].name,
                                         keys[i].name, keys[i].example);
        if (spec->kind == SERVICE_REDIS && !spec->port == !spec->socket[0])
                return conf_fail(reading->tree, line,
                                 spec->port ? "service %s has a port and a socket; keep one"
                                            : "service %s of kind redis has no port; add port: 6379",
                                 spec->name);
        if (spec->socket[0] && conf_node_get(map, "address"))
                return conf_fail(reading->tree, line, "service %s has an address and a socket; keep one",
                                 spec->name);
        if (reading->service->of >= 0 && spec->role != REDIS_REPLICA)
                return conf_fail(reading->tree, conf_node_get(map, "of")->key_line,
                                 "service %s has an 'of' but is no replica; add role: replica or remove it",
                                 spec->name);
        if (conf_node_get(map, "max_lag") && reading->service->of < 0)
                return conf_fail(
                        reading->tree, conf_node_get(map, "max_lag")->key_line,
                        "service %s has a 'max_lag' but no 'of': behind whom? Add of: MASTER or remove it",
                        spec->name);
        if (service_spec_check(spec) < 0)
                return conf_fail(reading->tree, line, "service %s: its keys do not fit together", spec->name);
        return 0;
}

/* What the file says of all services, then what on_failure and start_limit say of this one, then its own
 * policies: the nearer goes before. */
static int read_policies(const struct reading *reading, const struct conf_node *map)
{
        struct fleet_service *service = reading->service;
        unsigned gate = policy_kind_of_gate(service->spec.kind);
        const struct conf_node *own = conf_node_get(map, "policies");
        char of[64] = "policies of kind ";

        memcpy(service->policies, reading->building->fleet->policies, sizeof(service->policies));
        for (unsigned kind = 0; kind < POLICY_KIND_END && conf_node_get(map, "on_failure"); kind++)
                service->policies[kind].set &= ~(unsigned)POLICY_ON_FAILURE;
        if (conf_node_get(map, "start_limit"))
                service->policies[gate].set &= ~(unsigned)POLICY_DEADLINE;
        strcat(of, service_kind_name(service->spec.kind));
        return own ? fleet_policies_read(reading->tree, own, policy_kinds_of(service->spec.kind), of,
                                         service->policies)
                   : 0;
}

int fleet_service_read(struct fleet_building *building, size_t index)
{
        const struct conf_node *map = building->nodes[index];
        struct fleet_service *service = &building->fleet->services[index];
        struct reading reading = {building, building->tree, service};
        int r = conf_want_map(building->tree, map, "{kind: redis, host: db1, port: 6379}");

        if (r < 0)
                return r;
        service->of = service->same_as = -1;
        service->at_least = 1;
        service->hold_us = 2 * USEC_PER_SEC;
        service->start_limit_us = 120 * USEC_PER_SEC;
        service->reload_limit_us = 600 * USEC_PER_SEC;
        service->max_lag = 64000000;
        TEXT_COPY(service->spec.address, "127.0.0.1");
        r = read_kind(&reading, map);
        if (service->spec.kind == SERVICE_PM2)
                service->hold_us = 10 * USEC_PER_SEC;
        if (r == 0)
                r = read_keys(&reading, map);
        if (r == 0)
                r = read_policies(&reading, map);
        return r < 0 ? r : check_whole(&reading, map);
}
