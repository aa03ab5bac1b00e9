/* AddUser, Users, RevokeUser: people are keys with names. Each may do everything; the audit trail says who
 * did. */
#include <errno.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "controller/api/handlers.h"

#define USERS_MOST 10000u

void api_add_user(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__AddUserRequest *wanted = (const Muster__V1__AddUserRequest *)request;
        const struct api_context *context = userdata;
        struct store_key known;
        int r;

        if (!text_is_name(wanted->user)) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "that is not a user's name: letters, digits, '.', '_' and '-', 63 at most");
                return;
        }
        r = store_key_named(context->store, RPC_USER, wanted->user, &known);
        if (r == 0)
                rpc_call_end(call, RPC_ALREADY_EXISTS,
                             "there is a user %s already; a new key for them: first muster user revoke %s",
                             wanted->user, wanted->user);
        else if (r != -ENOENT)
                api_fail(call, "the users cannot be read", r);
        else
                api_invitation(context, call, RPC_USER, wanted->user, wanted->address);
}

struct listing {
        const struct api_context *context;
        struct wire_arena arena;
        Muster__V1__UsersReply reply;
};

static int count_user(const struct store_key *key, void *userdata)
{
        size_t *count = userdata;

        *count += key->role == RPC_USER && *count < USERS_MOST;
        return 0;
}

static int add_user(const struct store_key *key, void *userdata)
{
        struct listing *listing = userdata;
        Muster__V1__User *user;

        if (key->role != RPC_USER || listing->reply.n_users == USERS_MOST)
                return 0;
        user = wire_alloc(&listing->arena, sizeof(*user));
        if (!user)
                return -ENOMEM;
        muster__v1__user__init(user);
        user->name = wire_text(&listing->arena, key->name);
        user->added_us = key->added_us;
        user->links = (uint32_t)rpc_node_links(listing->context->node, key->key);
        listing->reply.users[listing->reply.n_users++] = user;
        return 0;
}

void api_users(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        struct listing listing = {.context = userdata, .reply = MUSTER__V1__USERS_REPLY__INIT};
        size_t count = 0;
        int r = store_key_list(listing.context->store, count_user, &count);

        if (r == 0) {
                listing.reply.users = wire_alloc(&listing.arena, (count + 1) * sizeof(*listing.reply.users));
                r = listing.reply.users ? store_key_list(listing.context->store, add_user, &listing)
                                        : -ENOMEM;
        }
        if (r < 0) {
                wire_arena_clear(&listing.arena);
                api_fail(call, "the users cannot be read", r);
                return;
        }
        api_reply(call, &listing.arena, &listing.reply.base);
}

void api_revoke_user(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__RevokeUserRequest *wanted = (const Muster__V1__RevokeUserRequest *)request;
        const struct api_context *context = userdata;
        Muster__V1__RevokeUserReply reply = MUSTER__V1__REVOKE_USER_REPLY__INIT;
        struct store_key known;
        bool is_name = text_is_name(wanted->user);
        int key = is_name ? store_key_named(context->store, RPC_USER, wanted->user, &known) : -ENOENT;
        int invitation;

        /* Whoever revokes stays: there is always somebody left who can let others in. */
        if (key == 0 && text_equal(rpc_peer_name(rpc_call_peer(call)), wanted->user)) {
                rpc_call_end(call, RPC_FAILED_PRECONDITION, "that is you; another user has to revoke %s",
                             wanted->user);
                return;
        }
        if (key == 0)
                key = store_key_remove(context->store, RPC_USER, wanted->user);
        invitation = is_name ? store_invite_void(context->store, RPC_USER, wanted->user) : -ENOENT;
        if (key == -ENOENT && invitation == -ENOENT) {
                rpc_call_end(call, RPC_NOT_FOUND, "there is no user '%s'; muster user ls", wanted->user);
                return;
        }
        if ((key < 0 && key != -ENOENT) || (invitation < 0 && invitation != -ENOENT)) {
                api_fail(call, "the key cannot be removed", key < 0 && key != -ENOENT ? key : invitation);
                return;
        }
        if (key == 0)
                rpc_node_close_key(context->node, known.key, "its key was revoked");
        if (!api_record(context, call, "revoke", "user %s", wanted->user))
                return;
        log_info("user %s was revoked by %s", wanted->user, rpc_peer_name(rpc_call_peer(call)));
        rpc_call_reply(call, &reply.base);
}
