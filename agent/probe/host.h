/* What a host says of itself: /proc, the file systems, and systemd's list of what failed. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/model/state.h"

typedef struct host_reader host_reader;

/* read: a reading ended and host_reader_state is new. urgent: a shutdown began. */
typedef void (*host_read)(bool urgent, void *userdata);

/* bus may be NULL. folder: the agent's (borrowed), for what is known of the last boot. userspace_us: see
 * boot.h.
 */
int host_reader_new(host_reader **ret, sd_event *event, sd_bus *bus, const char *folder,
                    uint64_t userspace_us, host_read read, void *userdata);
host_reader *host_reader_free(host_reader *reader);
/* Begins a reading; after the one that is under way, if one is. read comes for each, perhaps at once. */
int host_reader_start(host_reader *reader);
/* When the newest reading began; monotonic. */
uint64_t host_reader_looked_us(const host_reader *reader);
/* The newest reading, aged by now. */
const struct host_state *host_reader_state(host_reader *reader);
