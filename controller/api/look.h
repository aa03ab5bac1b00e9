/* Has hosts look at everything anew, all at once, so that what is then said of them is of now. */
#pragma once

#include "controller/api/handlers.h"

#define API_LOOK_US (5 * USEC_PER_SEC)

/* What a call asked for, and what came of the look. All is freed when go_on has returned; it may take scope
 * and pm2, and zeroes them then. */
struct api_looked {
        struct api_context *context;
        rpc_call *call;
        ProtobufCMessage *request; /* a copy */
        struct scope scope;
        const bool *late;          /* by the fleet's hosts: connected, and did not answer */
        struct plan_pm2_look *pm2; /* of api_pm2_looks; NULL: not asked for, or not known */
};

struct api_looking {
        const char *failure; /* what a call is told that cannot even be begun: "no plan can be made" */
        bool pm2;            /* PM2 homes are compared with what was saved, too */
        void (*go_on)(struct api_looked *looked); /* ends the call, or has somebody watch it who will */
};

/* All connected hosts in scope look anew; go_on comes once, after API_LOOK_US at most, also if not all have
 * answered; perhaps from within. It does not come if the call is ended here, with the reason (the scope is
 * none, memory is out), or if the caller cancels or its link goes down: then what was kept for it is freed at
 * once, the little that counts the answers with the last of them, and the hosts look all the same. request is
 * copied, scope is read; how is borrowed until go_on has returned. */
void api_look_first(struct api_context *context, rpc_call *call, const ProtobufCMessage *request,
                    const char *scope, const struct api_looking *how);

/* The same with nobody who waits: what the hosts see comes as news. scope is borrowed during the call. No
 * host looks if memory is out. */
void api_look(const struct api_context *context, const struct scope *scope);
