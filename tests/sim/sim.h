/* The simulator: the controller's runner, core and store against a fleet that fails, on a clock that is a
 * number.
 *
 * One seed is one world: a random fleet, a plan for it, a run of the plan, and faults: the controller killed
 * between any two effects, its host's power cut, agents killed at any point of an operation, power cuts,
 * links cut, one way too, peers that are slow, answers lost, late and doubled, disks full under the journal
 * and under ledgers, an fsync that fails, slow shutdowns, hosts that do not come back, loads that stall,
 * services that crash, a realtime clock that jumps. A person sits by and does what the paused run says.
 *
 * Runner, core and store are those that ship. What stands in for the rest: the loop and its clock (main.c,
 * base.c), the links and the agents behind them (calls.c in place of controller/agents.c, link.c, agent.c),
 * and the disk under SQLite (disk.c). As in common/rpc/node.c nothing of a turn leaves before its commit.
 * Everything is drawn from the seed: a failure replays alone. */
#pragma once

#include <setjmp.h>
#include <stdio.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/runner_internal.h"

#define SIM_HOSTS    6
#define SIM_SERVICES 14
#define SIM_LEDGER   512
#define SIM_JOURNAL  8192
#define SIM_CALLS    128
#define SIM_APPS     4 /* of a PM2 */
#define FAULTS_UNTIL (3600 * USEC_PER_SEC)
#define HORIZON      (72 * 3600 * USEC_PER_SEC)
#define INPUTS_MAX   400000u
#define STALE_US     (5 * USEC_PER_SEC)
#define SIGHT_US     (30 * USEC_PER_SEC) /* how old what the controller believes may be */

struct sim;

/* --- messages and the queue --- */

enum message_kind {
        TO_AGENT_OPERATE = 1,
        TO_AGENT_LEDGER,
        FROM_AGENT_STATE,
        FROM_AGENT_REPORT,
        FROM_AGENT_PROGRESS,
        FROM_AGENT_ENDED, /* the stream, without a result */
        FROM_AGENT_LEDGER,
};

/* A service as an agent saw it when it wrote the message. */
struct glimpse {
        enum service_phase phase;
        uint64_t ready_for_us, done, total;
        unsigned instance, seen_instance; /* seen: through a router */
};

/* A report, as much of it as matters here. */
struct brief {
        char id[ID_SIZE];
        enum operation_state state;
        bool counts; /* says how many apps are as saved */
        unsigned as_saved;
};

struct message {
        enum message_kind kind;
        struct operation_request request;
        struct brief reports[16];
        size_t report_count;
        char ids[16][ID_SIZE];
        size_t id_count;
        char operation[ID_SIZE];
        enum rpc_status code; /* ended: how, and why */
        const char *why;
        uint64_t call;        /* a question's, and its answer's */
        uint64_t done, total; /* progress */
        unsigned boot;        /* state */
        bool boot_readable, stopping;
        uint64_t uptime_us;
        struct glimpse glimpses[SIM_SERVICES];
};

typedef void (*sim_action)(struct sim *sim, size_t host, uint64_t tag, void *data);

struct happening {
        uint64_t time_us, order;
        sim_action action;
        size_t host;
        uint64_t tag;
        void *data; /* owned: freed after the action */
};

/* --- the world --- */

struct ledger_entry {
        char id[ID_SIZE];
        enum operation_kind kind;
        int service; /* -1 the host */
        enum operation_state state;
        unsigned boot;
        bool begun;
        bool noted;  /* what was before the work is in the ledger: it can be settled by looking */
        bool over;   /* the work has ended, with or without its agent */
        bool took;   /* and did what it was to do */
        bool undone; /* what it did is gone since */
        bool counts; /* says how many apps are as saved */
        unsigned as_saved;
        bool looked_for;
        uint64_t deadline_us;
};

struct sim_service {
        size_t host;
        unsigned instance; /* of the process; 0: down */
        unsigned last_instance;
        unsigned first_instance;         /* at the beginning of the run */
        unsigned batch_instance;         /* at the beginning of the batch */
        bool batch_stopped, batch_ready; /* in this batch: stopped; ready since on another process */
        unsigned checked; /* the newest batch before which it was awaited, and was there; 0 none */
        bool passed_over; /* a step of it or of its host was skipped, or failed and need not stop the run */
        bool enabled;
        bool loading;
        bool by_run; /* the run has started it, and it has not been ready since */
        uint64_t load_begun_us, load_us, load_from_us; /* length; when it began to move */
        uint64_t ready_since_us;
        uint64_t last_ready_us; /* last moment it was ready in truth; UINT64_MAX: it is now */
        bool stopped_by_run;
        bool left_down;     /* and has not been ready since */
        uint64_t undone_us; /* when what the run had brought up went down with its host; 0: it is not so */
        bool saved;         /* pm2: the run's snapshot is there, */
        bool verified;      /* and its apps were verified since the restore */
        unsigned apps;      /* of a process: how many of SIM_APPS came up */
        unsigned life;      /* of loads: stale timers are ignored */
};

