/* A run: one execution of one plan. Pure: what happens outside comes in as inputs, what has to be done goes
 * out as effects; nothing here knows a clock, a file or a link.
 *
 *   run_apply(run, input)  -> effects     live: decides, and journals what it decided
 *   run_fold(run, event)                  after a restart: the journal, event by event, without effects
 *
 * run_apply decides by making events and folding each into the run by the same run_fold, so the state that a
 * restart finds is the state that was lived. What is not in the journal (who is connected, which stream is
 * open, when a deadline began) starts afresh after a restart and is learnt from the agents again.
 *
 * Effects are to be carried out in order; the journal's first, durably, before any operation is sent. The
 * runner has that from the store's commit, which precedes every frame of a turn. */
#pragma once

#include "common/model/state.h"
#include "controller/core/event.h"
#include "controller/core/plan.h"

typedef struct run run;

enum step_state {
        STEP_WAITING = 0,  /* for the steps it comes after, or for its host */
        STEP_RUNNING = 1,  /* operation: an intent is journaled and its result is not; gate: opened */
        STEP_RETRYING = 2, /* an attempt failed, another follows */
        STEP_DOUBT = 3,    /* a person has to say */
        STEP_FAILED = 4,
        STEP_DONE = 5,
        STEP_SKIPPED = 6,   /* by a person */
        STEP_CANCELLED = 7, /* by an abort, before it began */
};

enum steer_action {
        STEER_PAUSE = 1,
        STEER_RESUME = 2,
        STEER_RETRY = 3,
        STEER_SKIP = 4,
        STEER_ABORT = 5, /* take nothing more down, bring up what was */
        STEER_LEAVE = 6, /* do nothing more at all: also an aborted run may be left as it is */
};

enum run_input_kind {
        INPUT_START = 1,    /* user, seed: first of all, once in a run's life */
        INPUT_HOST_UP,      /* host, state: a fresh session with its first state */
        INPUT_HOST_CHANGED, /* host, state */
        INPUT_HOST_DOWN,    /* host */
        INPUT_LEDGER,       /* host, asked, reports: what the agent's ledger holds of the ids asked for */
        INPUT_LEDGER_ENDED, /* host: no answer came, text */
        INPUT_PROGRESS,     /* operation, done, total, text */
        INPUT_REPORT,       /* operation, reports[0] */
        INPUT_ENDED,        /* operation, text: its stream ended without a report; refused: by the agent */
        INPUT_TICK,         /* run_wake_us has come */
        INPUT_STEER,        /* action, step, user, text: why */
};

struct run_input {
        enum run_input_kind kind;
        uint64_t now_us;   /* monotonic */
        uint64_t clock_us; /* realtime, only written into events */
        const char *host;
        const struct agent_state *state;
        uint64_t age_us; /* of the state */
        const char *operation;
        const char (*asked)[ID_SIZE];
        size_t asked_count;
        const struct operation_report *reports;
        size_t report_count;
        uint64_t done, total;
        bool refused;
        const char *text;
        enum steer_action action;
        int step;
        const char *user;
        const char *seed; /* 16 hex digits, random: never the same for two runs */
};

enum run_effect_kind {
        EFFECT_JOURNAL = 1,  /* event, number */
        EFFECT_OPERATE = 2,  /* step, operation: call it on the step's host (run_request has the request) */
        EFFECT_LEDGER = 3,   /* host: ask for run_pending(host) */
        EFFECT_PROGRESS = 4, /* step, done, total, text: tell watchers, no more */
        EFFECT_REBOOT = 5,   /* host, took_us: a reboot was watched from its intent to its proof */
        EFFECT_FINISHED = 6, /* the run has ended: its locks end */
};

struct run_effect {
        enum run_effect_kind kind;
        struct run_event *event; /* owned */
        uint64_t number;         /* of the event in the journal, from 1 */
        int step;
        char operation[ID_SIZE];
        char host[NAME_SIZE];
        uint64_t done, total;
        uint64_t took_us;
        char text[TEXT_SIZE];
};

struct run_effects {
        struct run_effect *items; /* owned */
        size_t count, room;
};
void run_effects_clear(struct run_effects *effects);

/* Takes the plan on success. id is "r20261123-210455-3fa2" or the like. now_us begins the life of this
 * object: all waiting is counted from it. */
int run_new(run **ret, const char *id, struct plan *plan, uint64_t now_us, struct error *error);
run *run_free(run *run);

/* One event of the journal, in order. -EPROTO with a text if the event does not fit the run: then the run is
 * unchanged. */
int run_fold(run *run, const struct run_event *event, struct error *error);

/* What happened outside. Appends to effects. Steering that does not fit: -EINVAL with a text, no effect.
 * -ENOMEM: the run may be half way and has to be folded from the journal again. Everything else is 0: late,
 * doubled and unexpected inputs are ignored. */
int run_apply(run *run, const struct run_input *input, struct run_effects *effects, struct error *error);

/* When INPUT_TICK is due (monotonic), UINT64_MAX: never. */
uint64_t run_wake_us(const run *run);

/* --- looking ---------------------------------------------------------------------------------------------
 */

const struct plan *run_plan(const run *run);
const char *run_id(const run *run);
enum run_state run_state(const run *run);
bool run_finished(const run *run);
uint64_t run_events(const run *run);                                      /* in the journal so far */
uint64_t run_started_us(const run *run), run_finished_us(const run *run); /* realtime, 0: not yet */
const char *run_user(const run *run);

struct step_view {
        enum step_state state;
        uint32_t attempt;
        char operation[ID_SIZE];     /* of the last attempt */
        uint64_t begun_us, ended_us; /* realtime, of the last attempt */
        uint64_t done, total;        /* progress, as far as known */
        const char *text;            /* the last thing said of it */
        bool blocks;                 /* waits for a person */
        bool again;                  /* a later batch does the same to the same service */
};
void run_step(const run *run, size_t step, struct step_view *ret);
/* Whether the step brings up what the run took down and has not brought up. */
bool run_step_is_left(const run *run, size_t step);
unsigned run_batch(const run *run); /* the newest that has begun, from 1 */
/* Steps that need nothing more: done, skipped, cancelled. */
size_t run_steps_settled(const run *run);
const char *step_state_name(enum step_state state);

/* The request of the step's present attempt. */
void run_request(const run *run, size_t step, struct operation_request *ret);
/* The operations of a host whose fate is to be asked for. Returns how many (at most limit). */
size_t run_pending(const run *run, const char *host, char (*ids)[ID_SIZE], size_t limit);

#define RUN_WAITING_SIZE (4 * TEXT_SIZE) /* of out: a step's text, and the commands, whole */

/* What the run waits for and the commands that move it; "" when finished. */
void run_waiting_for(const run *run, char *out, size_t size);
/* How to bring up by hand what the run has left down, were it to go no further: what that is, then commands
 * to be typed one after the other; nothing if there is nothing. What each returns other than 0 ends it and is
 * returned. -ENOMEM. */
typedef int (*run_line)(const char *line, void *userdata);
int run_way_up(const run *run, run_line each, void *userdata);
/* How long that takes. */
void run_way_up_takes(const run *run, uint64_t *ret_low_us, uint64_t *ret_high_us);
/* What is left of the critical path. */
void run_left(const run *run, uint64_t now_us, uint64_t *ret_low_us, uint64_t *ret_high_us);

/* Whether the run is sound: 0, or -EPROTO with what is not. For what was folded from a journal, and for
 * tests. */
int run_check(const run *run, struct error *error);
