/* See state.h. */
#include "common/model/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

#define AOF_SMALL     64000000u
#define COMMAND_BYTES 100u

const char *service_phase_name(enum service_phase phase)
{
        static const char *const names[] = {"unknown", "stopped",  "starting", "loading",
                                            "ready",   "degraded", "failed"};

        return (unsigned)phase < sizeof(names) / sizeof(names[0]) ? names[phase] : "unknown";
}

bool tile38_keeps_backup(const struct tile38_state *state)
{
        return text_ends(state->leftover, "-bak");
}

/* A shrink writes text: of positions about three times what they take in memory, and a command around each.
 */
bool tile38_worth_shrinking(const struct tile38_state *state)
{
        uint64_t whole = 3 * state->memory_bytes + COMMAND_BYTES * state->objects;

        return !state->follower && !tile38_keeps_backup(state) && state->aof_size >= AOF_SMALL &&
               state->aof_size / 2 > whole;
}

void host_state_clear(struct host_state *state)
{
        free(state->disks);
        free(state->failed_units);
        free(state->facts.mounts);
        free(state->facts.listeners);
        free(state->facts.inhibitors);
        free(state->facts.stopping);
        *state = (struct host_state){0};
}

void service_state_clear(struct service_state *state)
{
        free(state->pm2.apps);
        *state = (struct service_state){0};
}

void agent_state_clear(struct agent_state *state)
{
        host_state_clear(&state->host);
        for (size_t i = 0; i < state->service_count; i++)
                service_state_clear(&state->services[i]);
        free(state->services);
        *state = (struct agent_state){0};
}

/* A copy of count elements; NULL with 0 for none. */
static int copy_array(void *ret, const void *source, size_t count, size_t size)
{
        void *copy = NULL;

        if (count) {
                copy = reallocarray(NULL, count, size);
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, source, count * size);
        }
        memcpy(ret, &copy, sizeof(copy));
        return 0;
}

int host_state_copy(struct host_state *ret, const struct host_state *state)
{
        struct host_state copy = *state;
        struct host_facts *facts = &copy.facts;
        const struct host_facts *source = &state->facts;

        copy.disks = NULL;
        copy.failed_units = NULL;
        facts->mounts = NULL;
        facts->listeners = NULL;
        facts->inhibitors = NULL;
        facts->stopping = NULL;
        if (copy_array(&copy.disks, state->disks, state->disk_count, sizeof(*state->disks)) < 0 ||
            copy_array(&copy.failed_units, state->failed_units, state->failed_unit_count,
                       sizeof(*state->failed_units)) < 0 ||
            copy_array(&facts->mounts, source->mounts, source->mount_count, WORD_SIZE) < 0 ||
            copy_array(&facts->listeners, source->listeners, source->listener_count, ADDRESS_SIZE) < 0 ||
            copy_array(&facts->inhibitors, source->inhibitors, source->inhibitor_count,
                       sizeof(*source->inhibitors)) < 0 ||
            copy_array(&facts->stopping, source->stopping, source->stopping_count, UNIT_SIZE) < 0) {
                host_state_clear(&copy);
                *ret = (struct host_state){0};
                return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

int service_state_copy(struct service_state *ret, const struct service_state *state)
{
        struct service_state copy = *state;

        if (copy_array(&copy.pm2.apps, state->pm2.apps, state->pm2.app_count, sizeof(*state->pm2.apps)) < 0) {
                *ret = (struct service_state){0};
                return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

const struct service_state *agent_state_service(const struct agent_state *state, const char *name)
{
        for (size_t i = 0; i < state->service_count; i++)
                if (text_equal(state->services[i].name, name))
                        return &state->services[i];
        return NULL;
}
