/* Invite and Revoke: who may connect. A token is shown once and kept only as its hash. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/settings.h"
#include "controller/api/handlers.h"

#define INVITATION_US (3600 * USEC_PER_SEC)

static bool host_known(const struct api_context *context, rpc_call *call, const char *host)
{
        if (fleet_host_find(context->fleet, host) >= 0)
                return true;
        rpc_call_end(
                call, RPC_NOT_FOUND,
                "fleet %s has no host '%s'; hosts are named in the fleet file, which the controller reads at "
                "its start",
                context->fleet->name, host);
        return false;
}

/* HOST:PORT in plain characters, so that the line stays one word. */
static bool is_address(const char *address)
{
        const char *colon = strrchr(address, ':');
        size_t length = strlen(address);

        return colon && colon > address && colon[1] && length < SETTINGS_ENDPOINT_SIZE &&
               strspn(address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:[]-_%") ==
                       length;
}

/* The address for the line; NULL: the call has been ended. One that means "every address of this machine"
 * leads nowhere from another. */
static const char *find_address(const struct api_context *context, rpc_call *call, const char *wanted)
{
        const char *address = wanted[0] ? wanted : context->advertised_address;

        if (wanted[0] && !is_address(wanted)) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "that is not an address; write HOST:PORT");
                return NULL;
        }
        if (!text_starts(address, "0.0.0.0:") && !text_starts(address, "[::]:"))
                return address;
        rpc_call_end(call, RPC_FAILED_PRECONDITION,
                     "an invitation to %s leads nowhere: name the address by which the host reaches this "
                     "controller, with --address HOST:PORT, or for all invitations with 'advertise' in the "
                     "controller's settings (muster-controller --advertise HOST:PORT)",
                     address);
        return NULL;
}

void api_invite(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__InviteRequest *wanted = (const Muster__V1__InviteRequest *)request;
        const struct api_context *context = userdata;
        Muster__V1__InviteReply reply = MUSTER__V1__INVITE_REPLY__INIT;
        char token_hex[2 * RPC_TOKEN_SIZE + 1], key_hex[2 * NOISE_KEY_SIZE + 1], line[1024];
        uint8_t token[RPC_TOKEN_SIZE], hash[crypto_hash_sha256_BYTES];
        const char *address;
        int r;

        if (!host_known(context, call, wanted->host))
                return;
        address = find_address(context, call, wanted->address);
        if (!address)
                return;
        randombytes_buf(token, sizeof(token));
        crypto_hash_sha256(hash, token, sizeof(token));
        reply.expires_us = time_realtime_us() + INVITATION_US;
        r = store_invite_put(context->store, RPC_AGENT, wanted->host, hash, reply.expires_us);
        if (r < 0) {
                api_fail(call, "the invitation cannot be kept", r);
        } else if (api_record(context, call, "invite", "host %s, for one hour", wanted->host)) {
                text_hex(token_hex, token, sizeof(token));
                text_hex(key_hex, context->controller_public_key, NOISE_KEY_SIZE);
                snprintf(line, sizeof(line), "muster-join:1:%s:%s:%s:%s", wanted->host, address, key_hex,
                         token_hex);
                log_info("host %s was invited by %s", wanted->host, rpc_peer_name(rpc_call_peer(call)));
                reply.line = line;
                rpc_call_reply(call, &reply.base);
                sodium_memzero(token_hex, sizeof(token_hex));
                sodium_memzero(line, sizeof(line));
        }
        sodium_memzero(token, sizeof(token));
}

/* An invitation that nobody can use takes the place of one that is out. */
static int void_invitation(const struct api_context *context, const char *host)
{
        uint8_t nobody[crypto_hash_sha256_BYTES];

        randombytes_buf(nobody, sizeof(nobody));
        return store_invite_put(context->store, RPC_AGENT, host, nobody, 1);
}

void api_revoke(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__RevokeRequest *wanted = (const Muster__V1__RevokeRequest *)request;
        const struct api_context *context = userdata;
        Muster__V1__RevokeReply reply = MUSTER__V1__REVOKE_REPLY__INIT;
        int r;

        /* A host that left the fleet file may still have its key. */
        r = text_is_name(wanted->host) ? store_key_remove(context->store, RPC_AGENT, wanted->host) : -ENOENT;
        if (r == -ENOENT) {
                rpc_call_end(call, RPC_NOT_FOUND, "no host '%s' has joined; muster host ls", wanted->host);
                return;
        }
        if (r == 0)
                r = void_invitation(context, wanted->host);
        if (r < 0) {
                api_fail(call, "the key cannot be removed", r);
                return;
        }
        if (!api_record(context, call, "revoke", "host %s", wanted->host))
                return;
        log_info("host %s was revoked by %s", wanted->host, rpc_peer_name(rpc_call_peer(call)));
        agents_close(context->agents, wanted->host, "its key was revoked");
        rpc_call_reply(call, &reply.base);
}
