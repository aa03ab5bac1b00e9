/* What the files of run*.c share: the run's insides. "folded" comes from the journal alone; "lived" is what
 * this controller has seen since it began, and is never needed to read a journal. */
#pragma once

#include "controller/core/host_diff.h"
#include "controller/core/load_eta.h"
#include "controller/core/run.h"

/* How long a service or a host may be out of sight before that counts. */
#define DOWN_GRACE_US   (20 * USEC_PER_SEC)  /* a passed gate's host; a service just started */
#define UNREACHABLE_US  (120 * USEC_PER_SEC) /* the host of a step that could start */
#define GONE_US         (300 * USEC_PER_SEC) /* the host of an operation under way: time to be switched on */
#define SHUTDOWN_US     (900 * USEC_PER_SEC) /* the host of a step that could start, seen to shut down */
#define DOUBT_GRACE_US  (30 * USEC_PER_SEC)  /* an interrupted reboot may still happen */
#define UPTIME_SLACK_US (5 * USEC_PER_SEC)   /* between two machines' looks at their clocks */
#define DEADLINE_SLACK                                                                                       \
        (30 * USEC_PER_SEC) /* the agent ends an operation at its deadline; then it has to say so */
#define BACKOFF_MAX_US (30 * USEC_PER_SEC)
/* Whatever a step's deadline was when an earlier life of the controller ended: agents first have to come back
 * and to be asked. */
#define LIFE_GRACE_US (60 * USEC_PER_SEC)
#define STANDS_STILL_US                                                                                      \
        (3 * USEC_PER_SEC)  /* bytes that have not moved for longer than agents look seldom                  \
                             */
#define LOADS_ANEW_MAX    3 /* how often a load may begin anew under a step that waits for it */
#define ASK_FIRST_US      (100 * USEC_PER_MSEC)
#define ASK_MAX_US        (10 * USEC_PER_SEC)
#define INTERRUPTIONS_MAX 8
#define SURPRISES_MAX     4

enum link_state {
        LINK_LOST = 0, /* no stream: the ledger has to be asked */
        LINK_ASKED = 1,
        LINK_SENT = 2, /* a stream is open */
};

struct run_host {
        char name[NAME_SIZE];
        int reboot; /* its host.reboot step, -1 none */
        size_t first_service, service_count;
        /* folded */
        char boot_id[BOOT_ID_SIZE]; /* as far as an event has said; "" */
        unsigned surprises;
        struct host_note before; /* owned; empty: nothing was noted */
        bool compared;           /* with that, since it was last rebooted */
        /* counted */
        size_t open; /* steps of it that are not final */
        /* lived */
        struct host_note now; /* owned; while it is of use: what it is like */
        uint64_t looked_us;   /* when its agent looked for that; 0 never on this link */
        uint64_t starting_us; /* when systemd was last seen to be starting still */
        uint64_t settled_us;  /* since when all steps of it are final; 0 they are not */
        bool connected, stopping, asked;
        char boot_now[BOOT_ID_SIZE]; /* "" unreadable or not connected */
        char boot_error[TEXT_SIZE];
        uint64_t uptime_us; /* how long its userspace had run when it last spoke */
        uint64_t down_since_us;
        bool was_seen;            /* in this life: down_since_us is of when it was last seen */
        char shutdown[TEXT_SIZE]; /* how far its shutdown was when it last spoke; "" it was not shutting down
                                   */
        char held_by[TEXT_SIZE];  /* who asked its logind to hold a shutdown back; "" nobody */
};

/* How far a service's newest load has come, and how many there were. */
struct run_load {
        char instance[IDENTITY_SIZE]; /* whose it is; "" none was seen */
        unsigned stage;               /* of its own files, then perhaps from its master, then what came */
        uint64_t furthest;            /* bytes, of this stage */
        unsigned begun;               /* loads */
        bool by_another;              /* the newest is of another instance than the one before it */
        char result[NAME_SIZE];       /* of its unit when that last ended badly; "" not seen */
};

