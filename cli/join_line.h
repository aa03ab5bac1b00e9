/* The line that lets one host join once: muster-join:1:HOST:ADDRESS:KEY:TOKEN. The controller makes it, the
 * agent reads it; here only its address may be exchanged, for hosts that reach the controller by another one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

/* Writes line with another address. -EINVAL: not such a line, or no HOST:PORT; -ENAMETOOLONG. */
int join_line_readdress(const char *line, const char *address, char *out, size_t size, struct error *error);

/* Whether the line names an address that leads nowhere from another machine: 0.0.0.0, [::], a loopback. */
bool join_line_is_local(const char *line);
