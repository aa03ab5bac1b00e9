/* What both daemons do around their loop: the options that all have, signals, the watchdog, what systemd is
 * told. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <systemd/sd-event.h>

enum daemon_exit { DAEMON_OK = 0, DAEMON_FAILED = 1, DAEMON_USAGE = 2, DAEMON_UNREACHABLE = 5 };

#define DAEMON_OPTIONS_MAX 16u

/* --NAME VALUE with value set, --NAME with flag set; value is borrowed from argv. */
struct daemon_option {
        const char *name;
        const char **value;
        bool *flag;
};

/* Parses the program's own options (count, at most DAEMON_OPTIONS_MAX of them) and --verbose, --version,
 * --help. True: go on, *ret_first is the first word that is no option; false: exit with *ret_exit. */
bool daemon_options(const char *program, void (*usage)(FILE *out), const struct daemon_option *list,
                    size_t count, int argc, char **argv, int *ret_first, int *ret_exit);

/* Once, before any thread is started (nng's are): the loop alone takes signals, and a closed link ends
 * nothing. */
void daemon_block_signals(void);

/* The program's loop: SIGTERM and SIGINT end it well, systemd's watchdog is fed. terminate: what SIGTERM does
 * instead; NULL ends the loop. 0 or negative errno. */
int daemon_event(sd_event **ret, sd_event_signal_handler_t terminate, void *userdata);

/* Runs the loop to its end, with READY before and STOPPING after. What ends it badly is logged. */
enum daemon_exit daemon_run(sd_event *event);