/* A service as its agent last described it; all of it lived. */
struct run_service {
        char name[NAME_SIZE];
        size_t host;
        bool known;
        bool receives; /* while it loads: from its master */
        bool gone;     /* PM2: nobody answers, or somebody who knows of no app */
        enum service_phase phase;
        uint64_t ready_for_us, progress_done, progress_total, base_bytes;
        uint64_t moved_us;   /* monotonic: when its load last got further */
        uint64_t started_us; /* monotonic: when a start of it was last done in this life; 0 not yet */
        struct run_load load;
        char run_id[48];
        char role[ROLE_SIZE];
        char replication_id[48];
        uint64_t master_offset, replica_offset;
        char identity[IDENTITY_SIZE];
        char detail[TEXT_SIZE];
        int start, gate; /* the first steps of the plan that start it and await it, -1; see step_now */
        const struct plan_rate *rate; /* the plan's: learned before; NULL nothing */
        struct load_eta *eta;         /* owned: of the load being watched; NULL while there is none */
};

struct run_step {
        size_t host;
        int service; /* -1: the host itself */
        int same_as; /* service: to be seen through this one, or its master; -1 */
        int stop;    /* gates: the step of its batch that stopped the service, -1 */
        int again;   /* the step of a later batch that does the same to the same service, -1: run_again.c */
        /* folded */
        enum step_state state;
        unsigned unsettled; /* how many of the steps before it */
        uint32_t attempt, failures, interruptions;
        char operation[ID_SIZE];
        char boot_id[BOOT_ID_SIZE];   /* of the last intent */
        char identity[IDENTITY_SIZE]; /* stops: of the process that was there */
        bool wanted;                  /* a person asked for it to be tried again */
        bool unknown;                 /* failed, but whether it happened is not known */
        bool forgiven;                /* failed, and the error budget lets the run go on over it */
        bool undone;                  /* superseded, and undone by a boot since */
        bool idle;                    /* verifications: no app is to run */
        uint32_t losses;              /* operations: how often what they did was gone again */
        uint64_t begun_us, ended_us;  /* realtime */
        uint64_t entered_us;          /* realtime: when its state became what it is */
        char text[TEXT_SIZE * 2];
        /* lived */
        enum link_state link;
        uint64_t opened_us; /* when it began to run in this life; 0: not yet */
        uint64_t intent_us; /* monotonic: of the last intent, if it was in this life; else 0 */
        uint64_t since_us;  /* when waiting in this state began; 0: not yet */
        uint64_t spent_us;  /* how long it had waited by then, in earlier lives of the controller */
        uint64_t held_us;   /* when it began to wait for a load that it would cut off; 0: it does not */
        unsigned loads;     /* how many of its service's loads are none begun anew: load_wait_begins */
        uint64_t doubt_us;  /* an interrupted reboot that has not happened: since when; 0 not */
        uint64_t ask_at_us; /* not before */
        unsigned asks;
        bool refused;
        char said[TEXT_SIZE]; /* why its agent last ended a stream without a result */
        uint64_t done, total;
};

struct run {
        char id[NAME_SIZE];
        struct plan *plan;
        struct run_host *hosts;
        size_t host_count;
        struct run_service *services; /* by host, then name */
        size_t service_count;
        struct run_step *steps;
        uint64_t born_us, wake_us; /* monotonic */
        uint64_t now_us;           /* monotonic: of the newest input */
        uint64_t looked_us;        /* monotonic: when the forecast was last held against the time */
        /* folded */
        uint64_t events;
        char seed[SEED_SIZE], user[NAME_SIZE];
        uint64_t started_us, finished_us;
        bool started, held, aborting, leaving, aborted_by_policy;
        bool late;                 /* it has been said that it will not be finished in time */
        char held_text[TEXT_SIZE]; /* why it is paused */
        enum run_state final;      /* 0: not finished */
        size_t blocked;            /* steps that only a person can move */
        size_t open;               /* steps that are not final */
        unsigned batch;            /* the newest that has begun, from 1 */
        uint32_t forgiven;         /* steps that failed and were passed over */
        size_t behind;             /* steps of it and of those before it that are not settled */
        /* counted: run_steps.c */
        size_t *first_later; /* step s: later[first_later[s]] up to later[first_later[s + 1]] come after it */
        unsigned *later;
        uint64_t *awake; /* a bit a step */
};

