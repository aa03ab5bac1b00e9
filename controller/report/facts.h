/* A run as reports need it: folded from the journal, with what the fold does not keep (when things happened,
 * boot ids before and after, figures). For controller/report only. */
#pragma once

#include "controller/core/run.h"
#include "controller/report/report.h"

/* An event, without the room that figures it does not have would take. */
struct report_event {
        enum run_event_kind kind;
        uint64_t clock_us;
        int step;
        char host[NAME_SIZE];
        char boot_id[BOOT_ID_SIZE];
        char *text;             /* owned */
        struct figure *figures; /* owned */
        size_t figure_count;
};

/* A step over all of its attempts. */
struct report_step {
        struct step_view view;
        uint64_t begun_us;                 /* first attempt or opening; 0 never */
        uint64_t done_us;                  /* when it was done for good; 0 not */
        unsigned tries;                    /* intents, or 1 for a gate that was opened */
        unsigned losses;                   /* a gate: how often it was lost again */
        const char *boot_from;             /* of a reboot: at its first intent, "" unknown */
        const char *boot_meant;            /* at its last intent */
        const char *boot_to;               /* "" not proven */
        const struct report_event *result; /* the last event with figures, NULL none */
};

struct report_facts {
        struct store_run head;
        run *run;
        const struct plan *plan;     /* of run */
        struct report_event *events; /* owned */
        size_t event_count;
        struct report_step *steps;   /* owned, as many as the plan has */
        uint64_t began_us, ended_us; /* realtime; ended: now-most event if it goes on */
        /* PM2, over all services; of the last report that had the numbers. */
        uint64_t apps_expected, apps_as_saved;
        uint64_t gates, gates_done; /* services that had to become ready */
};

int report_facts_read(struct report_facts *ret, store *store, const char *run, struct error *error);
void report_facts_clear(struct report_facts *facts);

/* How long the step took, from its first attempt until it was done. 0: not done. */
uint64_t report_step_took(const struct report_step *step);
/* The value of a figure, NULL if there is none. */
const char *report_figure(const struct report_event *event, const char *name);

/* A service that did not end by itself when it was told to: how it was killed, by systemd's word. NULL: the
 * event (one of facts) tells of no such thing. */
const char *report_killed(const struct report_facts *facts, const struct report_event *event);

/* --- score.c: the health score, which explains itself ----------------------------------------------------
 */

struct score_part {
        unsigned points; /* taken off */
        char why[2 * TEXT_SIZE];
};
#define SCORE_PARTS_MAX 32
struct score {
        unsigned points; /* 0 to 100 */
        struct score_part parts[SCORE_PARTS_MAX];
        size_t part_count;
};
void report_score(struct score *ret, const struct report_facts *facts);

/* --- deviations.c: what went otherwise than planned, and what is left to do; one line each ----------------
 */

typedef int (*report_line)(const char *line, void *userdata);
int report_deviations(const struct report_facts *facts, report_line each, void *userdata);
int report_follow_ups(const struct report_facts *facts, report_line each, void *userdata);
