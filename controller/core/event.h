/* Events: what the journal of a run is made of. A run's state is a fold over them; nothing else about a run
 * survives the controller. Plain data; one JSON object an event (event_json.c). */
#pragma once

#include "common/base/error.h"
#include "common/model/operation.h"

enum run_event_kind {
        EVENT_STARTED = 1,   /* user, seed */
        EVENT_INTENT = 2,    /* step, attempt, operation, boot_id, identity: journaled before it is sent */
        EVENT_OPENED = 3,    /* step (a gate): from now on its service is awaited */
        EVENT_DONE = 4,      /* step; boot_id (a reboot: the new one); figures */
        EVENT_ATTEMPT = 5,   /* step, attempt: it failed or was interrupted, another one follows */
        EVENT_FAILED = 6,    /* step; unknown: whether it happened is not known */
        EVENT_DOUBT = 7,     /* step: what happened cannot be settled by looking; a person has to */
        EVENT_LOST = 8,      /* step (a gate, a verification, a restore that was done): it no longer holds */
        EVENT_BOOTED = 9,    /* host, boot_id: it was booted anew, and not by this run */
        EVENT_PAUSED = 10,   /* user: start nothing more */
        EVENT_RESUMED = 11,  /* user */
        EVENT_RETRIED = 12,  /* step, user; "": asked about again, as its host is back */
        EVENT_SKIPPED = 13,  /* step, user, text: why */
        EVENT_ABORTED = 14,  /* user; leave: do not even bring back up what was stopped */
        EVENT_FINISHED = 15, /* state */
        EVENT_NOTED = 16,    /* host, figures: what it is like before its reboot; more than one may follow */
        EVENT_COMPARED = 17, /* host, figures: what is different after its reboot; none: nothing */
        EVENT_BATCH = 18,    /* the next batch of hosts begins */
        EVENT_LATE = 19,     /* by the forecast of now it will not be finished in time */
        EVENT_KIND_END,
};

enum run_state {
        RUN_RUNNING = 1,
        RUN_PAUSED = 2,
        RUN_DONE = 3,
        RUN_PART = 4, /* to the end, but something was skipped or failed on the way */
        RUN_FAILED = 5,
        RUN_ABORTED = 6,
};

#define SEED_SIZE     17 /* 16 hex digits */
#define IDENTITY_SIZE 64

struct run_event {
        enum run_event_kind kind;
        uint64_t clock_us;       /* realtime; for people, nothing is decided by it */
        int step;                /* -1: the run itself */
        uint32_t attempt;        /* from 1 */
        char operation[ID_SIZE]; /* the operation id */
        char host[NAME_SIZE];
        char boot_id[BOOT_ID_SIZE];
        char identity[IDENTITY_SIZE]; /* of the process that is about to be stopped */
        char seed[SEED_SIZE];         /* what operation ids are made from */
        char user[NAME_SIZE];
        bool interrupted;
        bool unknown;
        bool leave;
        enum run_state state;
        char text[TEXT_SIZE * 2]; /* one line for people */
        struct figure figures[FIGURE_MAX];
        size_t figure_count;
};

/* "started", "intent", …; "running", "paused", "done", "part", "failed", "aborted". */
const char *run_event_kind_name(enum run_event_kind kind);
const char *run_state_name(enum run_state state);
/* What the event makes of its step, in the words that people see: "waiting", "running", "done", "failed",
 * "skipped"; "" if it has no step. */
const char *run_event_step_state(const struct run_event *event);

/* The caller frees *ret. Reading is strict: an unknown key or kind, a missing field or a wrong type is
 * -EINVAL with a text. */
int run_event_to_json(const struct run_event *event, char **ret);
int run_event_from_json(struct run_event *ret, const char *json, struct error *error);