/* One run_apply: what everything that decides gets. */
struct turn {
        run *run;
        uint64_t now_us, clock_us;
        uint64_t age_us; /* of the state that came */
        struct run_effects *effects;
        struct error *error;
        uint64_t moves; /* events recorded */
};

/* --- run.c --- */
int run_host_find(const run *run, const char *name);
int run_service_find(const run *run, size_t host, const char *name);
int run_step_of_operation(const run *run, const char *operation);

/* --- run_steps.c --- */
/* Whether what comes after the step may begin; whether the run may end with it as it is; whether it keeps the
 * run paused. */
bool step_is_settled(const run *run, size_t step);
bool step_is_final(const run *run, size_t step);
bool step_blocks(const run *run, size_t step);
bool phase_takes_down(enum plan_phase phase);
/* run_fold.c: whether the run has begun to take down what the step brings up. */
bool step_was_taken_down(const run *run, size_t step);
/* run_fold.c: whether the run would go on over its failing. */
bool step_is_forgiven(const run *run, size_t step);
/* run_fold.c: whether something has been brought up on the host that a boot of it undoes. */
bool boot_undoes(const run *run, size_t host);
/* Whether that boot is what the reboot's last intent was to lead to: a soft reboot proves no full one; a full
 * one is more than a soft one. */
bool step_is_proven(const run *run, size_t step, const char *boot_id);
/* Whether all that the step waits for is settled and its batch has begun. */
bool step_is_reached(const run *run, size_t step);
/* Whether a batch that has begun does the same anew, and no abort keeps it from it: then this one is history.
 */
bool step_is_superseded(const run *run, size_t step);
/* The step that does it now: of the newest batch that has begun. */
size_t step_now(const run *run, size_t step);
/* The one way to change a state; what was lived in the old one is forgotten. */
void step_set_state(run *run, size_t step, enum step_state state);
/* The first step from `from` on that may have something to do; SIZE_MAX: none. */
size_t run_next_awake(const run *run, size_t from);
void run_recount(run *run);
int run_index_later(run *run);

/* --- run_again.c --- */
int run_index_again(run *run);

/* --- run_gate.c --- */
void host_observe(struct turn *turn, size_t host, const struct agent_state *state);
void host_forget(run *run, size_t host, uint64_t now_us);
/* Whether the gate's service is ready as the step asks; if not, why. */
#define GATE_IS_HELD "ready, but not long enough yet"
bool gate_is_ready(const run *run, size_t step, char *why, size_t size);
/* What a gate's end says of its Redis's role before and after, as figures. false: nothing to say. */
bool gate_roles(const run *run, size_t step, struct operation_report *ret);

/* --- run_compare.c: hosts before and after their reboots --- */
/* Keeps what the host is like, while that is to be noted or compared. */
void host_look(struct turn *turn, size_t host, const struct host_state *state);
/* Journals what hosts are like before anything is done to them. */
int run_note_hosts(struct turn *turn);
/* Compares hosts that have come back and settled. ret_waiting: the run is not to end yet. */
int run_compare_hosts(struct turn *turn, bool *ret_waiting);
/* Whether the host still has to be compared. */
bool host_is_compared_later(const run *run, size_t host);

/* --- run_reboot.c: what is known of a host that goes down and comes back --- */
/* Keeps what its agent says of its shutdown, and tells those who watch. */
void host_note_shutdown(struct turn *turn, size_t host, const struct host_state *state);
/* "last seen 2 min 05 s ago, while it shut down and waited for slow.service". */
void host_last_seen(const run *run, size_t host, char *out, size_t size);

