/* Whether a daemon was told that it is being killed. Part of restore.h.
 *
 * PM2 never takes that back: a stop that did not come to its end (ours, or a person's `pm2 kill`) leaves a
 * daemon that starts nothing and restarts nothing, and says so nowhere. So it is asked: an entry is
 * registered that has autostart off, at an id that no app gets, and ordered to restart. PM2 carries that out
 * without starting anything, or refuses it; then the entry is deleted. All of it is sent in one piece. */
#pragma once

#include "agent/pm2/client.h"

/* callback gets the answer to the order: pm2_refusal_of says PM2_REFUSAL_ENDS, or something else. */
int pm2_ending_ask(pm2_client *client, uint64_t timeout_us, pm2_reply callback, void *userdata);
