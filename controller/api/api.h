/* The Fleet service: what the controller does for the command line. One file a group of methods, one static
 * table of them all (methods.c); every method is for users only (RPC_USER), everything else is denied by the
 * node. Each call that changes something leaves an entry in the audit trail under the caller's name, which is
 * the name of its key and never one from a message.
 *
 * Handlers get the node's userdata: it has to be a struct api_context, or a struct whose first member is one.
 */
#pragma once

#include <systemd/sd-event.h>

#include "common/model/fleet.h"
#include "common/rpc/rpc.h"
#include "controller/agents.h"
#include "controller/loads.h"
#include "controller/runner.h"
#include "controller/store/store.h"

/* All borrowed; outlives the node. */
struct api_context {
        sd_event *event;
        const struct fleet *fleet;
        store *store;
        agents *agents;
        runner *runner;
        loads *loads;
        rpc_node *node;
        const uint8_t *controller_public_key; /* NOISE_KEY_SIZE bytes */
        const char *advertised_address;       /* what invitations name, HOST:PORT */
        struct api_watchers *watchers;        /* made by api_start */
        struct api_releases *releases;        /* the same */
};

const struct rpc_method *api_methods(size_t *count);

/* Once, before the node listens: subscribes to the agents for the Watch calls. -ENOMEM, -ENOSPC. */
int api_start(struct api_context *context);
/* After rpc_node_free (all calls have ended) and agents_free (nobody is told any more). */
void api_stop(struct api_context *context);
