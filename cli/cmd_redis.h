/* muster redis: its parts, one file each; and the lines of a watch, apart for their test. */
#pragma once

#include "cli/command.h"
#include "cli/terminal.h"
#include "proto/fleet.pb-c.h"

int redis_rewrite(const struct cli *cli, int argc, char **argv);
int redis_watch(const struct cli *cli, int argc, char **argv);

/* One Redis of a status. forecast NULL: it does not load, or nothing is known of its load. */
struct redis_line {
        const Muster__V1__HostStatus *host;
        const Muster__V1__ServiceState *service;
        const Muster__V1__LoadForecast *forecast;
};

/* Calls each for every Redis in the status. */
void redis_lines(const Muster__V1__StatusReply *status,
                 void (*each)(const struct redis_line *line, void *userdata), void *userdata);
/* Loaded and as it has to be: nothing more to wait for. */
bool redis_line_is_ready(const struct redis_line *line);
/* "base 45%, 215.1 MB of 478.0 MB, 120.3 MB/s, 2.1 s to 3.9 s left", or what it is instead of loading; clean.
 */
void redis_line_text(const struct redis_line *line, char *out, size_t size);
