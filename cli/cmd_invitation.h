/* Inviting, of hosts and of people: the line that the controller made, shown once. */
#pragma once

#include <stdbool.h>

#include "cli/command.h"
#include "common/rpc/rpc.h"

/* address is what --address said, or NULL: refused here if it is none. Calls the method, which answers with
 * an InviteReply: the line alone to stdout, so that a script can hand it on; to stderr where and until when
 * it works: "on db1, once, until …: muster-agent join LINE" of where "on db1" and use "muster-agent join
 * LINE". The exit code. */
int invitation_show(const struct cli *cli, const char *method, const ProtobufCMessage *request, bool json,
                    enum rpc_role role, const char *address, const char *where, const char *use);

/* Whether an address leads nowhere from another machine: a loopback, or every address of this one. */
bool invitation_is_local(const char *address);
