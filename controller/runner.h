/* Carries out the core's effects: calls to agents, the store, the time. All runs of the controller live here.
 */
#pragma once

#include "controller/agents.h"
#include "controller/core/plan.h"
#include "controller/core/run.h"
#include "controller/store/store.h"

typedef struct runner runner;

struct run_summary {
        char run[NAME_SIZE];
        enum plan_kind kind;
        char scope[TEXT_SIZE];
        char state[NAME_SIZE]; /* "running", "paused", "done", "part", "failed", "aborted",
                                * "unreadable": neither ended nor at work; only an abort moves it */
        char user[NAME_SIZE];
        uint64_t started_us, finished_us;
        uint32_t steps_done, steps_total;
        char waiting_for[RUN_WAITING_SIZE]; /* paused: what for, and the commands that move it */
};

/* One thing to show: a journaled event (event > 0) or progress (event 0). */
struct run_news {
        const char *run;
        uint64_t event, time_us;
        const char *text;
        int step;               /* -1: the run itself */
        const char *step_state; /* "" if unchanged */
        uint64_t progress_done, progress_total;
        const char *kind, *host;      /* of the event; "" for progress, and where it names none */
        const struct figure *figures; /* of the event */
        size_t figure_count;
        const struct run_summary *summary; /* NULL unless the run's own state changed */
        uint64_t left_low_us, left_high_us;
};
typedef void (*runner_news)(const struct run_news *news, void *userdata);

/* A name that has not been given before: "r20261123-231538-f37c"; kind is its first letter, r for runs. */
void runner_make_id(char kind, char ret[NAME_SIZE]);

/* What the runner has of the time: the loop's own, or a number (tests/sim). */
struct runner_time {
        uint64_t (*monotonic_us)(void *userdata);
        uint64_t (*realtime_us)(void *userdata);
        /* runner_wake is to be called then, once, not from within; UINT64_MAX: not at all. Replaces what was
         * asked for before. */
        int (*wake_at)(runner *runner, uint64_t monotonic_us, void *userdata);
        /* The program is to end with this code, and to recover by reading. */
        void (*end)(int code, void *userdata);
        /* It has ended: what still comes in is no news. */
        bool (*has_ended)(void *userdata);
        void (*free)(void *userdata); /* with the runner; may be NULL */
        void *userdata;
};

/* Borrows all. Unfinished runs of the store are folded from their journals and go on as agents connect. */
int runner_new(runner **ret, sd_event *event, store *store, agents *agents, struct error *error);
/* The same on another time; *time is copied, and freed also if this fails. */
int runner_new_in(runner **ret, const struct runner_time *time, store *store, agents *agents,
                  struct error *error);
runner *runner_free(runner *runner);
/* The time that wake_at named has come. */
void runner_wake(runner *runner);

/* Takes *plan, which is NULL then, as soon as the run is made of it, also if what follows fails (the program
 * ends). -EBUSY with a text if a host is held by another run: *plan is still the caller's. */
int runner_start(runner *runner, struct plan **plan, const char *user, char ret_run[NAME_SIZE],
                 struct error *error);
/* -EBUSY with a text if a run holds the host: which one, of what kind and whose. 0, or the store's error. */
int runner_host_free(const runner *runner, const char *host, struct error *error);
/* -ENOENT, -EINVAL (the action does not fit the state; the text says what would). */
int runner_steer(runner *runner, const char *run, enum steer_action action, int step, const char *user,
                 const char *why, struct error *error);
/* Calls each for the steps that bring up what the run took down and has not brought up, in order. -ENOENT. */
typedef int (*runner_step)(const struct step *step, size_t index, void *userdata);
int runner_left(runner *runner, const char *run, runner_step each, void *userdata);
/* See run_way_up; each NULL: only how long it takes. -ENOENT. */
int runner_way_up(runner *runner, const char *run, run_line each, void *userdata, uint64_t *ret_low_us,
                  uint64_t *ret_high_us);
/* Of a live run or one of the store. -ENOENT. run "" is the newest. */
int runner_summary(runner *runner, const char *run, struct run_summary *ret);
/* Calls news for the run's journaled events from first on, then (if the run is not finished) subscribes it to
 * what follows; *ret_watch is a handle for runner_unwatch, 0 when the run is finished. */
int runner_watch(runner *runner, const char *run, uint64_t first, runner_news news, void *userdata,
                 uint64_t *ret_watch);
void runner_unwatch(runner *runner, uint64_t watch);
