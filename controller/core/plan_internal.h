/* What the files of plan*.c share. */
#pragma once

#include "common/base/time.h"
#include "controller/core/plan.h"

/* -1 for an unknown word. */
int plan_phase_parse(const char *word);
bool plan_phase_is_known(enum plan_phase phase);

/* 0 or -ENOMEM; the text is cut at TEXT_SIZE. */
int plan_add_warning(struct plan *plan, const char *text);

#define BACKOFF_USUAL_US (2 * USEC_PER_SEC)

/* As many steps as the largest fleet has in one batch; more are not taken. */
#define PLAN_STEPS_MAX (FLEET_SERVICES_MAX * 6 + FLEET_HOSTS_MAX)

/* --- building: what plan_build.c, plan_batch.c, plan_graph.c and plan_facts.c work on --------------------
 */

/* The steps of a service in the batch that is being built, -1 none. up: its gate, or pm2's verify. */
struct service_steps {
        int check, compact, save, stop, start, up;
};

/* What a batch does to a service. */
enum touch {
        UNTOUCHED = 0,
        SYNCS = 1,   /* a replica that stays up while its master is down: it only has to be ready again */
        TOUCHED = 2, /* is stopped and brought back */
};

struct builder {
        struct plan *plan;
        const struct fleet *fleet;
        const struct scope *scope;
        const struct plan_options *options;
        const struct plan_facts *facts;
        struct service_steps *steps; /* per service */
        unsigned char *touch;        /* per service: enum touch, of this batch */
        unsigned *touches;           /* per service: how many batches stop it */
        unsigned char *saved;        /* per service: a batch has saved it, which lasts for the run */
        int *reboot, *last_compact;  /* per host, of this batch */
        unsigned *batch_of;          /* per host: 0 is in none */
        unsigned batch;              /* the one being built, from 1 */
        unsigned *disk_of;           /* per service: step.disk */
        size_t *order;               /* services, each behind its needs */
        size_t *dependants;          /* service s: dependants[first[s]] up to dependants[first[s + 1]] */
        size_t *first;
        unsigned char *seen; /* per service, for walks */
        size_t *stack;
        unsigned *marks; /* per step, to add an edge once */
        unsigned mark;
        size_t room, edges;
        struct error *error;
};

#define NEEDS_ALL_MAX (NEEDS_MAX + 2)

/* What a service needs: as declared, a replica its master, a probe what is seen through it. */
size_t builder_needs(const struct builder *b, size_t service, size_t needs[NEEDS_ALL_MAX]);
/* Fills order, dependants and first. -EINVAL with a text if services need each other in a circle. */
int builder_sort(struct builder *b);

/* --- plan_batch.c --- */
/* Divides the hosts of the plan: fills batch_of and the plan's batches. */
int builder_divide(struct builder *b);
/* Begins with the next batch: what it touches, nothing built of it yet. -EINVAL with a text if a service
 * would have to be stopped that cannot be. */
int builder_next_batch(struct builder *b);
/* Whether the batch stops the service. */
bool builder_touches(const struct builder *b, size_t service);
int builder_warn_of_batches(struct builder *b);

/* --- plan_loads.c --- */
/* Which services share a disk, where loads from one are limited: fills disk_of. */
int builder_find_disks(struct builder *b);
/* A start, or the gate of a load: by which disk, and how many loads of it are let at a time. */
void builder_limit_load(const struct builder *b, struct step *step, size_t service);
/* Of what comes up by itself, limit or not. */
int builder_warn_of_loads(struct builder *b);

/* What the service's agent said of it, or NULL. */
const struct service_state *builder_fact(const struct builder *b, size_t service);
/* -EINVAL with a text: a host is not there, a service could not be brought back. */
int builder_check_facts(struct builder *b);
int builder_add_warnings(struct builder *b);
int builder_warn(struct builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
