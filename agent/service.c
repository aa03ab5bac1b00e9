/* The table of the Agent service; see service.h. Only the controller may call. */
#include "agent/service.h"

#include "common/base/cleanup.h"
#include "proto/agent.pb-c.h"

const struct rpc_method *agent_service_methods(size_t *ret_count)
{
        static const struct rpc_method methods[] = {
                {&muster__v1__agent__descriptor, "Describe", RPC_CONTROLLER, service_describe},
                {&muster__v1__agent__descriptor, "Watch", RPC_CONTROLLER, service_watch},
                {&muster__v1__agent__descriptor, "Operate", RPC_CONTROLLER, service_operate},
                {&muster__v1__agent__descriptor, "Operations", RPC_CONTROLLER, service_operations},
                {&muster__v1__agent__descriptor, "Exec", RPC_CONTROLLER, service_exec},
                {&muster__v1__agent__descriptor, "Pm2Look", RPC_CONTROLLER, service_pm2_look},
                {&muster__v1__agent__descriptor, "Pm2Snapshots", RPC_CONTROLLER, service_pm2_snapshots},
        };

        *ret_count = ELEMENTS(methods);
        return methods;
}
