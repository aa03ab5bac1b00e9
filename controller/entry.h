/* Who may connect to the controller: known keys, and invitations used once. */
#pragma once

#include "common/model/fleet.h"
#include "common/rpc/rpc.h"
#include "controller/store/store.h"

struct entry {
        store *store;              /* borrowed */
        const struct fleet *fleet; /* borrowed */
};

/* The node's admit event. A token is taken and the key stored in the same transaction, which the node commits
 * before the answer leaves. */
enum rpc_status entry_admit(struct entry *entry, enum rpc_role role, const uint8_t key[NOISE_KEY_SIZE],
                            const uint8_t *token, char ret_name[RPC_NAME_SIZE], struct error *error);

/* At the first start: a user "admin" whose identity file FOLDER/admin (0600) is what the `muster` command on
 * this machine uses. While the file is there and its key is known, only the address in it is kept up to date.
 */
int entry_make_admin(struct entry *entry, const char *folder, const char *address,
                     const uint8_t controller[NOISE_KEY_SIZE], struct error *error);
