/* Joining a fleet: the line that `muster host invite` printed, used once. */
#pragma once

#include "common/base/error.h"
#include "common/rpc/rpc.h"

struct join_line {
        char host[RPC_NAME_SIZE];
        char address[256]; /* host:port of the controller */
        uint8_t controller[NOISE_KEY_SIZE];
        uint8_t token[RPC_TOKEN_SIZE];
};

/* "muster-join:1:HOST:ADDRESS:KEY:TOKEN"; ADDRESS may hold colons. -EINVAL with what is wrong. */
int join_line_parse(struct join_line *ret, const char *line, struct error *error);

/* Makes this host's key (or takes the one FOLDER has), shows the token to the controller and, when admitted,
 * writes FOLDER/identity. Blocks until done. Returns 0, -EACCES when refused, -EHOSTUNREACH, or another
 * failure; nothing but the key is left behind then, and a later line works. */
int join_fleet(const struct join_line *line, const char *folder, struct error *error);
