/* What a unit's state means for its service. */
#pragma once

#include "common/model/state.h"

/* READY means active and no more; detail gets "active (running), enabled" or why nothing is known. */
enum service_phase unit_phase(const struct unit_state *unit, char *detail, size_t size);
