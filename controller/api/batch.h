/* Operations by hand, outside of any run: each an ordinary one, with an id of its own and an entry in the
 * audit trail under the name of who asked; one at a time a host, hosts side by side. A host that a run holds
 * is left alone. */
#pragma once

#include "controller/api/api.h"

struct batch;

struct batch_work {
        enum operation_kind kind;
        char host[NAME_SIZE];
        char service[NAME_SIZE];  /* "": the host itself */
        struct service_spec spec; /* what it is done to */
        char snapshot[NAME_SIZE]; /* pm2: the snapshot's name */
        bool start_errored;       /* pm2.restore */
        uint64_t settle_us;       /* pm2.restore; 0: the agent's default */
        char why[2 * NAME_SIZE];  /* ends the audit trail's line: "for aof-growth" */
};

/* How one ended. report NULL: it was not begun, or no result came; code and text say why. With a report, code
 * is RPC_OK and text the report's. Operations that failed have a report. */
struct batch_end {
        const struct operation_report *report;
        enum rpc_status code;
        const char *text;
};

/* work: its index. All come from the loop, never from within batch_start. */
struct batch_events {
        void (*progress)(size_t work, uint64_t done, uint64_t total, const char *text,
                         void *userdata);                                        /* or NULL */
        void (*ended)(size_t work, const struct batch_end *end, void *userdata); /* once each */
        void (*done)(void *userdata); /* after the last, once; the batch is gone */
        void *userdata;
};

/* Begins what can be begun. user and action ("fix") stand in the audit trail and are copied; works are
 * copied, what they borrow has to stay. Negative: nothing was begun, nothing is called. */
int batch_start(struct batch **ret, struct api_context *context, const char *user, const char *action,
                const struct batch_work *works, size_t count, const struct batch_events *events);

/* Who asked is gone, also from within a callback: nothing more is begun or told; what is under way goes on at
 * its host. */
struct batch *batch_leave(struct batch *batch);

/* Says who holds the host: -EBUSY with a text if a run does. 0, or the store's error. */
int batch_host_free(const struct api_context *context, const char *host, struct error *error);
