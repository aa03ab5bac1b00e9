/* A plan as people read it before they say yes. */
#pragma once

#include <stdio.h>

#include "cli/terminal.h"
#include "proto/fleet.pb-c.h"

/* 0 or -ENOMEM. */
int plan_view(const Muster__V1__PlanReply *plan, FILE *file, const struct terminal *terminal);

/* "2.1 s to 14 min 05 s"; "" where nothing is estimated. */
void range_text(char *out, size_t size, uint64_t low_ms, uint64_t high_ms);
/* "reboot", "restart". */
const char *plan_word(Muster__V1__PlanKind kind);
