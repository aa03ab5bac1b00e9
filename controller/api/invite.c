/* Invite and Revoke: who may connect. A token is shown once and kept only as its hash. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/value.h"
#include "common/rpc/join.h"
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

/* The address for the line; NULL: the call has been ended. One that means "every address of this machine"
 * leads nowhere from another. */
static const char *find_address(const struct api_context *context, rpc_call *call, const char *wanted)
{
        const char *address = wanted[0] ? wanted : context->advertised_address;

        if (wanted[0] && !conf_is_endpoint(wanted)) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "that is not an address; write HOST:PORT, or [IPV6]:PORT");
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

void api_invitation(const struct api_context *context, rpc_call *call, enum rpc_role role, const char *name,
                    const char *wanted)
{
        Muster__V1__InviteReply reply = MUSTER__V1__INVITE_REPLY__INIT;
        const char *who = role == RPC_USER ? "user" : "host", *address = find_address(context, call, wanted);
        struct join_line line = {.role = role};
        uint8_t hash[crypto_hash_sha256_BYTES];
        char text[JOIN_LINE_SIZE];
        int r;

        if (!address)
                return;
        randombytes_buf(line.token, sizeof(line.token));
        crypto_hash_sha256(hash, line.token, sizeof(line.token));
        memcpy(line.controller, context->controller_public_key, sizeof(line.controller));
        reply.expires_us = time_realtime_us() + INVITATION_US;
        reply.line = text;
        r = TEXT_COPY(line.name, name);
        if (r == 0)
                r = TEXT_COPY(line.address, address);
        if (r == 0)
                r = join_line_format(&line, text, sizeof(text));
        if (r == 0)
                r = store_invite_put(context->store, role, name, hash, reply.expires_us);
        if (r < 0) {
                api_fail(call, "the invitation cannot be made", r);
        } else if (api_record(context, call, "invite", "%s %s, for one hour", who, name)) {
                log_info("%s %s was invited by %s", who, name, rpc_peer_name(rpc_call_peer(call)));
                rpc_call_reply(call, &reply.base);
        }
        sodium_memzero(text, sizeof(text));
        sodium_memzero(&line, sizeof(line));
}

void api_invite(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__InviteRequest *wanted = (const Muster__V1__InviteRequest *)request;
        const struct api_context *context = userdata;

        if (host_known(context, call, wanted->host))
                api_invitation(context, call, RPC_AGENT, wanted->host, wanted->address);
}

void api_revoke(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__RevokeRequest *wanted = (const Muster__V1__RevokeRequest *)request;
        const struct api_context *context = userdata;
        Muster__V1__RevokeReply reply = MUSTER__V1__REVOKE_REPLY__INIT;
        bool is_name = text_is_name(wanted->host);
        /* A host that left the fleet file may still have its key; one that has none yet, an invitation. */
        int key = is_name ? store_key_remove(context->store, RPC_AGENT, wanted->host) : -ENOENT;
        int invitation = is_name ? store_invite_void(context->store, RPC_AGENT, wanted->host) : -ENOENT;

        if (key == -ENOENT && invitation == -ENOENT) {
                rpc_call_end(call, RPC_NOT_FOUND, "no host '%s' has joined or was invited; muster host ls",
                             wanted->host);
                return;
        }
        if ((key < 0 && key != -ENOENT) || (invitation < 0 && invitation != -ENOENT)) {
                api_fail(call, "the key cannot be removed", key < 0 && key != -ENOENT ? key : invitation);
                return;
        }
        agents_close(context->agents, wanted->host, "its key was revoked");
        if (!api_record(context, call, "revoke", "host %s", wanted->host))
                return;
        log_info("host %s was revoked by %s", wanted->host, rpc_peer_name(rpc_call_peer(call)));
        rpc_call_reply(call, &reply.base);
}
