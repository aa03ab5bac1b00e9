/* Checks of Redis: is it what the fleet file says, is its data on disk, is its append-only file worth
 * rewriting before a restart, and is there room for that. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "common/model/fork_memory.h"
#include "controller/core/check.h"

#define MB 1000000u

/* An incremental AOF is worth a rewrite from half of its base on, unless it is small. */
#define GROWTH_SHARE   0.5
#define GROWTH_MINIMUM (32ull * MB)

static const struct redis_state *answering(const struct checking *checking)
{
        return checking->state->redis.answering && !checking->state->redis.loading ? &checking->state->redis
                                                                                   : NULL;
}

/* "redis-cli -p 6379" or "redis-cli -s /run/redis.sock" */
static struct check_text client(const struct checking *checking)
{
        const struct service_spec *spec = &checking->service->spec;
        struct check_text text;

        if (spec->socket[0])
                snprintf(text.text, sizeof(text.text), "redis-cli -s %.60s", spec->socket);
        else if (text_equal(spec->address, "127.0.0.1"))
                snprintf(text.text, sizeof(text.text), "redis-cli -p %u", spec->port);
        else
                snprintf(text.text, sizeof(text.text), "redis-cli -h %.46s -p %u", spec->address, spec->port);
        return text;
}

void check_role(struct checking *checking)
{
        const struct redis_state *redis = answering(checking);
        const struct fleet_service *service = checking->service;
        const char *declared = redis_role_name(service->spec.role), *actual;
        struct finding *finding;

        if (!redis || !redis->role[0] || service->spec.role == REDIS_ANY_ROLE)
                return;
        actual = text_equal(redis->role, "slave") ? "replica" : redis->role;
        if (text_equal(actual, declared))
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding, "%s is a %s, the fleet file says %s: it would never count as ready",
                         service->spec.name, actual, declared);
        if (service->spec.role == REDIS_MASTER)
                finding_advice(finding,
                               "if it should be the master, on %s: %s REPLICAOF NO ONE; else correct line "
                               "%u of the fleet file",
                               checking->host->name, client(checking).text, service->line);
        else
                finding_advice(finding,
                               "if it should be a replica, on %s: %s REPLICAOF HOST PORT; else correct "
                               "line %u of the fleet file",
                               checking->host->name, client(checking).text, service->line);
}

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
                       checking->host->name, client(checking).text, checking->service->line);
}

void check_replica_link(struct checking *checking)
{
        const struct redis_state *redis = answering(checking);
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
                               checking->host->name, client(checking).text);
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

void check_persistence(struct checking *checking)
{
        const struct redis_state *redis = answering(checking);
        struct finding *finding;

        if (!redis || redis->aof_enabled || redis->save_points || redis->config_refused[0] ||
            redis->keys == 0)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding,
                         "%s keeps nothing on disk (no AOF, no save points): a restart loses %" PRIu64
                         " keys, %s",
                         checking->service->spec.name, redis->keys, CHECK_BYTES(redis->used_memory));
        finding_advice(finding,
                       "if the data matters, on %s: %s CONFIG SET appendonly yes, and the same in its "
                       "file",
                       checking->host->name, client(checking).text);
}

/* What Redis keeps from this login is said, and not passed over. */
void check_config(struct checking *checking)
{
        const struct redis_state *redis = answering(checking);
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
                       checking->host->name, client(checking).text);
}

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
                       checking->host->name, client(checking).text, command);
}

