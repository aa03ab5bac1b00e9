/* Plans: a DAG of steps; pure. plan_build(fleet, scope, facts) -> plan. A plan is self-contained (names and
 * service specs, no indexes into the fleet), because the fleet file may change while its run goes on. */
#pragma once

#include "common/base/error.h"
#include "common/model/fleet.h"
#include "common/model/operation.h"
#include "common/model/scope.h"
#include "common/model/state.h"

enum plan_kind {
        PLAN_REBOOT = 1,
        PLAN_RESTART = 2,
};

enum plan_phase {
        PHASE_CHECK,
        PHASE_COMPACT,
        PHASE_SAVE,
        PHASE_STOP,
        PHASE_REBOOT,
        PHASE_PLATFORM,
        PHASE_LOAD,
        PHASE_DEPEND,
        PHASE_RESTORE,
        PHASE_VERIFY,
};

enum step_kind {
        STEP_OPERATION = 1, /* one operation on one host */
        STEP_GATE = 2,      /* a service is ready, held for hold_us, on the host's present boot */
};

#define STEP_NAME_SIZE 192
#define LOAD_COURSE    3
#define ROLE_SIZE      96 /* "master", "replica of 10.0.0.5:6379" */

/* What was learned of the loads of one service. */
struct plan_rate {
        double base_bytes_per_s, incremental_bytes_per_s; /* 0: not learned */
        unsigned loads;
        double course[LOAD_COURSE]; /* share of the base's time after each quarter of its bytes; 0: not
                                       learned */
};

struct step {
        char name[STEP_NAME_SIZE]; /* "db1/bds redis.rewrite", "db1/bds ready", "db1 host.reboot": unique in a
                                      plan */
        unsigned batch;            /* from 1; never less than that of the step before it */
        enum plan_phase phase;
        enum step_kind kind;
        char host[NAME_SIZE];
        struct service_spec service;   /* kind SERVICE_NONE for host operations */
        enum operation_kind operation; /* OPERATION_NONE for gates */
        bool soft;                     /* host.reboot: userspace alone */
        unsigned *after; /* owned: indexes of the steps it waits for, of its batch, smaller than its own */
        size_t after_count;
        uint64_t deadline_us; /* longest time without progress, of operations that show none: from acceptance
                               */
        bool deadline_said;   /* by a policy; of a plan that is shown, not kept with a run */
        uint64_t hold_us;     /* gates */
        uint32_t retries;
        uint64_t backoff_us; /* before the first retry */
        enum failure_policy on_failure;
        double at_least; /* pm2.restore and pm2.verify */
        /* Gate of a unit with a probe: the Redis to be seen through it; of a replica: its master; "" none. */
        char same_as[NAME_SIZE];
        char same_as_host[NAME_SIZE];
        uint64_t max_lag;            /* gate of a replica: bytes it may be behind its master */
        char role_before[ROLE_SIZE]; /* gate of a Redis: what it was when the plan was made; "" not known */
        uint64_t low_us, high_us;    /* estimate */
        char basis[TEXT_SIZE];       /* what the estimate rests on, for people */
        struct plan_rate rate;       /* gates of loads: what was learned before */
        /* Starts and gates of loads: those with one number, from 1, share a disk; 0: there is no limit. */
        unsigned disk;
        uint32_t loads_most; /* starts: held back while so many others load from that disk; 0: never */
};

struct plan {
        enum plan_kind kind;
        char fleet[NAME_SIZE];
        char scope[TEXT_SIZE];
        struct step *steps; /* owned */
        size_t step_count;
        char (*batches)[TEXT_SIZE]; /* owned: the hosts of each, for people; the first is batch 1 */
        size_t batch_count;
        uint64_t finish_by_us; /* realtime; 0: whenever it is done */
        uint32_t error_budget; /* so many steps may fail and be passed over; UINT32_MAX: as many as do */
        bool canary;           /* the first batch is one: whatever fails in it pauses the run */
        char (*warnings)[TEXT_SIZE]; /* owned */
        size_t warning_count;
};

/* What is known of the fleet when the plan is made; index i is fleet->hosts[i], fleet->services[i]. */
struct plan_host_fact {
        bool connected;
        const struct agent_state *state; /* NULL if never seen */
        uint64_t state_us;               /* realtime by the controller's clock when it came; 0 not known */
        bool late;                       /* asked to look anew, it did not answer in time */
        char run[NAME_SIZE];             /* that holds it; "" none */
        const char *another;             /* a machine with the same key that was kept out; NULL or "" none */
        uint64_t reboot_us, reboot_spread_us; /* learned */
        unsigned reboots;                     /* from how many; 0: not learned */
};
/* How what a PM2 home runs now stands to something that was saved of it. */
struct pm2_saved {
        char failure[TEXT_SIZE]; /* why it could not be compared; "" it was, or there is none */
        bool unsound;            /* it was read, and is not what it should be */
        bool absent;             /* there is none */
        char name[NAME_SIZE];
        uint64_t saved_us;         /* realtime */
        uint32_t differing;        /* apps */
        uint32_t fallen;           /* apps that ran then and do not now */
        char first[TEXT_SIZE * 2]; /* one difference in words: of one that fell, if any did */
};
struct plan_pm2_look {
        bool asked;
        struct pm2_saved snapshot; /* the newest */
        struct pm2_saved dump;     /* PM2's own */
};
struct plan_facts {
        const struct plan_host_fact *hosts;
        const struct plan_rate *rates;   /* per service */
        const struct plan_pm2_look *pm2; /* per service; NULL: nobody looked */
};

/* What was asked for besides the kind and the scope. */
struct plan_options {
        struct rollout rollout;
        uint64_t finish_by_us; /* realtime; 0: whenever it is done */
        bool canary_asked;     /* a canary that is not in scope is refused, not only warned of */
        bool soft;             /* only the userspace is to be rebooted */
};

/* options: NULL is all of it at once. -EINVAL with a text: a host in scope is not there, nothing in scope, a
 * service kind that cannot be restarted, batches that cannot be made … */
int plan_build(struct plan **ret, enum plan_kind kind, const struct fleet *fleet, const struct scope *scope,
               const char *scope_text, const struct plan_options *options, const struct plan_facts *facts,
               struct error *error);
struct plan *plan_free(struct plan *plan);

/* Whether the plan is a DAG with unique names and sound indexes: 0 or -EINVAL. */
int plan_check(const struct plan *plan, struct error *error);
/* What is done when the step fails, where that is not what is usual for its kind: "4 tries, 10 s apart or
 * more, deadline 2 h, then continue"; else "". */
void plan_policy_text(const struct step *step, char *out, size_t size);
/* The critical path's length. */
void plan_forecast(const struct plan *plan, uint64_t *ret_low_us, uint64_t *ret_high_us);

/* The hosts that the plan does something to; a run holds them for itself. The caller frees *ret (pointers
 * into the plan). */
int plan_hosts(const struct plan *plan, const char ***ret, size_t *ret_count);

/* JSON and back; reading checks everything. The caller frees *ret. */
int plan_to_json(const struct plan *plan, char **ret);
int plan_from_json(struct plan **ret, const char *json, struct error *error);

/* What a Redis is: "master", "replica of HOST:PORT"; "" for others, and while it is not known. state NULL:
 * not known. */
void role_text(char out[ROLE_SIZE], const struct service_state *state);

/* "reboot", "restart"; "check" … "verify". */
const char *plan_kind_name(enum plan_kind kind);
const char *plan_phase_name(enum plan_phase phase);
