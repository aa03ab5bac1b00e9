/* What systemd says of a unit, asked over the bus without waiting. */
#pragma once

#include <systemd/sd-bus.h>

#include "common/model/state.h"

typedef struct unit_facts unit_facts;

/* result 0, or a negative errno when systemd could not be asked; unit is valid during the call. */
typedef void (*unit_facts_ready)(int result, const struct unit_state *unit, void *userdata);

/* Asks for one unit; ready comes exactly once, later, unless unit_facts_cancel comes first. A unit that has
 * no file is not an error: present is false then. Two seconds at most. */
int unit_facts_ask(unit_facts **ret, sd_bus *bus, const char *unit, unit_facts_ready ready, void *userdata);
/* Frees without calling ready. NULL is fine. */
unit_facts *unit_facts_cancel(unit_facts *facts);
