/* unit.start: systemd's StartUnit, done when the unit is active; whether it is of use, gates say. */
#include <errno.h>
#include <stdio.h>

#include "agent/op/job.h"
#include "agent/op/table.h"
#include "common/base/text.h"

static int before(const struct unit_state *unit, const char *name, char *text, size_t size,
                  struct error *error)
{
        if (text_equal(unit->load_state, "masked"))
                return error_set(error, -EPERM, "%s is masked; allow it again with: systemctl unmask %s",
                                 name, name);
        if (!text_equal(unit->load_state, "loaded"))
                return error_set(error, -EINVAL, "%s cannot be loaded (%s); see: systemctl status %s", name,
                                 unit->load_state, name);
        if (!text_equal(unit->active_state, "active") && !text_equal(unit->active_state, "reloading"))
                return 0;
        snprintf(text, size, "%s was active already (%s)", name, unit->sub_state);
        return 1;
}

static int after(const struct unit_state *unit, const char *name, const char *result, char *text, size_t size)
{
        /* A oneshot unit that ran to its end is inactive again, as it was before it ran. */
        bool ran = result[0] && text_equal(unit->type, "oneshot") &&
                   text_equal(unit->active_state, "inactive") && text_equal(unit->result, "success");

        if (result[0] && !text_equal(result, "done")) {
                snprintf(text, size, "%s did not start: %s; it is %s (%s), result %s; see: journalctl -u %s",
                         name, unit_job_result_text(result), unit->active_state, unit->sub_state,
                         unit->result[0] ? unit->result : "none", name);
                return -EREMOTEIO;
        }
        if (text_equal(unit->active_state, "active") || text_equal(unit->active_state, "reloading") || ran) {
                snprintf(text, size, "%s is %s (%s)", name, unit->active_state, unit->sub_state);
                return 0;
        }
        snprintf(text, size, "%s was started, but is %s (%s), result %s; see: journalctl -u %s", name,
                 unit->active_state, unit->sub_state, unit->result[0] ? unit->result : "none", name);
        return -EREMOTEIO;
}

static int start(struct op *op, struct error *error)
{
        static const struct unit_job_type type = {"StartUnit", before, after, NULL};

        return unit_job_begin(op, &type, error);
}

const struct op_type op_unit_start = {OPERATION_UNIT_START, start, unit_job_cancel};
