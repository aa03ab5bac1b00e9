/* What `muster reboot` and `muster restart` have in common: plan, ask, start, follow. */
#pragma once

#include "cli/command.h"
#include "proto/fleet.pb-c.h"

int start_run(const struct cli *cli, Muster__V1__PlanKind kind, int argc, char **argv);