void check_last_write(struct checking *checking)
{
        const struct redis_state *redis = answering(checking);

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

static uint64_t less(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

/* What a rewrite saves: fast load against fast load, slow against slow. */
static struct check_text saving(uint64_t now_low, uint64_t now_high, uint64_t then_low, uint64_t then_high)
{
        uint64_t fast = less(now_low, then_low), slow = less(now_high, then_high);
        struct check_text text;

        if (fast && slow > fast)
                return check_range(fast, slow);
        snprintf(text.text, sizeof(text.text), "up to %.40s", CHECK_SPAN(fast > slow ? fast : slow));
        return text;
}

void check_aof_growth(struct checking *checking)
{
        const struct redis_state *redis = answering(checking);
        uint64_t now_low, now_high, then_low, then_high;
        struct finding *finding;

        if (!redis || !redis->aof_enabled || redis->incremental_bytes < GROWTH_MINIMUM ||
            (double)redis->incremental_bytes < GROWTH_SHARE * (double)redis->base_bytes)
                return;
        if (redis->aof_rewrite_in_progress || redis->aof_rewrite_scheduled) {
                finding = finding_add(checking, SEVERITY_INFORMS);
                finding_evidence(finding, "a rewrite of the AOF of %s is under way",
                                 checking->service->spec.name);
                finding_advice(finding, "wait for it: muster status %s --watch",
                               checking->service->spec.name);
                return;
        }
        check_load_estimate(checking, false, &now_low, &now_high);
        check_load_estimate(checking, true, &then_low, &then_high);
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(
                finding,
                "incremental AOF of %s beside a base of %s: loading takes %s, after a rewrite %s; it "
                "saves %s",
                CHECK_BYTES(redis->incremental_bytes), CHECK_BYTES(redis->base_bytes),
                CHECK_RANGE(now_low, now_high), CHECK_RANGE(then_low, then_high),
                saving(now_low, now_high, then_low, then_high).text);
        finding_advice(finding, "muster check %s --fix, or on %s: %s BGREWRITEAOF",
                       checking->service->spec.name, checking->host->name, client(checking).text);
        finding_fix(finding, checking, OPERATION_REDIS_REWRITE);
}

/* The new base needs room beside the old files: about the old base, at most what memory holds. */
void check_rewrite_disk(struct checking *checking)
{
        const struct redis_state *redis = answering(checking);
        uint64_t least, most;
        struct finding *finding;

        if (redis && redis->directory_hung) {
                finding = finding_add(checking, SEVERITY_BLOCKS);
                finding_evidence(
                        finding,
                        "the folder of %s, %s, does not answer: a save, a rewrite or a load would hang",
                        checking->service->spec.name, redis->directory);
                finding_advice(finding,
                               "on %s: dmesg | tail; mount | grep -F %s; mend the disk or the network "
                               "file system first",
                               checking->host->name, check_plain(redis->directory, "FOLDER"));
                return;
        }
        if (!redis || !redis->aof_enabled || !redis->directory[0])
                return;
        least = redis->base_bytes < redis->used_memory ? redis->base_bytes : redis->used_memory;
        most = redis->base_bytes > redis->used_memory ? redis->base_bytes : redis->used_memory;
        if (redis->directory_available >= most)
                return;
        finding =
                finding_add(checking, redis->directory_available < least ? SEVERITY_BLOCKS : SEVERITY_WARNS);
        finding_evidence(finding,
                         "%s has %s free; rewriting the AOF of %s writes %s to %s beside the old one",
                         redis->directory, CHECK_BYTES(redis->directory_available),
                         checking->service->spec.name, CHECK_BYTES(least), CHECK_BYTES(most));
        finding_advice(finding, "make room in %s on %s: df -h %s", redis->directory, checking->host->name,
                       check_plain(redis->directory, "FOLDER"));
}

/* A rewrite forks: the operation refuses where this finds something, by the same judgement. */
void check_rewrite_memory(struct checking *checking)
{
        const struct redis_state *redis = answering(checking);
        const struct host_state *host = &checking->agent->host;
        const struct fork_memory memory = {host->overcommit, host->commit_limited, host->commit_left,
                                           host->memory_available, host->swap_free};
        uint64_t needed, there;
        struct finding *finding;

        if (!redis || !redis->aof_enabled || host->memory_total == 0 ||
            fork_memory_fits(&memory, redis->used_memory, &needed, &there))
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        if (host->commit_limited) {
                finding_evidence(finding,
                                 "%s uses %s, the kernel of %s may promise %s more (vm.overcommit_memory is "
                                 "2): the fork of a rewrite or save would be refused",
                                 checking->service->spec.name, CHECK_BYTES(redis->used_memory),
                                 checking->host->name, CHECK_BYTES(there));
                finding_advice(finding,
                               "on %s: sysctl -w vm.overcommit_memory=1, or raise vm.overcommit_ratio, and "
                               "the same in /etc/sysctl.d",
                               checking->host->name);
        } else if (!host->overcommit) {
                finding_evidence(
                        finding,
                        "%s uses %s, %s has %s available and does not overcommit: the fork of a rewrite "
                        "or save may be refused",
                        checking->service->spec.name, CHECK_BYTES(redis->used_memory), checking->host->name,
                        CHECK_BYTES(there));
                finding_advice(finding,
                               "on %s: sysctl -w vm.overcommit_memory=1, and the same in /etc/sysctl.d",
                               checking->host->name);
        } else {
                finding_evidence(finding,
                                 "%s uses %s and %s has %s available: writes during a rewrite may exhaust it",
                                 checking->service->spec.name, CHECK_BYTES(redis->used_memory),
                                 checking->host->name, CHECK_BYTES(there));
                finding_advice(finding, "free memory on %s; muster rewrites nothing there before",
                               checking->host->name);
        }
}
