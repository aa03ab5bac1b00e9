/* Preflight checks: what stands in the way of restarting a fleet, or would make it slow. Pure: facts in,
 * findings out. docs/checks.md lists every check. */
#pragma once

#include "common/model/finding.h"
#include "common/model/scope.h"
#include "controller/core/plan.h"

/* Runs every check on the hosts (scope->hosts) and services in scope. now_us is the realtime clock. Findings
 * come in the fleet's order, a host's own before its services'. Severities: BLOCKS, a restart would fail,
 * lose data or could not be proven; WARNS, it would go worse than it has to; INFORMS, to know.
 *
 * The caller frees *ret (NULL with 0 findings). -ENOMEM. */
int checks_run(const struct fleet *fleet, const struct scope *scope, const struct plan_facts *facts,
               uint64_t now_us, struct finding **ret, size_t *ret_count);
