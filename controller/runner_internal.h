/* What the files of runner*.c share. */
#pragma once

#include "controller/runner.h"

/* A run that has not ended. */
struct live {
        runner *runner;
        run *run;
        enum run_state told; /* the state that watchers know */
        struct live *next;
};

struct watch {
        uint64_t handle;
        char run[NAME_SIZE];
        runner_news news; /* NULL: to be swept */
        void *userdata;
        struct watch *next;
};

/* A call to an agent that has not ended: freed by its end, which may come after the runner. */
struct call {
        runner *runner; /* NULL: the runner is gone */
        char run[NAME_SIZE], host[NAME_SIZE];
        char operation[ID_SIZE];
        char (*asked)[ID_SIZE]; /* owned; of a question to a ledger */
        size_t asked_count;
        struct call *previous, *next;
};

struct runner {
        struct runner_time time;
        store *store;
        agents *agents;
        struct live *live;
        struct watch *watches;
        struct call *calls;
        uint64_t last_handle;
        unsigned telling; /* depth of loops over watches */
        bool ended;       /* a run could not be written down: nothing goes on in this life */
};

/* --- runner_time.c --- */
uint64_t runner_monotonic_us(const runner *runner);
uint64_t runner_realtime_us(const runner *runner);
/* The time of an event loop. */
int runner_time_of(struct runner_time *ret, sd_event *event);

/* --- runner.c --- */
struct live *live_find(const runner *runner, const char *id);
/* Takes the run on success and puts it among the live ones. */
int live_add(runner *runner, run *run, struct live **ret);
/* An input into a live run, and all that follows from it. -EINVAL with a text for steering that does not fit;
 * any other failure ends the program, which recovers by reading. now and clock are filled in here. */
int live_feed(struct live *live, struct run_input *input, struct error *error);
/* Frees live runs that have ended. Not while one is being fed. */
void runner_reap(runner *runner);
/* The hosts that are connected now. */
int live_feed_hosts(struct live *live);

/* --- runner_calls.c --- */
int runner_operate(struct live *live, const struct run_effect *effect);
int runner_ask_ledger(struct live *live, const struct run_effect *effect);

/* --- runner_runs.c --- */
/* Any run, live or ended, folded from the store. -ENOENT. ret_stored may be NULL. */
int runner_load(runner *runner, const char *id, run **ret, struct store_run *ret_stored, struct error *error);
void summary_of(const run *run, struct run_summary *ret);
/* Loads the runs that have not ended. */
int runner_resume(runner *runner, struct error *error);

/* --- runner_watch.c --- */
bool runner_is_watched(const runner *runner, const char *run);
void runner_tell(runner *runner, const struct run_news *news);
void runner_unwatch_all(runner *runner);
