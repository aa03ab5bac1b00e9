/* grpc.health.v1.Health, served by every node to everybody: Check answers once, Watch again at each change.
 */
#include <stdlib.h>
#include <string.h>

#include "common/rpc/internal.h"
#include "proto/health.pb-c.h"

struct health_watch {
        LIST_ENTRY(health_watch) link;
        rpc_call *call;
        bool known; /* the service asked for is one of ours */
};

/* Whether a service is ours; "" is the program as a whole. */
static bool health_knows(const rpc_node *node, const char *service)
{
        size_t size = strlen(service);

        if (!size)
                return true;
        for (size_t i = 0; i < node->method_count; i++)
                if (strncmp(node->methods[i].path, service, size) == 0 && node->methods[i].path[size] == '/')
                        return true;
        return false;
}

static void health_fill(Grpc__Health__V1__HealthCheckResponse *response, const rpc_node *node, bool known)
{
        response->status = !known ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
                           : node->serving
                                   ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                                   : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
}

static void health_check(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Grpc__Health__V1__HealthCheckRequest *asked =
                (const Grpc__Health__V1__HealthCheckRequest *)request;
        Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
        rpc_node *node = userdata;

        if (!health_knows(node, asked->service)) {
                rpc_call_end(call, RPC_NOT_FOUND, "%s is not served here", asked->service);
                return;
        }
        health_fill(&response, node, true);
        rpc_call_reply(call, &response.base);
}

static void health_send(struct health_watch *watch)
{
        Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

        health_fill(&response, watch->call->node, watch->known);
        /* a watcher that reads nothing misses changes; the last one it asks for with Check is right */
        rpc_call_send(watch->call, &response.base);
}

static void health_watch_start(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Grpc__Health__V1__HealthCheckRequest *asked =
                (const Grpc__Health__V1__HealthCheckRequest *)request;
        struct health_watch *watch = calloc(1, sizeof(*watch));
        rpc_node *node = userdata;

        if (!watch) {
                rpc_call_end(call, RPC_RESOURCE_EXHAUSTED, "memory is out");
                return;
        }
        watch->call = call;
        watch->known = health_knows(node, asked->service);
        call->health = watch;
        LIST_INSERT_HEAD(&node->health, watch, link);
        health_send(watch);
}

void health_forget(rpc_call *call)
{
        LIST_REMOVE(call->health, link);
        free(call->health);
        call->health = NULL;
}

void rpc_node_set_serving(rpc_node *node, bool serving)
{
        struct health_watch *watch;

        if (node->serving == serving)
                return;
        node->serving = serving;
        LIST_FOREACH(watch, &node->health, link)
        health_send(watch);
}

const struct rpc_method health_methods[] = {
        {&grpc__health__v1__health__descriptor, "Check", RPC_AGENT | RPC_USER | RPC_CONTROLLER, health_check},
        {&grpc__health__v1__health__descriptor, "Watch", RPC_AGENT | RPC_USER | RPC_CONTROLLER,
         health_watch_start},
};
const size_t health_method_count = sizeof(health_methods) / sizeof(health_methods[0]);
