/* Inside the room: the handlers that the table lists, and what they share. */
#pragma once

#include "common/base/time.h"
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
void api_add_user(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_users(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_revoke_user(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_audit(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_pm2_diff(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_pm2_snapshots(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_pm2_save(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_redis_rewrite(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_pm2_restore(rpc_call *call, const ProtobufCMessage *request, void *userdata);
void api_audit_verify(rpc_call *call, const ProtobufCMessage *request, void *userdata);

/* --- helpers.c --- */

/* Reads a SCOPE, or ends the call with INVALID_ARGUMENT and the reason. ret must be zeroed. */
bool api_scope(const struct api_context *context, rpc_call *call, const char *text, struct scope *ret);

/* As api_scope; a scope without a service of the kind ends the call too. */
bool api_scope_of(const struct api_context *context, rpc_call *call, const char *text, enum service_kind kind,
                  struct scope *ret);

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

/* --- invite.c --- */

/* Makes an invitation for a host or a user, on record, and answers with its line, or ends the call with what
 * is wrong. wanted: the address it is to name; "" as the settings say. */
void api_invitation(const struct api_context *context, rpc_call *call, enum rpc_role role, const char *name,
                    const char *wanted);

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

/* --- release.c --- */

/* From now on releases what no run holds back any more. */
struct api_releases;
int api_releases_new(struct api_releases **ret, struct api_context *context);
struct api_releases *api_releases_free(struct api_releases *releases);

/* --- ask.c --- */

/* One question to the agents of all services of a kind in scope, at once. */
struct api_asking {
        const char *method; /* of the Agent service; unary */
        uint64_t deadline_us;
        /* The question to one service. NULL with arena->failed if memory is out. */
        const ProtobufCMessage *(*question)(struct wire_arena *arena, const struct fleet_service *service,
                                            void *userdata);
        /* Once a service, as it comes; reply NULL: there is none, code and text say why. */
        void (*answer)(const struct fleet_service *service, const ProtobufCMessage *reply,
                       enum rpc_status code, const char *text, void *userdata);
        /* After the last answer, once; perhaps from within api_ask. The asking is gone. */
        void (*done)(void *userdata);
        void *userdata;
};
struct api_ask; /* a question under way */

/* -ENOMEM: nothing was asked. *ret is NULL when done has been called already. asking is copied. */
int api_ask(struct api_ask **ret, const struct api_context *context, const struct scope *scope,
            enum service_kind kind, const struct api_asking *asking);
/* Nobody wants to know any more: neither answer nor done come. */
struct api_ask *api_ask_free(struct api_ask *ask);

/* --- operate.c --- */

struct batch_work;
struct api_operating {
        const char *action; /* in the audit trail: "pm2 save" */
        const char *look;   /* the command that shows what is, for a caller that could not be told */
        /* Adds to what is told of a work's end; or NULL. */
        void (*note)(size_t work, const struct operation_report *report, Muster__V1__FleetOperation *message,
                     void *userdata);
        void *userdata; /* freed at the end */
};
/* Does the works (taken, with how's userdata) as a batch and tells the caller. */
void api_operate(struct api_context *context, rpc_call *call, struct batch_work *works, size_t count,
                 const struct api_operating *how);
/* One work for each service in scope that the operation is for. The caller frees *ret; NULL: out of memory.
 */
size_t api_works(const struct api_context *context, const struct scope *scope, enum operation_kind kind,
                 const char *why, struct batch_work **ret);

/* --- pm2_looks.c --- */

/* How the PM2 homes in scope stand to their last snapshots and to PM2's own dumps, for the checks. */
struct api_pm2_looks;
/* done comes exactly once, after API_LOOK_US at most; facts, by the fleet's services, are then its own to
 * free. *ret is NULL if it came already. -ENOMEM: it does not come. */
int api_pm2_looks(struct api_pm2_looks **ret, const struct api_context *context, const struct scope *scope,
                  void (*done)(struct plan_pm2_look *facts, void *userdata), void *userdata);
/* done does not come any more. NULL is fine. */
struct api_pm2_looks *api_pm2_looks_leave(struct api_pm2_looks *looks);

/* --- repair.c --- */

/* Repairs what can be repaired of the findings, as far as the caller is still there, tells what was done and
 * what remains, and ends the call. Takes scope, findings and pm2 (zeroed, NULL after); pm2 is what was seen
 * of PM2 homes, which no repair touches. */
void api_repair(struct api_context *context, rpc_call *call, struct scope *scope, struct finding **findings,
                size_t count, struct plan_pm2_look **pm2);

/* --- check.c --- */

/* Checks the scope with what is known now. late: hosts that did not look anew; NULL: none. pm2: of
 * api_pm2_looks; NULL: nobody looked. 0, -ENOMEM or the store's error. The caller frees *ret. */
int api_check_run(const struct api_context *context, const struct scope *scope, const bool *late,
                  const struct plan_pm2_look *pm2, struct finding **ret, size_t *ret_count);
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
