/* replica-link: does a replica follow its master, and closely. */
#include "common/base/text.h"
#include "controller/checks/check.h"
#include "controller/checks/redis.h"

/* How far behind its master it is, by the master's own word where that counts the same history; else by what
 * the replica has received and not applied yet. */
static uint64_t lag_of(const struct checking *checking, const struct redis_state *redis)
{
        const struct redis_state *master = checking->master ? &checking->master->redis : NULL;
        uint64_t lag = 0;

        if (master && text_equal(master->replication_id, redis->replication_id) &&
            master->master_offset > redis->replica_offset)
                lag = master->master_offset - redis->replica_offset;
        return lag > redis->replication_lag_bytes ? lag : redis->replication_lag_bytes;
}

static void check_whose_replica(struct checking *checking, const struct redis_state *redis)
{
        const struct redis_state *master = checking->master ? &checking->master->redis : NULL;
        const char *name = checking->service->spec.name;
        struct finding *finding;

        if (!master || !master->answering || master->loading || !master->replication_id[0] ||
            !redis->replication_id[0] || text_equal(master->replication_id, redis->replication_id))
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding, "%s follows %s, which is not %s: it would never count as ready", name,
                         redis->master_address[0] ? redis->master_address : "another master",
                         checking->fleet->services[checking->service->of].spec.name);
        finding_advice(finding, "on %s: %s REPLICAOF HOST PORT; or correct 'of' in line %u of the fleet file",
                       checking->host->name, redis_client(checking).text, checking->service->line);
}

void check_replica_link(struct checking *checking)
{
        const struct redis_state *redis = redis_answering(checking);
        struct finding *finding;

        if (!redis || !text_equal(redis->role, "slave"))
                return;
        if (redis->sync_in_progress) {
                finding = finding_add(checking, SEVERITY_BLOCKS);
                finding_evidence(finding, "%s is getting all of its data from its master, %s so far",
                                 checking->service->spec.name, CHECK_BYTES(redis->sync_read_bytes));
                finding_advice(finding, "wait until it is in sync: muster redis watch %s",
                               checking->service->spec.name);
                return;
        }
        if (!redis->master_link_up) {
                finding = finding_add(checking, SEVERITY_BLOCKS);
                finding_evidence(finding, "the link of %s to its master is down: its data is getting old",
                                 checking->service->spec.name);
                finding_advice(finding,
                               "on %s: %s INFO replication; look at master_host, master_port and its log",
                               checking->host->name, redis_client(checking).text);
                return;
        }
        check_whose_replica(checking, redis);
        if (lag_of(checking, redis) > checking->service->max_lag) {
                finding = finding_add(checking, SEVERITY_WARNS);
                finding_evidence(finding, "%s is %s behind its master, %s are allowed (max_lag)",
                                 checking->service->spec.name, CHECK_BYTES(lag_of(checking, redis)),
                                 CHECK_BYTES(checking->service->max_lag));
                finding_advice(finding, "wait until it has caught up: muster status %s --watch",
                               checking->service->spec.name);
        }
}
