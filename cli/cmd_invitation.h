/* Inviting, of hosts and of people: the line that the controller made, shown once. */
#pragma once

#include <stdbool.h>

#include "cli/command.h"
#include "common/rpc/rpc.h"

/* What tells hosts and people apart. request is the method's, name and address the fields of it that the
 * command line fills in. */
struct invitation {
        const char *command, *word; /* "host invite", "HOST" */
        const char *reaches;        /* of --address: "under which that host reaches the controller" */
        const char *method;
        const ProtobufCMessage *request;
        char **name, **address;
        enum rpc_role role;
        const char *before, *behind; /* the name, where it is used: "on", ""; "where", " sits" */
        const char *use;             /* "muster-agent join LINE" */
};

/* Reads the command line and calls the method, which answers with an InviteReply: the line alone to stdout,
 * so that a script can hand it on; to stderr where and until when it works: "on db1, once, until …:
 * muster-agent join LINE". The exit code. */
int invitation_command(const struct cli *cli, int argc, char **argv, const struct invitation *invitation);

struct revocation {
        const char *command, *word; /* "host revoke", "HOST" */
        const char *method;
        const ProtobufCMessage *request;
        char **name;
        const char *done, *again, *effect; /* "may no longer connect", "host invite", "lets it join again" */
};
/* The exit code. */
int revocation_command(const struct cli *cli, int argc, char **argv, const struct revocation *revocation);

/* Whether an address leads nowhere from another machine: a loopback, or every address of this one. */
bool invitation_is_local(const char *address);