struct sim_host {
        bool up, agent_up, stopping, boot_readable;
        unsigned boot, first_boot, agent_life;
        bool soft; /* down, and to come back on the same kernel */
        uint64_t booted_us;
        uint64_t link;              /* number of the newest link; 0 none yet */
        bool link_alive, link_open; /* alive: carries messages; open: the controller believes in it */
        bool link_drains;           /* what was written before the controller's end still arrives */
        bool introduced;            /* the first state of this link has come */
        bool deaf, dumb;            /* one way: what is sent to the agent, what it sends, is lost */
        uint64_t slow_until_us;     /* what goes to and fro takes seconds */
        uint64_t came_us;           /* when the controller last heard its state */
        unsigned told_boot;         /* the last one that it heard of, in whichever of its lives */
        bool boot_is_heard;         /* in its present life: what died with another one it need not know */
        uint64_t last_to_agent_us, last_from_agent_us; /* order on the link */
        struct ledger_entry ledger[SIM_LEDGER];
        size_t ledger_count;
        unsigned reboots_asked; /* for by the run and by people */
        bool passed_over; /* a step of the host itself was skipped, or failed and need not stop the run */
        bool lost;        /* down until a person comes */
        uint64_t full_until_us; /* no room under the ledger */
        struct message view;    /* what its agent last looked at */
        uint64_t viewed_us;
};

/* A call of the runner's that has not ended; queued: to leave with this turn's commit. */
struct sim_call {
        bool open, queued, is_question;
        uint64_t number;
        size_t host;
        struct message message;
        struct agents_operate operate;
        void (*on_ledger)(enum rpc_status code, const struct operation_report *reports, size_t count,
                          void *userdata);
        void *userdata;
};

struct agents {
        struct sim *sim;
        struct agents_listener listener;
};

struct sim_controller {
        bool alive, busy; /* busy: something came in in this turn */
        unsigned life, crashes;
        store *store;
        runner *runner;
        struct agents agents;
        char id[NAME_SIZE];           /* the run's; "" there is none yet */
        char *plan_json;              /* owned */
        run *ended;                   /* owned: the run as it ended */
        char (*intents)[ID_SIZE];     /* owned: of the durable journal */
        size_t intent_count;          /* durable, */
        size_t intents_new;           /* and in this turn */
        uint64_t durable, events_new; /* events, likewise */
        unsigned batches_new;
        uint64_t wake_us, alarm_us; /* what the runner asked for; the next one that is set */
        struct sim_call calls[SIM_CALLS];
        size_t calls_used;
        uint64_t call_count;
        uint64_t heard_us;           /* the newest turn of the run */
        uint64_t watch, seen, shown; /* a person's; the newest event: told, and told for certain */
        unsigned inputs;
        bool finished;
        uint64_t full_until_us; /* no room under the journal */
};

struct odds {
        double crash, agent_kill, power_cut, link_cut, lost_answer, doubled, late, failed, service_crash,
                stall, slow_shutdown, never_back, unreadable, clock_jump, disk_full, sync_fails, ledger_full,
                one_way, slow, held, slow_boot, some_apps;
};

struct sim {
        uint64_t seed, random;
        uint64_t now_us, order;
        uint64_t clock_offset_us;
        struct happening *heap;
        size_t heap_count, heap_room;
        struct fleet fleet;
        struct fleet_host fleet_hosts[SIM_HOSTS];
        struct fleet_service fleet_services[SIM_SERVICES];
        struct sim_host hosts[SIM_HOSTS];
        struct sim_service services[SIM_SERVICES];
        struct service_state said[SIM_HOSTS][SIM_SERVICES]; /* room for states as the core takes them */
        struct agent_state states[SIM_HOSTS];
        struct operation_report reports[16];
        struct sim_controller controller;
        struct plan *plan; /* owned */
        enum plan_kind kind;
        bool soft;                    /* its reboots */
        unsigned batch_of[SIM_HOSTS]; /* from 1; 0: the plan does nothing to the host itself */
        struct odds odds;
        bool impatient, skips; /* the person aborts; skips */
        bool hasty;            /* reboots are not waited for as long as they may take */
        bool has_aborted, has_left, has_skipped;
        bool has_policy;   /* a step failed whose policy is not to wait for a person */
        bool stale;        /* agents look seldom, and speak of what they saw before */
        bool trace, quiet; /* quiet: not even kept, for the seed that fails is run once more */
        char **lines;
        size_t line_count, line_room;
        uint64_t last_fault_us;
        unsigned faults;
        unsigned batch; /* the one under way, as the durable journal has it */
        void *current;  /* data of what is happening: freed also when the seed fails */
        jmp_buf failed;
        char failure[1024];
};

