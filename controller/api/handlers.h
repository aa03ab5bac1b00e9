/* Inside the room: the handlers that the table lists, and what they share. */
#pragma once

#include "common/model/scope.h"
#include "common/rpc/wire.h"
#include "controller/api/api.h"

/* Each ends the call, now or later; userdata is the struct api_context. */
void api_status(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_watch(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_check(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_plan(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_start_run(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_runs(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_watch_run(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_steer(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_exec(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_report(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_invite(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_revoke(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_audit(rpc_call *call, const ProtobufCMessage *request, void *userdata);

/* --- helpers.c --- */

/* Reads a SCOPE, or ends the call with INVALID_ARGUMENT and the reason. ret must be zeroed. */
bool api_scope(const struct api_context *context, rpc_call *call, const char *text, struct scope *ret);

/* An entry in the audit trail under the caller's name. A store that fails ends the call with INTERNAL: what
 * is not on record is not done. */
bool api_record(const struct api_context *context, rpc_call *call, const char *action, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* Ends the call for a store or an allocation that failed. */
void api_fail(rpc_call *call, const char *what, int code);

/* Sends the answer that was built on the arena (message NULL or the arena failed: RESOURCE_EXHAUSTED) and
 * clears the arena. */
void api_reply(rpc_call *call, struct wire_arena *arena, const ProtobufCMessage *message);

/* The scope as it is said in texts: "the whole fleet" for an empty one. */
const char *api_scope_name(const char *text);

/* --- status.c --- */

/* Told of each host that came, went or has a newer state; agents.h knows no end to listening, calls have one.
 */
struct api_listener {
        struct api_listener *next; /* not the listener's to touch */
        void (*news)(size_t host, void *userdata);
        void *userdata;
};
/* The listener is borrowed until api_unlisten, which it may call for itself from within news. */
void api_listen(const struct api_context *context, struct api_listener *listener);
void api_unlisten(const struct api_context *context, struct api_listener *listener);

/* --- repair.c --- */

/* Repairs what can be repaired of the findings, as far as the caller is still there, tells what was done and
 * what remains, and ends the call. Takes scope and findings (zeroed, NULL after). */
void api_repair(struct api_context *context, rpc_call *call, struct scope *scope, struct finding **findings,
                size_t count);

/* --- check.c --- */

/* Checks the scope with what is known now. 0, -ENOMEM or the store's error. The caller frees *ret. */
int api_check_run(const struct api_context *context, const struct scope *scope, struct finding **ret,
                  size_t *ret_count);
/* Sends one update; repair NULL: none. -ENOBUFS, -ENOMEM. */
int api_check_send(rpc_call *call, const struct finding *finding, const char *repair, bool failed,
                   bool remaining);

/* --- facts.c --- */

/* What the plan and the checks are made from, as the controller knows it now. */
struct api_facts {
        struct plan_host_fact *hosts; /* owned */
        struct plan_rate *rates;      /* owned */
        struct plan_facts facts;
};
/* -ENOMEM or the store's error; ret then owns nothing. */
int api_facts_get(const struct api_context *context, struct api_facts *ret);
void api_facts_clear(struct api_facts *facts);
