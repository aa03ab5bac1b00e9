/* config: what Redis keeps from this login is said, and not passed over. */
#include "controller/checks/check.h"
#include "controller/checks/redis.h"

void check_config(struct checking *checking)
{
        const struct redis_state *redis = redis_answering(checking);
        struct finding *finding;

        if (!redis || !redis->config_refused[0])
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(
                finding,
                "%s refuses CONFIG GET (%.100s): not known, and not checked, are its save points and "
                "the room in its folder",
                checking->service->spec.name, redis->config_refused);
        finding_advice(finding,
                       "on %s: %s ACL SETUSER USER +config|get (before Redis 7: +config), or give a login "
                       "that may, in redis-logins in the agent's folder",
                       checking->host->name, redis_client(checking).text);
}
