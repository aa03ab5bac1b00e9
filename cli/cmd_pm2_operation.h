/* Operations on PM2 homes, followed: their progress on one line of a terminal, then how each ended. */
#pragma once

#include <jansson.h>

#include "cli/connect.h"
#include "cli/terminal.h"

struct pm2_operations {
        struct terminal terminal; /* to be read before */
        json_t *ends;             /* with --json: an object for each end; NULL: lines; borrowed */
        unsigned done, part, failed, unreachable;
        bool out_of_memory;
};

/* For session_call: takes a FleetOperation. userdata is struct pm2_operations. */
void pm2_on_operation(const ProtobufCMessage *message, void *userdata);

/* The exit code: 0 all done, 3 some, or one in part; 5 none could be begun for want of its host, else 1. */
int pm2_operations_exit(const struct pm2_operations *operations);

/* The call was left or lost before its end. Says so, and what to look at. The exit code; CLI_DONE if it was
 * not. */
int pm2_left(const struct ending *ending, const char *scope);
