/* What a host is compared by before and after a reboot, as far as /proc and the disk tell it: what is
 * mounted, what listens, which kernels are installed, whether the clock is disciplined. Bounded, cheap, never
 * blocking on anything but the kernel's own tables. For the host reader. */
#pragma once

#include <mntent.h>
#include <stdio.h>

#include "common/model/state.h"

/* Fills in what it can; what it cannot read stays empty. facts is zeroed; it owns what it gets. */
void host_facts_read(struct host_facts *facts, const char *running_kernel);

/* Whether it is a file system on a disk of this host, which may fill up: one that containers share is the
 * disk below it, and not one for each of them. */
bool host_facts_is_disk(const struct mntent *mount);

/* --- its parts, for tests --- */

/* Of /proc/self/mounts. What the system mounts for itself, and what containers mount by the dozen, is left
 * out. */
void host_facts_mounts(struct host_facts *facts, FILE *mounts);
/* Of /proc/net/tcp or tcp6: rows of listeners come first, the reading ends behind them. Ports from low to
 * high are those that the kernel hands out: who listens there has been given another one before, and will be.
 */
void host_facts_listeners(struct host_facts *facts, FILE *table, unsigned low, unsigned high);
/* < 0, 0, > 0 as a is older than b; numbers in them count as numbers. */
int host_facts_kernel_order(const char *a, const char *b);
/* Whether both are builds for the same purpose: "6.1.0-28-amd64" and "6.1.0-9-amd64", not "…-cloud-amd64". */
bool host_facts_same_flavour(const char *a, const char *b);
