/* Operations by hand (muster pm2 save, pm2 restore, redis rewrite), followed: their progress on one line of a
 * terminal, then how each ended. */
#pragma once

#include <jansson.h>

#include "cli/connect.h"
#include "cli/terminal.h"

struct operations {
        struct terminal terminal; /* to be read before */
        json_t *ends;             /* with --json: an object for each end; NULL: lines; borrowed */
        unsigned done, part, failed, unreachable;
        bool out_of_memory;
};

/* For session_call: takes a FleetOperation. userdata is struct operations. */
void operations_on_message(const ProtobufCMessage *message, void *userdata);

/* The exit code: 0 all done, 3 some, or one in part; 5 none could be begun for want of its host, else 1. */
int operations_exit(const struct operations *operations);

/* The exit code of an ended call. One that was left or lost before its end goes on at its host, which is said
 * with the command that shows it ("muster pm2 diff apps"); CLI_PART then. */
int operations_ending(const struct ending *ending, const char *look);

/* A whole command that takes [SCOPE] and --json: "pm2 save" by the method Pm2Save, whose request is request,
 * of which *scope is set. on_message is operations_on_message or calls it. look: as above, without a scope.
 */
int operations_command(const struct cli *cli, int argc, char **argv, const char *command, const char *method,
                       const ProtobufCMessage *request, char **scope,
                       void (*on_message)(const ProtobufCMessage *message, void *userdata), const char *look);