/* --- base.c --- */
uint64_t sim_random(struct sim *sim, uint64_t below);
uint64_t sim_between(struct sim *sim, uint64_t low_us, uint64_t high_us);
/* Faults come with these odds, and none after FAULTS_UNTIL. */
bool sim_fault(struct sim *sim, double odds);
void sim_later(struct sim *sim, uint64_t delay_us, sim_action action, size_t host, uint64_t tag, void *data);
/* Whoever asks libsodium for chance gets it from this world. */
void sim_deal(struct sim *sim);
void sim_say(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the seed. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* Boots are numbered so that those of one kernel are told from the next kernel's first. */
#define BOOTS_OF_KERNEL 1000u
void boot_name(char out[BOOT_ID_SIZE], size_t host, unsigned boot);

/* --- fleet.c --- */
void sim_make_fleet(struct sim *sim);
void sim_make_plan(struct sim *sim, struct plan **ret);

/* --- host.c --- */
void host_power_on(struct sim *sim, size_t host);
void host_power_cut(struct sim *sim, size_t host, bool comes_back);
void host_shut_down(struct sim *sim, size_t host);
/* As an operation asks for: at once, or when what holds it back is over, though its agent knows of nothing.
 */
void host_reboot(struct sim *sim, size_t host);
void service_start(struct sim *sim, size_t service);
void service_stop(struct sim *sim, size_t service);
bool service_is_ready(const struct sim *sim, size_t service);
void host_glimpse(const struct sim *sim, size_t host, struct message *ret);
/* What was seen, as the core takes it. Valid until the next call for the host. */
const struct agent_state *host_state_of(struct sim *sim, size_t host, const struct message *seen);

/* --- agent.c --- */
void agent_begin(struct sim *sim, size_t host);
void agent_kill(struct sim *sim, size_t host, bool comes_back);
void agent_take(struct sim *sim, size_t host, const struct message *message);
void agent_tell_state(struct sim *sim, size_t host);
/* Reboots of the host that were begun, but for those that came to nothing. */
unsigned agent_reboots(const struct sim *sim, size_t host);

/* --- link.c --- */
void link_open(struct sim *sim, size_t host);
void link_cut(struct sim *sim, size_t host, uint64_t notice_us);
/* What goes one way is lost, until a heartbeat is missed. */
void link_cut_one_way(struct sim *sim, size_t host);
void link_to_agent(struct sim *sim, size_t host, const struct message *message);
void link_from_agent(struct sim *sim, size_t host, const struct message *message);

/* --- disk.c: what SQLite takes for a disk --- */
/* A liar calls synced what it may still lose: no controller stands that, and the simulator has to say so. */
void disk_begin(bool is_liar);
void disk_new(void);
void disk_set(bool full, bool sync_fails);
/* Nothing reaches it any more: its user is dead. */
void disk_off(bool off);
/* Of what was not synced, a beginning stays: all of it, some, nothing. */
void disk_lose(struct sim *sim);
extern const char disk_path[];

/* --- calls.c: controller/agents.h over the links of here --- */
void calls_post(struct sim *sim, struct sim_call *call);
/* All calls end without an answer; host SIZE_MAX: of all hosts. */
void calls_end(struct sim *sim, size_t host);
void calls_take(struct sim *sim, size_t host, const struct message *message);
void calls_lost_link(struct sim *sim, size_t host);

/* --- controller.c --- */
void controller_begin(struct sim *sim, struct plan *plan);
/* Whether there is one that hears; what it hears is of this turn. */
bool controller_hears(struct sim *sim);
/* Commits, and lets go of what was to be sent. After everything that happens. */
void controller_turn_ends(struct sim *sim);
/* The run as the controller has it, or as it ended; NULL: the controller is dead. */
const run *controller_run(const struct sim *sim);
void controller_steer(struct sim *sim, enum steer_action action, int step);
void controller_kill(struct sim *sim, const char *when);
bool controller_announced(const struct sim *sim, const char *operation);
void controller_clear(struct sim *sim);

/* --- people.c --- */
void people_begin(struct sim *sim);
void faults_begin(struct sim *sim);

/* --- check.c: what must hold --- */
void check_before_start(struct sim *sim, size_t service);
void check_before_stop(struct sim *sim, size_t service);
void check_before_reboot(struct sim *sim, size_t host);
void check_execution(struct sim *sim, size_t host, const struct ledger_entry *entry);
/* An operation came while that one runs. */
void check_conflict(struct sim *sim, const struct ledger_entry *running,
                    const struct operation_request *request);
void check_event(struct sim *sim, const struct run_event *event);
/* A further batch is durable. */
void check_batch_begins(struct sim *sim);
/* Another run of the same hosts, while this one has them. */
void check_lock(struct sim *sim);
/* What the run counts as up. */
void check_held(struct sim *sim);
void check_end(struct sim *sim);
