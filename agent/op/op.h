/* An operation at work. One file an operation (redis_rewrite.c …), one table of them all (table.c).
 *
 * The agent's operation manager (agent/operations.h) commits ACCEPTED to the ledger, makes a struct op and
 * calls start; the operation works asynchronously on the loop and ends with exactly one op_finish, which may
 * be called from within start. The manager arms the deadline and then calls cancel: the operation stops what
 * it has under way, frees its state and does NOT call op_finish. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "agent/probe/boot.h"
#include "common/base/error.h"
#include "common/model/operation.h"

struct op;

/* What op_finish is given by an operation that was to settle an earlier life's and could not: it is done
 * again, by another operation. */
#define OP_UNSETTLED 1

struct op_type {
        enum operation_kind kind;
        /* 0, or negative errno with error's text: nothing was begun and the operation has failed. */
        int (*start)(struct op *op, struct error *error);
        void (*cancel)(struct op *op);
};

struct op {
        sd_event *event;    /* borrowed */
        sd_bus *bus;        /* the system bus, attached to event; borrowed */
        const char *folder; /* the agent's state folder (/var/lib/muster-agent); borrowed */
        const struct boot *boot;
        struct operation_request request;
        const struct op_type *type;
        void *state; /* the operation's own; it frees it before op_finish */
        struct figure figures[FIGURE_MAX];
        size_t figure_count;
        /* Kinds that are settled by looking: what was seen before the work. Not empty at start: an earlier
         * life of this agent began the work and did not see its end; then start looks whether it was done,
         * waits while it still is, and begins nothing. */
        struct figure noted[FIGURE_MAX];
        size_t noted_count;
        /* The manager's. */
        int (*on_noted)(struct op *op, struct error *error);
        void (*on_progress)(struct op *op, uint64_t done, uint64_t total, const char *text);
        void (*on_finish)(struct op *op, int result, const char *text);
        void *manager;
};

/* NULL for a kind that this agent cannot do. */
const struct op_type *op_type_find(enum operation_kind kind);

/* total 0: unknown. */
void op_progress(struct op *op, uint64_t done, uint64_t total, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* A named number of the result: op_figure(op, "size-before", "%" PRIu64, size). At most FIGURE_MAX are kept.
 */
void op_figure(struct op *op, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Something seen before the work; at most FIGURE_MAX. op_commit_notes puts all of it in the ledger: 0, or
 * negative with a text, and then the work must not be begun. */
void op_note(struct op *op, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
int op_commit_notes(struct op *op, struct error *error);
/* NULL: it was not noted. Numbers: 0 then. */
const char *op_noted(const struct op *op, const char *name);
uint64_t op_noted_number(const struct op *op, const char *name);
/* Ends the operation: result 0 is done, a negative errno failed, OP_UNSETTLED; the text is for people. op may
 * be freed by it. */
void op_finish(struct op *op, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));
