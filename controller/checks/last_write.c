/* last-write: did the last write, rewrite and save of a Redis end well. */
#include "common/base/text.h"
#include "controller/checks/check.h"
#include "controller/checks/redis.h"

/* One of Redis's own statuses, "ok" or something else ("" from servers that do not have it). */
static void check_status(struct checking *checking, const char *status, enum severity severity,
                         const char *what, const char *command)
{
        struct finding *finding;

        if (!status[0] || text_equal(status, "ok"))
                return;
        finding = finding_add(checking, severity);
        finding_evidence(finding, "the last %s of %s ended with '%s'", what, checking->service->spec.name,
                         status);
        finding_advice(finding, "look into its log and at the space in %s on %s, then there: %s %s",
                       checking->state->redis.directory[0] ? checking->state->redis.directory : "its folder",
                       checking->host->name, redis_client(checking).text, command);
}

void check_last_write(struct checking *checking)
{
        const struct redis_state *redis = redis_answering(checking);

        if (!redis)
                return;
        if (redis->aof_enabled) {
                check_status(checking, redis->aof_last_write_status, SEVERITY_BLOCKS, "write to the AOF",
                             "INFO persistence");
                check_status(checking, redis->aof_last_rewrite_status, SEVERITY_WARNS, "rewrite of the AOF",
                             "BGREWRITEAOF");
        }
        if (redis->save_points || redis->config_refused[0])
                check_status(checking, redis->rdb_last_save_status, SEVERITY_WARNS, "RDB save", "BGSAVE");
}
