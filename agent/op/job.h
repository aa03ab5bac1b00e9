/* One job of systemd's: StartUnit or StopUnit, from the facts before to the facts after. What unit.start and
 * unit.stop share. */
#pragma once

#include "agent/op/op.h"
#include "common/model/state.h"

typedef struct unit_job unit_job;

/* How a job is judged; each is given the facts of one moment. */
struct unit_job_type {
        const char *method; /* of systemd's manager: "StartUnit" */
        /* 1: nothing to do, text says why. 0: go on. Negative errno: refused, error says why. */
        int (*before)(const struct unit_state *unit, const char *name, char *ret_text, size_t size,
                      struct error *error);
        /* After the job: 0 done, negative errno failed; both with a text. result is systemd's word for the
         * job ("done", "failed", "timeout", …), or "" where that was not heard: then only what the facts
         * alone prove counts as done. */
        int (*after)(const struct unit_state *unit, const char *name, const char *result, char *ret_text,
                     size_t size);
        /* Figures of its own of the end; NULL: none. asked: systemd took the job; false: the unit was so when
         * this operation began. */
        void (*figures)(struct op *op, const struct unit_state *unit, bool asked);
};

/* Sets op->state and works until op_finish. Negative errno: not begun, with a text. */
int unit_job_begin(struct op *op, const struct unit_job_type *type, struct error *error);
/* Lets go. A job that systemd has accepted goes on: half a stop taken back would not bring the unit back. */
void unit_job_cancel(struct op *op);

/* systemd's word for how a job ended, in a sentence's words. */
const char *unit_job_result_text(const char *result);
