/* A session with the controller: one link, dialled once with the user's identity, and calls over it, one
 * at a time. The session's loop runs inside these functions and nowhere else, so a command reads from top to
 * bottom. Ctrl-C ends the call under way, not the program: the command decides what that means. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "cli/command.h"
#include "common/rpc/rpc.h"

typedef struct session session;

/* How a call ended. */
struct ending {
        enum rpc_status code;
        char text[ERROR_TEXT_SIZE];
        bool interrupted; /* SIGINT or SIGTERM came; code is RPC_CANCELLED */
        bool stopped;     /* session_stop(); code is RPC_OK */
};

/* Reads the identity (cli->identity, or the first of the usual places that is there), dials, waits at most
 * 5 s for the answer. Prints what went wrong; *ret_exit is then the exit code and false is returned. */
bool session_open(session **ret, const struct cli *cli, int *ret_exit);
session *session_free(session *session);

/* Dials again after the link was lost; waits at most wait_us for it. 0, -ETIME, -EINTR (a signal came) or
 * -EACCES (refused), with a text. */
int session_reopen(session *session, uint64_t wait_us, struct error *error);

/* Calls a method of the Fleet service and runs the loop until the call has ended. deadline_us 0: none.
 * on_message gets each message of the answer; it is valid during the callback only. */
void session_call(session *session, const char *method, const ProtobufCMessage *request, uint64_t deadline_us,
                  void (*on_message)(const ProtobufCMessage *message, void *userdata), void *userdata,
                  struct ending *ret);
/* From on_message: enough has been seen, end the call. */
void session_stop(session *session);

/* One line from stdin (without its end, cut at size) while the link stays alive. 0, -EINTR, -ENODATA at its
 * end, -ENOTCONN when the link went down. */
int session_read_line(session *session, char *line, size_t size);

/* Unless the call ended well: prints why. The exit code that fits the ending. */
int ending_exit(const struct ending *ending);

#define CALL_DEADLINE_US (30 * 1000000ull) /* for calls that answer from what the controller knows */

static inline void session_freep(session **s)
{
        session_free(*s);
}
