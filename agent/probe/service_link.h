/* The way to a service that speaks Redis's protocol, with the user and password for it if it wants one.
 *
 * Passwords are in no fleet file and in no message: they stay on the host, in the agent's folder, in a file
 * that belongs to the agent's user and that nobody else may read. One service a line, '#' begins a comment:
 *
 *   bds      a-long-password
 *   bull     watcher  another-password
 *
 * (the second form names a user of Redis's access lists). */
#pragma once

#include "common/base/error.h"
#include "common/loop/redis.h"
#include "common/model/service.h"

#define SERVICE_LOGINS_FILE "redis-logins"

/* The file is read each time; a service that is not in it is not logged in to. For a unit that is probed
 * through a port this is the way through it. Errors with a text: -EACCES (others may read the file),
 * -EBADMSG (a line that is none), … */
int service_link_new(redis_link **ret, sd_event *event, const struct service_spec *spec,
                     const char *agent_folder, struct error *error);

/* What a server that refuses for want of a login said, and what to do. */
void service_link_advice(char *out, size_t size, const redis_link *link, const char *said,
                         const struct service_spec *spec, const char *agent_folder);
