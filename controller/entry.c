/* See entry.h. */
#include "controller/entry.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/settings.h"

#define ADMIN "admin"

/* One key, one name: the same host may join anew, another may not take its key. A store that fails says so in
 * ret_code. */
static bool is_other(struct entry *entry, const uint8_t *key, const struct store_key *wanted,
                     struct store_key *ret_known, int *ret_code)
{
        int r = store_key_find(entry->store, key, ret_known);

        *ret_code = r == -ENOENT ? 0 : r;
        return r == 0 && (ret_known->role != wanted->role || !text_equal(ret_known->name, wanted->name));
}

/* A join that is refused leaves the invitation as it was: looked at first, used up last. */
static enum rpc_status take_invitation(struct entry *entry, enum rpc_role role, const uint8_t *key,
                                       const uint8_t *token, char ret_name[RPC_NAME_SIZE],
                                       struct error *error)
{
        struct store_key added = {.role = role, .added_us = time_realtime_us()}, known;
        uint8_t hash[crypto_hash_sha256_BYTES];
        int r;

        crypto_hash_sha256(hash, token, RPC_TOKEN_SIZE);
        r = store_invite_find(entry->store, role, hash, added.added_us, added.name);
        if (r == 0 && is_other(entry, key, &added, &known, &r)) {
                error_set(error, 0, "this key has joined already, as %s; it cannot also be %s", known.name,
                          added.name);
                return RPC_ALREADY_EXISTS;
        }
        /* An expired one goes, too. */
        if (r == 0 || r == -ETIME)
                r = store_invite_take(entry->store, role, hash, added.added_us, added.name);
        if (r == -ENOENT || r == -ETIME) {
                error_set(error, 0, "the invitation %s; make a new one with `muster %s`",
                          r == -ETIME ? "has expired" : "is unknown or was used before",
                          role == RPC_USER ? "user add" : "host invite");
                return RPC_UNAUTHENTICATED;
        }
        memcpy(added.key, key, sizeof(added.key));
        if (r == 0)
                r = store_key_put(entry->store, &added);
        if (r == 0)
                r = store_audit_add(entry->store, added.added_us, added.name, "join",
                                    role == RPC_USER ? "as a user, with an invitation"
                                                     : "as a host, with an invitation");
        if (r < 0) {
                error_set(error, 0, "the controller's store failed");
                return RPC_INTERNAL;
        }
        log_info("%s joined", added.name);
        return text_copy(ret_name, RPC_NAME_SIZE, added.name) < 0 ? RPC_INTERNAL : RPC_OK;
}

enum rpc_status entry_admit(struct entry *entry, enum rpc_role role, const uint8_t key[NOISE_KEY_SIZE],
                            const uint8_t *token, char ret_name[RPC_NAME_SIZE], struct error *error)
{
        struct store_key known;
        int r;

        if (token)
                return take_invitation(entry, role, key, token, ret_name, error);
        r = store_key_find(entry->store, key, &known);
        if (r < 0 && r != -ENOENT) {
                error_set(error, 0, "the controller's store failed");
                return RPC_INTERNAL;
        }
        if (r == -ENOENT || known.role != role) {
                error_set(error, 0, "this key is not known here; join again with an invitation");
                return RPC_UNAUTHENTICATED;
        }
        if (role == RPC_AGENT && fleet_host_find(entry->fleet, known.name) < 0) {
                error_set(error, 0, "host %s is not in the fleet file", known.name);
                return RPC_PERMISSION_DENIED;
        }
        text_copy(ret_name, RPC_NAME_SIZE, known.name);
        return RPC_OK;
}

/* The settings may name another address than at the first start. What cannot be read is left alone: it is a
 * person's to look at, and no reason for the fleet to be without its controller. */
static int keep_address(const char *path, const char *address, struct error *error)
{
        struct identity identity = {0};
        struct error why = {0};
        int r = identity_read(&identity, path, &why);

        if (r < 0) {
                log_warning("the admin's identity is left as it is: %s", error_text(&why, r));
                r = 0;
        } else if (!text_equal(identity.address, address)) {
                r = TEXT_COPY(identity.address, address);
                if (r == 0)
                        r = identity_write(&identity, path, error);
                if (r == 0)
                        log_info("the admin's identity names the new address, %s: %s", address, path);
        }
        sodium_memzero(&identity, sizeof(identity));
        return r < 0 ? error_prefix(error, r, "cannot write the admin's identity %s", path) : 0;
}

int entry_make_admin(struct entry *entry, const char *folder, const char *address,
                     const uint8_t controller[NOISE_KEY_SIZE], struct error *error)
{
        struct store_key admin = {.name = ADMIN, .role = RPC_USER, .added_us = time_realtime_us()};
        struct identity identity = {0};
        struct noise_keypair key;
        char path[PATH_SIZE + 16];
        int r;

        snprintf(path, sizeof(path), "%s/" ADMIN, folder);
        if (store_key_named(entry->store, RPC_USER, ADMIN, &admin) == 0 && access(path, F_OK) == 0)
                return keep_address(path, address, error);
        randombytes_buf(identity.secret, sizeof(identity.secret));
        r = noise_keypair_from_secret(&key, identity.secret);
        if (r < 0)
                return r;
        memcpy(identity.controller, controller, sizeof(identity.controller));
        memcpy(admin.key, key.public, sizeof(admin.key));
        r = TEXT_COPY(identity.address, address);
        if (r == 0)
                r = store_key_put(entry->store, &admin);
        if (r == 0)
                r = store_audit_add(entry->store, admin.added_us, ADMIN, "user-add",
                                    "made at the first start");
        if (r == 0)
                r = store_commit(entry->store, error);
        if (r == 0)
                r = identity_write(&identity, path, error);
        sodium_memzero(&identity, sizeof(identity));
        sodium_memzero(&key, sizeof(key));
        if (r < 0)
                return error_prefix(error, r, "cannot make the admin's identity %s", path);
        log_info("made the identity of user %s: %s", ADMIN, path);
        return 0;
}
