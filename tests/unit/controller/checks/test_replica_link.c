/* What the check of replicas asks the master for. */
#include "tests/unit/controller/checks/sound.h"

/* The replica has applied all that it received, and received little: only its master knows. */
static void test_replica_of_its_master(void **state)
{
        struct redis_state *redis = &state_of(COPY)->redis, *master = &state_of(BDS)->redis;

        w.services[COPY].of = BDS;
        w.services[COPY].max_lag = 10 * MB;
        strcpy(redis->replication_id, "aaaa");
        strcpy(master->replication_id, "aaaa");
        redis->replica_offset = 100 * MB;
        master->master_offset = 110 * MB;
        expect_nothing();
        master->master_offset = 111 * MB;
        expect("replica-link", SEVERITY_WARNS, "copy is 11.0 MB behind its master, 10.0 MB are allowed",
               "wait");
        strcpy(master->replication_id, "bbbb");
        strcpy(redis->master_address, "10.0.0.8:6379");
        expect("replica-link", SEVERITY_BLOCKS, "copy follows 10.0.0.8:6379, which is not bds",
               "REPLICAOF HOST PORT");
        redis->replication_id[0] = '\0'; /* a Redis that is too old to have one */
        expect_nothing();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_replica_of_its_master, sound_fleet, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
