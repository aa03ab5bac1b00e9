/* The table of the Fleet service; see api.h. To add a method is to add a handler and a line. */
#include "common/base/cleanup.h"
#include "controller/api/handlers.h"

#define METHOD(name, handle)                                                                                 \
        {                                                                                                    \
                &muster__v1__fleet__descriptor, name, RPC_USER, handle                                       \
        }

static const struct rpc_method methods[] = {
        METHOD("Status", api_status),
        METHOD("Watch", api_watch),
        METHOD("Check", api_check),
        METHOD("Plan", api_plan),
        METHOD("Start", api_start_run),
        METHOD("Runs", api_runs),
        METHOD("WatchRun", api_watch_run),
        METHOD("Steer", api_steer),
        METHOD("Exec", api_exec),
        METHOD("Report", api_report),
        METHOD("Invite", api_invite),
        METHOD("Revoke", api_revoke),
        METHOD("AddUser", api_add_user),
        METHOD("Users", api_users),
        METHOD("RevokeUser", api_revoke_user),
        METHOD("AuditVerify", api_audit_verify),
        METHOD("Audit", api_audit),
        METHOD("Pm2Diff", api_pm2_diff),
        METHOD("Pm2Snapshots", api_pm2_snapshots),
        METHOD("Pm2Save", api_pm2_save),
        METHOD("Pm2Restore", api_pm2_restore),
        METHOD("RedisRewrite", api_redis_rewrite),
};

const struct rpc_method *api_methods(size_t *count)
{
        *count = ELEMENTS(methods);
        return methods;
}
