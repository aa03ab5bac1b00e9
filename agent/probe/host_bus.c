/* See host_bus.h. */
#include "agent/probe/host_bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

#define FAILED_MOST     256u
#define INHIBITORS_MOST 32u
#define STOPPING_MOST   32u

#define PROPERTIES "org.freedesktop.DBus.Properties"

/* --- failed units ----------------------------------------------------------------------------------------
 */

static int failed_arguments(sd_bus_message *call)
{
        return sd_bus_message_append(call, "as", 1, "failed");
}

static void take_failed(struct host_state *state, sd_bus_message *reply)
{
        const char *name;

        if (!reply || sd_bus_message_enter_container(reply, 'a', "(ssssssouso)") < 0)
                return;
        state->failed_units = calloc(FAILED_MOST, sizeof(*state->failed_units));
        while (state->failed_units && state->failed_unit_count < FAILED_MOST &&
               sd_bus_message_enter_container(reply, 'r', "ssssssouso") > 0) {
                if (sd_bus_message_read(reply, "s", &name) < 0 ||
                    sd_bus_message_skip(reply, "sssssouso") < 0 || sd_bus_message_exit_container(reply) < 0)
                        return;
                text_copy_cut(state->failed_units[state->failed_unit_count++], UNIT_SIZE, name);
        }
}

/* --- the agent's own unit, and the system as a whole ------------------------------------------------------
 */

static int enabled_arguments(sd_bus_message *call)
{
        return sd_bus_message_append(call, "s", "muster-agent.service");
}

static void take_enabled(struct host_state *state, sd_bus_message *reply)
{
        const char *enabled;

        if (!reply || sd_bus_message_read(reply, "s", &enabled) < 0)
                enabled = "not-found";
        text_copy_cut(state->agent_enabled, sizeof(state->agent_enabled), enabled);
}

static int system_arguments(sd_bus_message *call)
{
        return sd_bus_message_append(call, "ss", SYSTEMD ".Manager", "SystemState");
}

static void take_system(struct host_state *state, sd_bus_message *reply)
{
        const char *system;

        if (reply && sd_bus_message_read(reply, "v", "s", &system) >= 0)
                text_copy_cut(state->facts.system_state, sizeof(state->facts.system_state), system);
}

static int version_arguments(sd_bus_message *call)
{
        return sd_bus_message_append(call, "ss", SYSTEMD ".Manager", "Version");
}

static void take_version(struct host_state *state, sd_bus_message *reply)
{
        const char *version;

        if (reply && sd_bus_message_read(reply, "v", "s", &version) >= 0)
                text_copy_clean(state->systemd, sizeof(state->systemd), version);
}

/* --- who holds a shutdown back ----------------------------------------------------------------------------
 */

/* Where one more goes: when all are taken, one that blocks takes the place of one that delays. */
static struct inhibitor_state *place_for(struct host_facts *facts, const char *mode)
{
        if (facts->inhibitor_count < INHIBITORS_MOST)
                return &facts->inhibitors[facts->inhibitor_count++];
        for (size_t i = 0; i < INHIBITORS_MOST && !text_equal(mode, "delay"); i++)
                if (text_equal(facts->inhibitors[i].mode, "delay"))
                        return &facts->inhibitors[i];
        return NULL;
}

int host_take_inhibitors(struct host_facts *facts, sd_bus_message *reply)
{
        const char *what, *who, *why, *mode;
        int r = sd_bus_message_enter_container(reply, 'a', "(ssssuu)");

        if (r < 0)
                return r;
        facts->inhibitors = calloc(INHIBITORS_MOST, sizeof(*facts->inhibitors));
        if (!facts->inhibitors)
                return -ENOMEM;
        while ((r = sd_bus_message_read(reply, "(ssssuu)", &what, &who, &why, &mode, NULL, NULL)) > 0) {
                struct inhibitor_state *inhibitor;
                bool is_shutdown = false;

                /* "shutdown:sleep:idle" */
                for (const char *at = what; at && !is_shutdown;
                     at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL)
                        is_shutdown = text_starts(at, "shutdown") && (at[8] == '\0' || at[8] == ':');
                if (!is_shutdown || !(inhibitor = place_for(facts, mode)))
                        continue;
                text_copy_clean(inhibitor->who, sizeof(inhibitor->who), who);
                text_copy_clean(inhibitor->why, sizeof(inhibitor->why), why);
                text_copy_clean(inhibitor->mode, sizeof(inhibitor->mode), mode);
        }
        return r;
}

static void take_inhibitors(struct host_state *state, sd_bus_message *reply)
{
        if (reply)
                (void)host_take_inhibitors(&state->facts, reply); /* the operation asks for itself */
}

/* --- how far a shutdown is --------------------------------------------------------------------------------
 */

/* Units whose stop runs: what the others, and the end, wait for. Not the agent itself. */
static void take_jobs(struct host_state *state, sd_bus_message *reply)
{
        struct host_facts *facts = &state->facts;
        const char *unit, *type, *job_state;

        if (!reply || sd_bus_message_enter_container(reply, 'a', "(usssoo)") < 0)
                return;
        facts->stopping = calloc(STOPPING_MOST, sizeof(*facts->stopping));
        while (facts->stopping && facts->stopping_count < STOPPING_MOST &&
               sd_bus_message_read(reply, "(usssoo)", NULL, &unit, &type, &job_state, NULL, NULL) > 0)
                if (text_equal(type, "stop") && text_equal(job_state, "running") &&
                    !text_equal(unit, "muster-agent.service"))
                        text_copy_clean(facts->stopping[facts->stopping_count++], UNIT_SIZE, unit);
}

const struct host_question host_questions[HOST_QUESTIONS] = {
        {SYSTEMD, SYSTEMD_PATH, SYSTEMD ".Manager", "ListUnitsFiltered", failed_arguments, take_failed},
        {SYSTEMD, SYSTEMD_PATH, SYSTEMD ".Manager", "GetUnitFileState", enabled_arguments, take_enabled},
        {SYSTEMD, SYSTEMD_PATH, PROPERTIES, "Get", system_arguments, take_system},
        {SYSTEMD, SYSTEMD_PATH, PROPERTIES, "Get", version_arguments, take_version},
        {LOGIND, LOGIND_PATH, LOGIND ".Manager", "ListInhibitors", NULL, take_inhibitors},
        {SYSTEMD, SYSTEMD_PATH, SYSTEMD ".Manager", "ListJobs", NULL, take_jobs},
};
