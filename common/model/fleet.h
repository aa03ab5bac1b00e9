/* A fleet: the hosts and services of one fleet file, resolved: names are indexes. Read-only once built.
 * common/conf/fleet_file.h reads one from YAML. */
#pragma once

#include "common/model/policy.h"
#include "common/model/rollout.h"
#include "common/model/service.h"

#define FLEET_HOSTS_MAX    1024
#define FLEET_SERVICES_MAX 8192
#define GROUPS_MAX         8
#define NEEDS_MAX          32

struct fleet_host {
        char name[NAME_SIZE];
        char groups[GROUPS_MAX][NAME_SIZE];
        size_t group_count;
        bool loads_said;         /* what follows stands in the file, and goes before what plans say of it */
        uint32_t loads_per_disk; /* so many services load from a disk of it at a time; 0: all */
        unsigned line;           /* in the fleet file */
};

struct fleet_service {
        struct service_spec spec;
        size_t host;
        size_t needs[NEEDS_MAX]; /* services, by index */
        size_t need_count;
        int of;           /* redis replica: its master's index; -1 none */
        int same_as;      /* unit with a probe: the redis that must be seen through it; -1 none */
        double at_least;  /* pm2: the share of apps that must be as saved, 0 to 1; 1 by default */
        uint64_t hold_us; /* how long it has to be ready without a break; 2 s by default, of pm2 10 s */
        uint64_t start_limit_us;        /* the longest wait without progress; 120 s by default */
        uint64_t reload_limit_us;       /* a reload estimate above it is a finding; 10 min by default */
        uint64_t max_lag;               /* redis replica with of: bytes it may be behind; 64 MB by default */
        enum failure_policy on_failure; /* of its steps whose policy says nothing of it */
        struct step_policy policies[POLICY_KIND_END]; /* by kind of step */
        unsigned line;
};

struct fleet {
        char name[NAME_SIZE];
        struct fleet_host *hosts; /* owned */
        size_t host_count;
        struct fleet_service *services; /* owned */
        size_t service_count;
        struct rollout reboot, restart;               /* of plans of these kinds, unless they say otherwise */
        struct step_policy policies[POLICY_KIND_END]; /* of hosts; services have their own */
};

struct fleet *fleet_free(struct fleet *fleet);

/* Indexes by name, -1 if there is none. */
int fleet_host_find(const struct fleet *fleet, const char *name);
int fleet_service_find(const struct fleet *fleet, const char *name);