/* --- run_advance.c --- */
/* Whether the time has come; if not, the run is woken then. */
bool turn_is_due(struct turn *turn, uint64_t time_us);
/* Whether steps of this kind may begin now: not while a person holds the run; nothing more is taken down
 * while a failed step waits for a person or after an abort, but what is down may go on coming up. */
bool step_may_begin(const run *run, size_t step);
/* When a step whose attempt failed is tried again (monotonic), from the turn after that on. */
uint64_t step_retry_us(const run *run, size_t step);
/* Everything that stands before a step, however far up, has to hold at the moment when it begins: a service
 * may answer, and then go back to loading. To bring something up, all that it needs; no more. Gates that do
 * not are closed again. why: if a host is out of sight. */
#define WHY_SIZE (2 * TEXT_SIZE)
int check_above(struct turn *turn, size_t step, bool *ret_open, char why[WHY_SIZE]);
/* The same for one gate. */
int check_gate(struct turn *turn, size_t gate, bool *ret_open);
bool host_is_there(const run *run, size_t index, char *why, size_t size);
/* After a host was observed: its boot proves a reboot, or is one that no step of this run accounts for. */
int run_look_at_boot(struct turn *turn, size_t host);
/* Everything that can go on, goes on. */
int run_advance(struct turn *turn);

/* --- run_loads.c: steps that wait for loads --- */
/* The service that loads and that the step would stop; -1: none. */
int step_cuts_load(const run *run, size_t step);
/* Waits for that load, for as long as its bytes move. ret_waits: it does. */
int step_wait_for_load(struct turn *turn, size_t step, bool *ret_waits);
/* Takes what is said of the service's load, by the instance of that identity, before the service itself is
 * written anew. */
void load_note(struct run_service *service, const struct service_state *state, const char *identity,
               uint64_t now_us);
/* The step begins to wait for a load of the service that is under way, or for one that is to come. */
void load_wait_begins(struct run_step *step, struct run_service *service);
/* Whether it has begun anew too often since then; if so, why says it. */
bool load_is_hopeless(const struct run_step *step, const struct run_service *service, char *why, size_t size);
/* Whether the step would begin a load while as many others of its disk are under way as are let. why (or
 * NULL): which, for people. */
bool step_awaits_disk(const run *run, size_t step, char *why, size_t size);

/* --- run_ends.c --- */
/* Whether PM2 is still there since the verification; if not, its apps are to be restored again. */
int check_verified(struct turn *turn, size_t verify, bool *ret_open);
int run_confirm(struct turn *turn, bool *ret_open);
int run_begin_batch(struct turn *turn);
int run_finish(struct turn *turn);

/* --- run_window.c --- */
/* Says once if by the forecast of now the run will not be finished in time. */
int run_look_at_window(struct turn *turn);

/* --- run_decide.c: single decisions, each recorded --- */
struct run_event turn_event(enum run_event_kind kind, int step);
__attribute__((format(printf, 2, 3))) void event_say(struct run_event *event, const char *format, ...);
int turn_record(struct turn *turn, struct run_event *event);
int turn_effect(struct turn *turn, enum run_effect_kind kind, struct run_effect **ret);
int decide_intent(struct turn *turn, size_t step);
int decide_send(struct turn *turn, size_t step);
int decide_done(struct turn *turn, size_t step, const struct operation_report *report, const char *text);
/* The attempt has failed: another one, or what the step's policy says. */
int decide_failed_attempt(struct turn *turn, size_t step, const char *text,
                          const struct operation_report *report);
int decide_interrupted(struct turn *turn, size_t step, const char *text);
int decide_failed(struct turn *turn, size_t step, bool unknown, const char *text,
                  const struct operation_report *report);
/* The host is on a boot that no step was waiting for any more. how: as people are told. */
int decide_booted(struct turn *turn, size_t host, const char *how);
/* What became of it is asked for again in a while. */
void step_ask_later(struct turn *turn, size_t step);
/* A report of the step's present attempt, from its stream or from the ledger. */
int decide_report(struct turn *turn, size_t step, const struct operation_report *report);
