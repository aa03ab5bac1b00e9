/* AuditVerify: the chain over the audit trail, recomputed some entries a turn, so that a long trail keeps
 * nobody waiting. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "controller/api/handlers.h"

#define ENTRIES_A_TURN 500u

struct verifying {
        const struct api_context *context;
        rpc_call *call;
        sd_event_source *source; /* owned */
        struct store_audit_chain chain;
};

static void verifying_free(struct verifying *verifying)
{
        sd_event_source_disable_unref(verifying->source);
        free(verifying);
}

static void on_gone(rpc_call *call, void *userdata)
{
        verifying_free(userdata);
}

static int on_turn(sd_event_source *source, void *userdata)
{
        struct verifying *verifying = userdata;
        Muster__V1__AuditVerifyReply reply = MUSTER__V1__AUDIT_VERIFY_REPLY__INIT;
        rpc_call *call = verifying->call;
        int r = store_audit_verify(verifying->context->store, &verifying->chain, ENTRIES_A_TURN);

        if (r > 0)
                return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        rpc_call_watch(call, NULL, NULL, NULL);
        if (r < 0 && !verifying->chain.bad) {
                api_fail(call, "the audit trail cannot be read", r);
        } else {
                reply.entries = verifying->chain.entries;
                reply.hash.data = verifying->chain.hash;
                reply.hash.len = sizeof(verifying->chain.hash);
                reply.bad = verifying->chain.bad;
                rpc_call_reply(call, &reply.base);
        }
        verifying_free(verifying);
        return 0;
}

void api_audit_verify(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__AuditVerifyRequest *wanted = (const Muster__V1__AuditVerifyRequest *)request;
        const struct api_context *context = userdata;
        struct verifying *verifying;
        int r;

        if (wanted->known_hash.len != (wanted->known_number ? sizeof(verifying->chain.known_hash) : 0)) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "a known entry is its number and its hash of 32 bytes");
                return;
        }
        verifying = calloc(1, sizeof(*verifying));
        r = verifying ? sd_event_add_defer(context->event, &verifying->source, on_turn, verifying) : -ENOMEM;
        if (r < 0) {
                free(verifying);
                api_fail(call, "the audit trail cannot be verified", r);
                return;
        }
        verifying->context = context;
        verifying->call = call;
        verifying->chain.known = wanted->known_number;
        if (wanted->known_number)
                memcpy(verifying->chain.known_hash, wanted->known_hash.data, wanted->known_hash.len);
        rpc_call_watch(call, on_gone, NULL, verifying);
}
