/* How long a step will take, always as a range: what a plan says of its steps, and whoever judges a load or a
 * stop by the same figures. */
#pragma once

#include "controller/core/plan.h"

/* Fill in low_us, high_us and basis of a step. state is what the agent said of its service (NULL: nothing).
 * compacted: the plan rewrites this service's AOF before it is stopped. */
void plan_estimate_operation(struct step *step, const struct service_state *state);
/* Of a reboot: by what was learned of the host, if anything. */
void plan_estimate_reboot(struct step *step, const struct plan_host_fact *fact);
/* What a replica's full sync may take beside its own load: while its master saves, nothing moves. 0: it is no
 * replica. state NULL: its size is not known. */
uint64_t plan_estimate_resync(const struct service_spec *spec, const struct service_state *state);
void plan_estimate_gate(struct step *step, const struct service_state *state, const struct plan_rate *rate,
                        bool compacted);
