/* A service: something on a host that others need. What an agent has to know of it. Plain data. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_SIZE    64  /* names of hosts, services, groups, fleets, snapshots, runs: 63 bytes and NUL */
#define UNIT_SIZE    256 /* a systemd unit name (its own limit is 255) */
#define ADDRESS_SIZE 64
#define PATH_SIZE    512
#define TEXT_SIZE    256 /* one line for people */
#define ID_SIZE      33  /* 32 hex digits: operation ids */

enum service_kind {
        SERVICE_NONE = 0,
        SERVICE_UNIT = 1,
        SERVICE_REDIS = 2,
        SERVICE_TILE38 = 3,
        SERVICE_PM2 = 4,
};

enum redis_role {
        REDIS_ANY_ROLE = 0,
        REDIS_MASTER = 1,
        REDIS_REPLICA = 2,
};

struct service_spec {
        char name[NAME_SIZE];
        enum service_kind kind;
        char unit[UNIT_SIZE];       /* with its suffix; "" for pm2 */
        char address[ADDRESS_SIZE]; /* numeric IP, "127.0.0.1" by default */
        uint16_t port;              /* 0: none */
        char socket[108];           /* a Unix socket instead; "" none */
        enum redis_role role;
        char user[NAME_SIZE]; /* pm2 */
        char home[PATH_SIZE]; /* pm2: PM2_HOME */
        uint16_t probe_port;  /* unit: a Redis reached through it; 0 none */
        char probe_address[ADDRESS_SIZE];
        char probe_run_id[48]; /* unit: the run_id to be seen through it; "" any */
};

/* "unit", "redis", "tile38", "pm2"; "none" for anything else. */
const char *service_kind_name(enum service_kind kind);
/* SERVICE_NONE for an unknown word. */
enum service_kind service_kind_parse(const char *word);
/* "any", "master", "replica". */
const char *redis_role_name(enum redis_role role);

/* Whether all that an agent would act on is sound: names, unit name characters, absolute paths, numeric
 * address. For specs that came over the wire. Returns 0 or -EINVAL. */
int service_spec_check(const struct service_spec *spec);
