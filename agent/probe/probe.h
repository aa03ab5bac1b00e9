/* Reading what stands on this host, without ever blocking the loop.
 *
 * A probe_set watches the host and the services it was told of. Each service has a reader for its kind (one
 * file a kind, one table); the set decides when a reader runs (soon after a change, often while a service is
 * not ready, seldom at rest), keeps the newest state and says when something changed. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/base/error.h"
#include "common/model/state.h"

typedef struct probe_set probe_set;

/* Something in the state changed, or ten seconds passed; all of it was read at least once. Called from the
 * loop, at most every 100 ms. */
typedef void (*probe_changed)(probe_set *set, void *userdata);

/* bus may be NULL where there is no systemd (unit facts are then absent and say so). userspace_us: see
 * boot.h. */
int probe_set_new(probe_set **ret, sd_event *event, sd_bus *bus, const char *agent_folder,
                  uint64_t userspace_us, probe_changed changed, void *userdata);
probe_set *probe_set_free(probe_set *set);

/* From now on watch exactly these services (copied). States of services that stay are kept. */
int probe_set_configure(probe_set *set, const struct service_spec *services, size_t count);

/* Read everything again now; changed is called when all readers have answered or timed out, and before for
 * those that have: a reader that takes its time holds up nobody but who waits for it. */
void probe_set_refresh(probe_set *set);
/* All that probe_set_state shows was read by readings that began then or later, monotonic. 0: something has
 * not been read yet. */
uint64_t probe_set_seen_us(const probe_set *set);

/* Read the host again now, not its services; changed is called soon after. For when something was done. */
void probe_set_look_at_host(probe_set *set);
/* The same, and that service too, if it is watched. For when something was done to it. */
void probe_set_look_at_service(probe_set *set, const char *name);

/* The newest state; valid until the next turn of the loop. */
const struct agent_state *probe_set_state(const probe_set *set);

/* --- what readers are made of ------------------------------------------------------------------------- */

struct probe; /* one service being watched */

struct probe_reader {
        enum service_kind kind;
        /* Begins one reading; ends with exactly one probe_done, perhaps at once. Negative errno: not begun.
         */
        int (*read)(struct probe *probe);
        /* Stops a reading under way (no probe_done any more) and frees probe->state. */
        void (*cancel)(struct probe *probe);
};

struct probe {
        probe_set *set;
        sd_event *event;
        sd_bus *bus; /* may be NULL */
        const char *agent_folder;
        struct service_spec spec;
        struct unit_state unit; /* read just before read is called; empty without a unit or a bus */
        void *state;            /* the reader's own, kept between readings */
};

/* The result of a reading: state (moved: what it owns is the set's now, *state is zeroed). The set fills in
 * name, kind, ready_for_ms, progress_still_ms and the unit facts. */
void probe_done(struct probe *probe, struct service_state *state);

extern const struct probe_reader probe_unit;
extern const struct probe_reader probe_redis;
extern const struct probe_reader probe_tile38;
extern const struct probe_reader probe_pm2;
