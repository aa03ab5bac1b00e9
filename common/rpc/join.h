/* Joining: a line that was printed on the controller's side, used once on the joining side. The line of a
 * host is "muster-join:1:NAME:ADDRESS:KEY:TOKEN", that of a person "muster-user:1:…"; ADDRESS may hold
 * colons. */
#pragma once

#include "common/base/error.h"
#include "common/conf/settings.h"
#include "common/rpc/rpc.h"

#define JOIN_LINE_SIZE 1024u

struct join_line {
        enum rpc_role role; /* RPC_AGENT or RPC_USER */
        char name[RPC_NAME_SIZE];
        char address[256]; /* host:port of the controller */
        uint8_t controller[NOISE_KEY_SIZE];
        uint8_t token[RPC_TOKEN_SIZE];
};

/* -EMSGSIZE when it does not fit. The text holds the token: overwrite it after use. */
int join_line_format(const struct join_line *line, char *out, size_t size);
/* A line for that role, or -EINVAL with what is wrong and the command that makes a good one. */
int join_line_parse(struct join_line *ret, enum rpc_role role, const char *text, struct error *error);

/* Makes the key at FOLDER/key (or takes the one that is there), shows the token to the controller and, when
 * admitted, writes FOLDER/identity. Blocks until done, 15 s at most. 0, -EACCES when refused, -EHOSTUNREACH,
 * or another failure; nothing but the key is left behind then, and a later line works. */
int join_with_line(const struct join_line *line, const char *folder, struct error *error);
