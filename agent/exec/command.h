/* A command that was asked for by hand: an argv, never a shell line; its output streamed, its end reported.
 *
 * It runs in a process group of its own with no standard input. When it is stopped (deadline, caller gone)
 * the group gets SIGTERM, and SIGKILL five seconds later. SIGCHLD must be blocked in every thread of the
 * program. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/base/error.h"

typedef struct command command;

struct command_options {
        char *const *argv;     /* NULL-terminated; argv[0] is looked up in PATH */
        const char *user;      /* NULL or "": as the agent */
        const char *directory; /* NULL or "": / */
        uint64_t timeout_us;   /* 0: none */
};

struct command_events {
        /* Some output. Return false to hold further output back until command_resume. */
        bool (*output)(command *command, int stream, const void *data, size_t size, void *userdata);
        /* The end, once: exit_code as a shell gives it (128 + signal); failure is NULL, or why it was ended.
         * The command is freed after it. */
        void (*finished)(command *command, int exit_code, const char *failure, void *userdata);
        void *userdata;
};

#define COMMAND_ARGV_MOST 1024u

int command_start(command **ret, sd_event *event, const struct command_options *options,
                  const struct command_events *events, struct error *error);
void command_resume(command *command);
/* Ends the command; finished does not come any more; it is freed when its processes are gone. */
void command_abandon(command *command);
