/* unit.stop: systemd's StopUnit, done when nothing of the unit runs; a unit that was killed or failed on its
 * way down is down all the same, but the text says so, and of one that was killed the figure "killed" (or
 * "killed-before", where it was down already): for a data store that may mean lost writes. */
#include <errno.h>
#include <stdio.h>

#include "agent/op/job.h"
#include "agent/op/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

static int before(const struct unit_state *unit, const char *name, char *text, size_t size,
                  struct error *error)
{
        if (text_equal(unit->active_state, "inactive"))
                snprintf(text, size, "%s was not running", name);
        else if (text_equal(unit->active_state, "failed"))
                snprintf(text, size, "%s was not running: it had failed (%s)", name,
                         unit->result[0] ? unit->result : "no result");
        else
                return 0;
        return 1;
}

static int after(const struct unit_state *unit, const char *name, const char *result, char *text, size_t size)
{
        const char *why = unit->result[0] ? unit->result : "no result";

        if (text_equal(unit->active_state, "inactive")) {
                snprintf(text, size, "%s has stopped", name);
                return 0;
        }
        if (text_equal(unit->active_state, "failed")) {
                snprintf(text, size, "%s has stopped, but ended as failed (%s%s)", name, why,
                         text_equal(unit->result, "timeout")
                                 ? ": killed after TimeoutStopSec, what it had not saved is lost"
                                 : "");
                return 0;
        }
        if (text_equal(result, "done"))
                snprintf(text, size, "%s was stopped, but is %s (%s) again: what starts it?", name,
                         unit->active_state, unit->sub_state);
        else
                snprintf(text, size, "%s did not stop: %s; it is %s (%s)", name, unit_job_result_text(result),
                         unit->active_state, unit->sub_state);
        return -EREMOTEIO;
}

/* Many programs end with an exit code when they are told to end: that is no harm. What was down when this
 * operation began may have been killed long ago, or by the stop of an earlier attempt, whose end nobody saw:
 * that is for those to tell who know of the attempts. */
static void figures(struct op *op, const struct unit_state *unit, bool asked)
{
        static const char *const killed[] = {"timeout", "signal", "core-dump", "oom-kill", "watchdog"};

        for (size_t i = 0; i < ELEMENTS(killed); i++)
                if (text_equal(unit->active_state, "failed") && text_equal(unit->result, killed[i]))
                        op_figure(op, asked ? "killed" : "killed-before", "%s", unit->result);
}

static int start(struct op *op, struct error *error)
{
        static const struct unit_job_type type = {"StopUnit", before, after, figures};

        return unit_job_begin(op, &type, error);
}

const struct op_type op_unit_stop = {OPERATION_UNIT_STOP, start, unit_job_cancel};
