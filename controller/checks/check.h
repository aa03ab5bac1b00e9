/* What a check is made of; for the files of this folder only. A check looks at one host or one service at a
 * time, and adds findings. It never decides what others do with them. */
#pragma once

#include "controller/checks/checks.h"

struct checking {
        const struct fleet *fleet;
        const struct plan_facts *facts;
        uint64_t now_us;
        /* The present host; agent is NULL if it is not connected, and then only checks of hosts run. */
        const struct fleet_host *host;
        const struct plan_host_fact *fact;
        const struct agent_state *agent;
        /* The present service; NULL while hosts are looked at. state NULL: its agent says nothing of it. */
        const struct fleet_service *service;
        const struct service_state *state;
        const struct plan_rate *rate;       /* NULL: none learned */
        const struct plan_pm2_look *pm2;    /* NULL: nobody looked */
        const struct service_state *master; /* of a replica with `of`, if its agent says it; else NULL */
        const char *id;
        /* What was found. */
        struct finding *items;
        size_t count, room;
        struct finding spare; /* where findings go that there is no memory for */
        int result;
};

struct check {
        const char *id;
        unsigned kinds; /* of services: mask of 1u << service_kind; 0: a check of hosts */
        bool always;    /* hosts: also those not connected; services: also those without a state */
        void (*run)(struct checking *checking);
};

/* A new finding of the present check on the present host and service. Never NULL. */
struct finding *finding_add(struct checking *checking, enum severity severity);
/* What was seen, with numbers; and what to do, with the command. Control bytes become '?'. */
void finding_evidence(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_advice(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The operation on the present service that mends it. */
void finding_fix(struct finding *finding, const struct checking *checking, enum operation_kind fix);

/* How long the present service will load, as plans estimate it; after a rewrite if compacted. */
void check_load_estimate(const struct checking *checking, bool compacted, uint64_t *ret_low_us,
                         uint64_t *ret_high_us);

/* Short texts, on the caller's line: CHECK_BYTES(n), CHECK_SPAN(us), CHECK_RANGE(low_us, high_us),
 * CHECK_MOMENT(realtime_us). */
struct check_text {
        char text[80];
};
struct check_text check_bytes(uint64_t bytes);
struct check_text check_span(uint64_t us);
struct check_text check_range(uint64_t low_us, uint64_t high_us);
struct check_text check_moment(uint64_t realtime_us);
#define CHECK_BYTES(bytes)        (check_bytes(bytes).text)
#define CHECK_SPAN(us)            (check_span(us).text)
#define CHECK_MOMENT(realtime_us) (check_moment(realtime_us).text)
#define CHECK_RANGE(low, high)    (check_range((low), (high)).text)

/* A path or name from an agent as it may stand in a command that people paste: itself if it is made of plain
 * characters only, else instead (which must be static). */
const char *check_plain(const char *word, const char *instead);

/* One function a check; the table is in checks.c. */
void check_connected(struct checking *checking);
void check_agent_autostart(struct checking *checking);
void check_agent_version(struct checking *checking);
void check_boot_id(struct checking *checking);
void check_boot_constant(struct checking *checking);
void check_clock(struct checking *checking);
void check_disk(struct checking *checking);
void check_failed_units(struct checking *checking);
void check_memory(struct checking *checking);
void check_inhibitors(struct checking *checking);
void check_two_machines(struct checking *checking);
void check_reported(struct checking *checking);
void check_unit(struct checking *checking);
void check_autostart(struct checking *checking);
void check_ready(struct checking *checking);
void check_stop_budget(struct checking *checking);
void check_start_budget(struct checking *checking);
void check_aof_growth(struct checking *checking);
void check_reload_time(struct checking *checking);
void check_rewrite_disk(struct checking *checking);
void check_rewrite_memory(struct checking *checking);
void check_config(struct checking *checking);
void check_persistence(struct checking *checking);
void check_last_write(struct checking *checking);
void check_role(struct checking *checking);
void check_replica_link(struct checking *checking);
void check_tile38_aof(struct checking *checking);
void check_tile38_leftover(struct checking *checking);
void check_pm2_reachable(struct checking *checking);
void check_pm2_errored(struct checking *checking);
void check_pm2_restarting(struct checking *checking);
void check_pm2_boot_unit(struct checking *checking);
void check_pm2_boot_unit_held(struct checking *checking);
void check_pm2_snapshot(struct checking *checking);
void check_pm2_dump(struct checking *checking);
