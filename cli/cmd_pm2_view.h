/* PM2 homes as people read them: what differs between two sides, and which snapshots there are. */
#pragma once

#include <stdio.h>

#include "cli/terminal.h"
#include "proto/fleet.pb-c.h"

/* "snapshot r20261123-231538-f37c of 2026-11-23 23:15:38 UTC", "live", "PM2's dump of …", "live (no PM2
 * daemon runs)". Cleaned. */
void pm2_side_text(const Muster__V1__Pm2Side *side, char *out, size_t size);
/* "41 apps, 36 online, 5 stopped"; errored ones where there are any. */
void pm2_counts_text(const Muster__V1__Pm2Side *side, char *out, size_t size);

/* One service's comparison, or why there is none. 0 or -ENOMEM. */
int pm2_diff_view(const Muster__V1__FleetPm2Diff *diff, FILE *file, const struct terminal *terminal);

/* The snapshots of services, count of them. 0 or -ENOMEM. */
struct table;
int pm2_snapshots_heads(struct table **ret);
void pm2_snapshots_rows(struct table *table, const Muster__V1__FleetPm2Snapshots *listed);
