/* The operations under way on this host: accepted in the ledger, started, watched, finished in the ledger.
 *
 * An operation belongs to nobody's link: it goes on when the controller is gone, and whoever asks again with
 * the same id watches the same operation or reads its result. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "agent/ledger.h"
#include "agent/probe/boot.h"
#include "common/base/error.h"
#include "common/model/operation.h"

typedef struct operations operations;

struct operations_watcher {
        void (*progress)(uint64_t done, uint64_t total, const char *text, void *userdata);
        /* The end, once; the watcher is forgotten before. */
        void (*report)(const struct operation_report *report, void *userdata);
        void *userdata; /* also the watcher's name for operations_unwatch */
};

/* All borrowed; bus may be NULL where there is no systemd. */
int operations_new(operations **ret, sd_event *event, sd_bus *bus, const char *folder, ledger *ledger,
                   const struct boot *boot);
/* Cancels what is under way without a result: the next life of the agent finds it interrupted. */
operations *operations_free(operations *operations);

/* Begins the operation, or finds the one of that id, and watches it. One that an earlier life of the agent
 * was interrupted in, in this boot, is looked for if its kind is settled so (SETTLE_LOOK): its report is
 * DONE, or INTERRUPTED if it has to be done again. 0: report will come (perhaps before this returns). 1: it
 * ended earlier (or was interrupted) and *ret_report, valid until the next call, says how; the watcher is not
 * kept. Negative errno: refused, nothing was accepted: -EINVAL bad request, -ESTALE meant for another boot,
 * -EBUSY too many or the same service is being worked on, -ENOTSUP, or the ledger's failure. */
int operations_submit(operations *operations, const struct operation_request *request,
                      const struct operations_watcher *watcher, const struct operation_report **ret_report,
                      struct error *error);
void operations_unwatch(operations *operations, const void *userdata);

/* How many are under way. */
size_t operations_running(const operations *operations);
