/* A status as people read it: the hosts, then the services, then one line that counts. */
#pragma once

#include <stdio.h>

#include "cli/terminal.h"
#include "proto/fleet.pb-c.h"

/* 0 or -ENOMEM. */
int status_view(const Muster__V1__StatusReply *status, FILE *file, const struct terminal *terminal);

/* What matters of one service, from its figures; the agent's own words where there are none. */
void service_detail(const Muster__V1__ServiceState *service, char *out, size_t size);
