/* Every check of a service, seen silent on a sound fleet and speaking where its fact is wrong. */
#include "tests/unit/controller/checks/sound.h"

static void test_sound(void **state)
{
        expect_nothing();
        w.hosts_known[0].state = NULL;
        w.scope_hosts[0] = false;
        expect_nothing(); /* out of scope is not looked at */
}

static void test_reported(void **state)
{
        strcpy(w.states[0][BDS].name, "other");
        expect("reported", SEVERITY_BLOCKS, "says nothing of bds", "try again");
        strcpy(w.states[0][BDS].name, "bds");
        w.states[0][BDS].kind = SERVICE_TILE38;
        expect("reported", SEVERITY_BLOCKS, "says nothing of bds", "");
        w.scope_services[BDS] = false;
        expect_nothing();
}

static void test_unit(void **state)
{
        struct unit_state *unit = &state_of(ROUTER)->unit;

        strcpy(unit->load_state, "bad-setting");
        expect("unit", SEVERITY_BLOCKS, "cannot load u@router.service: bad-setting", "line 10");
        unit->present = false;
        expect("unit", SEVERITY_BLOCKS, "does not know u@router.service", "systemctl cat u@router.service");
        w.services[ROUTER].spec.unit[0] = '\0';
        expect_nothing();
}

static void test_autostart(void **state)
{
        static const struct {
                const char *state;
                enum severity severity;
                bool fix;
                const char *evidence, *advice;
        } cases[] = {
                {"disabled", SEVERITY_BLOCKS, true, "u@bds.service on db1 is disabled: it will not start",
                 "muster check bds --fix, or on db1: systemctl enable u@bds.service"},
                {"linked", SEVERITY_BLOCKS, true, "is linked", "systemctl enable u@bds.service"},
                {"indirect", SEVERITY_BLOCKS, true, "other instances", "systemctl enable u@bds.service"},
                {"enabled-runtime", SEVERITY_BLOCKS, true, "next reboot forgets it", "systemctl enable"},
                {"linked-runtime", SEVERITY_BLOCKS, false, "forgets the unit itself", "/etc/systemd/system"},
                {"transient", SEVERITY_BLOCKS, false, "forgets the unit itself", "/etc/systemd/system"},
                {"static", SEVERITY_INFORMS, false, "only if another unit wants it", "--reverse"},
                {"masked", SEVERITY_BLOCKS, false, "cannot be started at all", "systemctl unmask u@bds"},
                {"masked-runtime", SEVERITY_BLOCKS, false, "until the next reboot", "unmask"},
                {"", SEVERITY_WARNS, false, "unknown enablement: whether it starts", "enable u@bds.service"},
                {"new-word", SEVERITY_WARNS, false, "is new-word: whether", ""},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct finding *finding;

                strcpy(state_of(BDS)->unit.unit_file_state, cases[i].state);
                finding = expect("autostart", cases[i].severity, cases[i].evidence, cases[i].advice);
                assert_int_equal(finding->fix, cases[i].fix ? OPERATION_UNIT_ENABLE : OPERATION_NONE);
                assert_string_equal(finding->fix_service.name, cases[i].fix ? "bds" : "");
        }
        strcpy(state_of(BDS)->unit.unit_file_state, "generated");
        expect_nothing();
        /* What is no instance stays indirect: enabling it is no help, and not promised to be. */
        strcpy(state_of(BDS)->unit.unit_file_state, "indirect");
        strcpy(state_of(BDS)->unit.id, "other.service");
        assert_int_equal(expect("autostart", SEVERITY_WARNS,
                                "other.service on db1 is indirect: its [Install]",
                                "what Also= names is enabled")
                                 ->fix,
                         OPERATION_NONE);
        strcpy(state_of(BDS)->unit.id, "template@.service");
        assert_int_equal(expect("autostart", SEVERITY_WARNS, "is indirect", "WantedBy=")->fix,
                         OPERATION_NONE);
        /* u@bds.service is an alias */
        strcpy(state_of(BDS)->unit.unit_file_state, "disabled");
        strcpy(state_of(BDS)->unit.id, "own@bds.service");
        assert_string_equal(expect("autostart", SEVERITY_BLOCKS, "own@bds.service on db1 is disabled",
                                   "enable own@bds.service")
                                    ->fix_service.unit,
                            "own@bds.service");
}

static void test_ready(void **state)
{
        state_of(GEO)->phase = PHASE_LOADING;
        expect("ready", SEVERITY_INFORMS, "geo on db1 is loading now", "wait");
        state_of(GEO)->phase = PHASE_STOPPED;
        strcpy(state_of(GEO)->detail, "refused");
        expect("ready", SEVERITY_WARNS, "is stopped now: refused", "journalctl -u u@geo.service");
        w.services[GEO].spec.unit[0] = '\0';
        expect("ready", SEVERITY_WARNS, "is stopped now", "127.0.0.1 port 9851");
}

static void test_role(void **state)
{
        strcpy(state_of(BDS)->redis.role, "slave");
        expect("role", SEVERITY_BLOCKS, "bds is a replica, the fleet file says master",
               "redis-cli -p 6379 REPLICAOF NO ONE");
        sound_fleet(NULL);
        strcpy(state_of(COPY)->redis.role, "master");
        expect("role", SEVERITY_BLOCKS, "copy is a master, the fleet file says replica",
               "REPLICAOF HOST PORT");
        w.services[COPY].spec.role = REDIS_ANY_ROLE;
        expect_nothing();
}

static void test_replica_link(void **state)
{
        struct redis_state *redis = &state_of(COPY)->redis;

        redis->replication_lag_bytes = 64 * MB;
        expect_nothing();
        redis->replication_lag_bytes = 65 * MB;
        expect("replica-link", SEVERITY_WARNS, "copy is 65.0 MB behind", "wait");
        redis->master_link_up = false;
        expect("replica-link", SEVERITY_BLOCKS, "link of copy to its master is down", "INFO replication");
        strcpy(w.services[COPY].spec.address, "10.0.0.9");
        expect("replica-link", SEVERITY_BLOCKS, "", "redis-cli -h 10.0.0.9 -p 6380 INFO");
        strcpy(w.services[COPY].spec.socket, "/run/r.sock");
        expect("replica-link", SEVERITY_BLOCKS, "", "redis-cli -s /run/r.sock INFO");
        redis->loading = true;
        expect_nothing();
}

static void test_persistence(void **state)
{
        struct redis_state *redis = &state_of(BDS)->redis;

        redis->aof_enabled = false;
        expect("persistence", SEVERITY_WARNS, "a restart loses 1000 keys, 2.0 GB",
               "CONFIG SET appendonly yes");
        redis->keys = 0;
        expect_nothing();
        redis->keys = 1;
        redis->save_points = true;
        expect_nothing();
}

static void test_last_write(void **state)
{
        struct redis_state *redis = &state_of(BDS)->redis;

        strcpy(redis->rdb_last_save_status, "err");
        expect_nothing(); /* nobody asked for saves */
        redis->save_points = true;
        expect("last-write", SEVERITY_WARNS, "the last RDB save of bds ended with 'err'", "-p 6379 BGSAVE");
        strcpy(redis->rdb_last_save_status, "");
        strcpy(redis->aof_last_rewrite_status, "err");
        expect("last-write", SEVERITY_WARNS, "the last rewrite of the AOF", "BGREWRITEAOF");
        strcpy(redis->aof_last_rewrite_status, "ok");
        strcpy(redis->aof_last_write_status, "err");
        expect("last-write", SEVERITY_BLOCKS, "the last write to the AOF", "/data on db1");
        redis->aof_enabled = false;
        expect_nothing();
}

static void test_aof_growth(void **state)
{
        struct redis_state *redis = &state_of(BDS)->redis;
        const struct finding *finding;

        redis->incremental_bytes = 499 * MB;
        expect_nothing();
        redis->incremental_bytes = 4 * GB;
        finding = expect("aof-growth", SEVERITY_WARNS,
                         "incremental AOF of 4.0 GB beside a base of 1.0 GB: loading takes", "--fix");
        assert_non_null(strstr(finding->evidence, "it saves 2 min 23 s to 4 min 17 s"));
        assert_int_equal(finding->fix, OPERATION_REDIS_REWRITE);
        assert_int_equal(finding->fix_service.port, 6379);
        redis->aof_rewrite_in_progress = true;
        finding = expect("aof-growth", SEVERITY_INFORMS, "is under way", "wait");
        assert_int_equal(finding->fix, OPERATION_NONE);
        redis->aof_rewrite_in_progress = false;
        redis->base_bytes = 10;
        redis->incremental_bytes = 31 * MB;
        expect_nothing();
        redis->incremental_bytes = 32 * MB;
        expect("aof-growth", SEVERITY_WARNS, "it saves up to 1.1 s", "");
        redis->aof_enabled = false;
        redis->save_points = true;
        expect_nothing();
}

static void test_rewrite_disk(void **state)
{
        struct redis_state *redis = &state_of(BDS)->redis;

        redis->directory_available = 2 * GB;
        expect_nothing();
        redis->directory_available = 2 * GB - 1;
        expect("rewrite-disk", SEVERITY_WARNS,
               "/data has 2.0 GB free; rewriting the AOF of bds writes 1.0 GB to "
               "2.0 GB",
               "df -h /data");
        redis->directory_available = GB - 1;
        expect("rewrite-disk", SEVERITY_BLOCKS, "/data has 1.0 GB free", "");
        redis->directory[0] = '\0';
        expect_nothing();
}

static void test_hung(void **state)
{
        state_of(BDS)->redis.directory_hung = true;
        expect("rewrite-disk", SEVERITY_BLOCKS, "the folder of bds, /data, does not answer", "grep -F /data");
        state_of(BDS)->redis.directory_hung = false;
        state_of(GEO)->tile38.directory_hung = true;
        expect("tile38-aof", SEVERITY_BLOCKS, "the files of geo do not answer", "dmesg");
}

/* What Redis keeps from muster is neither called missing nor sound. */
static void test_config_refused(void **state)
{
        struct redis_state *redis = &state_of(BDS)->redis;

        strcpy(redis->config_refused, "NOPERM no permissions to run the 'config|get' command");
        redis->aof_enabled = redis->save_points = false;
        redis->directory[0] = '\0';
        expect("config", SEVERITY_WARNS, "bds refuses CONFIG GET (NOPERM no permissions", "+config|get");
        strcpy(redis->rdb_last_save_status, "err");
        expect_nth(2, 1, "last-write", SEVERITY_WARNS, "the last RDB save of bds", "");
        strcpy(redis->rdb_last_save_status, "ok");
        state_of(BDS)->unit.timeout_stop_us = 10 * USEC_PER_SEC;
        expect_nth(2, 1, "stop-budget", SEVERITY_WARNS, "may save an RDB of up to 2.0 GB", "");
}

static void test_rewrite_memory(void **state)
{
        struct host_state *host = &w.agents[0].host;

        w.scope_services[COPY] = false;
        host->memory_available = GB / 2;
        expect_nothing();
        host->memory_available--;
        expect("rewrite-memory", SEVERITY_WARNS, "db1 has 500.0 MB available: writes during", "free memory");
        host->overcommit = false;
        host->swap_free = GB / 2;
        expect("rewrite-memory", SEVERITY_WARNS, "has 1.0 GB available and does not overcommit",
               "vm.overcommit_memory=1");
        host->swap_free++; /* half of what it uses */
        expect_nothing();
        host->commit_limited = true;
        host->commit_left = 2 * GB; /* what it uses */
        expect_nothing();
        host->commit_left--;
        expect("rewrite-memory", SEVERITY_WARNS, "may promise 2.0 GB more (vm.overcommit_memory is 2)",
               "vm.overcommit_ratio");
}

static void test_reload_time(void **state)
{
        /* 1 GB at 50 MB/s and 100 MB at 20 MB/s: about 25 s, 18 to 41 as a range */
        w.services[BDS].reload_limit_us = 45 * USEC_PER_SEC;
        expect_nothing();
        w.services[BDS].reload_limit_us = 30 * USEC_PER_SEC;
        expect("reload-time", SEVERITY_WARNS, "loading bds may take longer than its reload_limit of 30.0 s",
               "line 10");
        w.services[BDS].reload_limit_us = 10 * USEC_PER_SEC;
        expect("reload-time", SEVERITY_WARNS, "loading bds will take longer", "rewrite its AOF");
        w.rates[BDS] = (struct plan_rate){0};
        expect("reload-time", SEVERITY_WARNS, "no load of it has been watched yet", "");
        sound_fleet(NULL);
        w.services[GEO].reload_limit_us = USEC_PER_SEC;
        expect("reload-time", SEVERITY_WARNS, "loading geo will", "shrink its AOF");
}

static void test_budgets(void **state)
{
        struct unit_state *unit = &state_of(BDS)->unit;

        state_of(BDS)->redis.save_points = true;
        expect_nothing(); /* 2 GB at 30 MB/s and some: 77 s of 90 */
        unit->timeout_stop_us = 60 * USEC_PER_SEC;
        expect("stop-budget", SEVERITY_WARNS, "systemd kills it after 1 min 00 s", "TimeoutStopSec=120s");
        unit->timeout_stop_us = USEC_PER_SEC;
        expect("stop-budget", SEVERITY_BLOCKS, "stopping bds takes 1.1 s to", "systemctl edit u@bds.service");
        state_of(BDS)->redis.save_points = false;
        expect_nothing(); /* nothing to write: what every service takes to stop */
        state_of(BDS)->redis.save_points = true;
        unit->timeout_stop_us = UINT64_MAX;
        unit->timeout_start_us = USEC_PER_SEC;
        expect_nothing(); /* Type=simple is started at once */
        strcpy(unit->type, "notify");
        expect("start-budget", SEVERITY_BLOCKS, "gives up its start after 1.0 s", "TimeoutStartSec=");
        unit->timeout_start_us = 30 * USEC_PER_SEC;
        expect("start-budget", SEVERITY_WARNS, "loading bds takes", "");
        unit->timeout_start_us = 0;
        expect_nothing();
}

/* A swap of the files that was interrupted: what is aside may be all there is. */
static void test_tile38_backup(void **state)
{
        struct tile38_state *tile38 = &state_of(GEO)->tile38;
        const struct finding *finding;

        strcpy(tile38->leftover, "/var/lib/t/appendonly.aof-bak");
        tile38->leftover_bytes = 5 * GB;
        tile38->aof_size = tile38->objects = 0;
        finding = expect(
                "tile38-leftover", SEVERITY_BLOCKS,
                "/var/lib/t/appendonly.aof-bak is there, 5.0 GB: an AOFSHRINK was interrupted while it "
                "swapped the files, and this may be the only whole one; geo has 0 objects, and an "
                "AOF of 0 B",
                "stop tile38: systemctl stop u@geo.service; cd /var/lib/t/; mv appendonly.aof-bak "
                "appendonly.aof; start it");
        assert_int_equal(finding->fix, OPERATION_NONE);
        tile38->aof_size = 100 * MB; /* worth a shrink, which is not offered */
        (void)expect("tile38-leftover", SEVERITY_BLOCKS, "AOF of 100.0 MB", "do not shrink geo");
        strcpy(tile38->leftover, "/var/lib/a b/appendonly.aof-bak");
        (void)expect("tile38-leftover", SEVERITY_BLOCKS, "", "cd ITS_FOLDER/; mv FILE-bak FILE;");
}

static void test_tile38(void **state)
{
        struct tile38_state *tile38 = &state_of(GEO)->tile38;
        const struct finding *finding;

        tile38->objects = 50000;
        tile38->memory_bytes = 5 * MB;
        finding = expect("tile38-aof", SEVERITY_WARNS,
                         "the AOF of geo is 100.0 MB for 50000 objects of 5.0 MB", "--fix");
        assert_int_equal(finding->fix, OPERATION_TILE38_SHRINK);
        tile38->aof_size = 63 * MB;
        expect_nothing();
        /* Few large objects take a large file. */
        tile38->aof_size = 400 * MB;
        tile38->memory_bytes = 100 * MB;
        expect_nothing();
        /* Many small ones do not. */
        tile38->objects = 600000;
        tile38->memory_bytes = 15 * MB;
        expect("tile38-aof", SEVERITY_WARNS, "the AOF of geo is 400.0 MB for 600000 objects of 15.0 MB", "");
        tile38->follower = true;
        expect_nothing();
        strcpy(tile38->leftover, "/var/lib/t/appendonly.aof-shrink");
        expect("tile38-leftover", SEVERITY_WARNS, "an AOFSHRINK was interrupted", "rm /var/lib/t/appendonly");
        tile38->aof_rewrite_in_progress = true;
        expect_nothing();
        sound_fleet(NULL);
        strcpy(state_of(GEO)->unit.unit_file_state, "disabled");
        expect("autostart", SEVERITY_BLOCKS, "u@geo.service on db1 is disabled", "systemctl enable");
}

static void test_pm2(void **state)
{
        struct pm2_state *pm2 = &state_of(APPS)->pm2;

        strcpy(pm2->boot_unit, "pm2-www.service");
        expect("pm2-boot-unit", SEVERITY_WARNS, "pm2-www.service starts the apps of apps at boot",
               "systemctl edit pm2-www.service, with After=");
        pm2->boot_unit[0] = '\0';
        pm2->apps = w.apps;
        pm2->app_count = 7;
        pm2->errored = 6;
        for (int i = 0; i < 7; i++) {
                snprintf(w.apps[i].name, sizeof(w.apps[i].name), "app%d", i);
                w.apps[i].pm_id = 40 + (unsigned)i;
                strcpy(w.apps[i].status, i == 1 ? "online" : "errored");
        }
        expect("pm2-errored", SEVERITY_WARNS, "6 apps of apps are errored: app0, app2, app3, app4, app5, ...",
               "PM2_HOME=/var/www/.pm2 pm2 logs 40");
        pm2->errored = 1;
        pm2->app_count = 1;
        expect("pm2-errored", SEVERITY_WARNS, "1 app of apps is errored: app0", "");
        pm2->reachable = false;
        strcpy(pm2->error, "no socket");
        expect("pm2-reachable", SEVERITY_BLOCKS, "does not answer (no socket)", "sudo -u www");
        assert_string_equal(w.found[0].host, "app1");
}

static void test_pm2_restarting(void **state)
{
        struct pm2_state *pm2 = &state_of(APPS)->pm2;
        static const struct {
                const char *status;
                uint32_t restarts;
                uint64_t uptime_ms;
                const char *evidence;
        } cases[] = {
                {"online", 17, 3000,
                 "1 app of apps is restarting, or did so within the last minute: web (17 restarts, up for "
                 "3.0 s)"},
                {"waiting restart", 17, 0, "web (waiting restart, 17 restarts)"},
                {"launching", 0, 0, "web (launching, 0 restarts)"},
                {"online", 0, 3000, NULL},
                {"online", 17, 60000, NULL},
                {"stopped", 17, 0, NULL},
        };

        pm2->apps = w.apps;
        pm2->app_count = 1;
        strcpy(w.apps[0].name, "web");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                strcpy(w.apps[0].status, cases[i].status);
                w.apps[0].restarts = cases[i].restarts;
                w.apps[0].uptime_ms = cases[i].uptime_ms;
                if (cases[i].evidence)
                        expect("pm2-restarting", SEVERITY_WARNS, cases[i].evidence, "pm2 logs 0");
                else
                        expect_nothing();
        }
}

static void test_pm2_boot_unit_held(void **state)
{
        struct pm2_state *pm2 = &state_of(APPS)->pm2;

        strcpy(pm2->held_unit, "pm2-www.service");
        strcpy(pm2->held_run, "r1");
        pm2->held_since_us = 1763933738000000u;
        expect("pm2-boot-unit-held", SEVERITY_WARNS,
               "pm2-www.service is disabled since 2025-11-23 21:35:38 UTC, by run r1, which is over",
               "muster check apps --fix, or on app1: systemctl enable pm2-www.service");
        assert_int_equal(w.found[0].fix, OPERATION_PM2_RELEASE);
        assert_string_equal(w.found[0].fix_service.name, "apps");
        strcpy(w.hosts_known[1].run, "r1"); /* it is not over */
        expect_nothing();
}

static void test_pm2_snapshot(void **state)
{
        struct pm2_saved *saved = &w.pm2[APPS].snapshot;

        strcpy(saved->name, "s1");
        saved->saved_us = 1763933738000000u;
        saved->differing = 3;
        strcpy(saved->first, "web (0): env was #1, is #2");
        expect_nothing(); /* nobody looked */
        w.pm2[APPS].asked = true;
        expect("pm2-snapshot", SEVERITY_INFORMS,
               "3 apps differ from snapshot s1 of 2025-11-23 21:35:38 UTC; first: web (0): env was",
               "muster pm2 save apps");
        saved->fallen = 1;
        expect("pm2-snapshot", SEVERITY_WARNS,
               "1 app of apps ran at snapshot s1 of 2025-11-23 21:35:38 UTC and does not now; first: web",
               "muster pm2 diff apps; then muster pm2 restore apps s1");
        strcpy(saved->failure, "its digest differs");
        expect("pm2-snapshot", SEVERITY_INFORMS, "could not be compared with its last snapshot: its digest",
               "muster pm2 save apps");
        saved->unsound = true;
        expect("pm2-snapshot", SEVERITY_WARNS, "its digest differs", "");
        *saved = (struct pm2_saved){.absent = true};
        expect_nothing(); /* a restart takes one itself */
        saved->differing = 1;
        state_of(APPS)->pm2.reachable = false;
        expect("pm2-reachable", SEVERITY_BLOCKS, "", ""); /* and nothing besides */
}

/* What the dump says matters most where something brings it back at boot. */
static void test_pm2_dump(void **state)
{
        struct pm2_saved *saved = &w.pm2[APPS].dump;

        w.pm2[APPS].asked = true;
        saved->saved_us = 1763933738000000u;
        saved->differing = 1;
        strcpy(saved->first, "web (0) is new now");
        expect("pm2-dump", SEVERITY_INFORMS,
               "1 app differs from PM2's own dump of 2025-11-23 21:35:38 UTC: pm2 resurrect would bring back",
               "on app1: sudo -u www PM2_HOME=/var/www/.pm2 pm2 save");
        strcpy(state_of(APPS)->pm2.boot_unit, "pm2-www.service");
        expect_nth(2, 1, "pm2-dump", SEVERITY_WARNS,
                   "pm2-www.service would bring back what that says; first: web",
                   "muster pm2 diff apps --from dump");
        *saved = (struct pm2_saved){.absent = true};
        expect_nth(2, 1, "pm2-dump", SEVERITY_WARNS, "pm2-www.service would start none of its apps", "");
        state_of(APPS)->pm2.boot_unit[0] = '\0';
        expect_nothing();
        *saved = (struct pm2_saved){.failure = "it is not a list of apps", .unsound = true};
        expect("pm2-dump", SEVERITY_WARNS, "PM2's own dump: it is not a list of apps", "pm2 save");
}

/* Many findings: in the fleet's order, hosts before their services, and none lost. */
static void test_order(void **state)
{
        for (int i = 0; i < SERVICES; i++) {
                state_of(i)->phase = PHASE_STOPPED;
                strcpy(state_of(i)->unit.unit_file_state, "disabled");
        }
        for (int h = 0; h < 2; h++)
                w.agents[h].host.clock_us = 0;
        state_of(BDS)->redis.answering = state_of(COPY)->redis.answering = false;
        expect_nth(10, 0, "clock", SEVERITY_WARNS, "db1", "");
        assert_string_equal(w.found[1].service, "bds");
        assert_string_equal(w.found[1].id, "autostart");
        assert_string_equal(w.found[2].id, "ready");
        assert_string_equal(w.found[6].service, "geo");
        assert_string_equal(w.found[7].id, "clock");
        assert_string_equal(w.found[7].host, "app1");
        assert_string_equal(w.found[9].service, "router");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sound_fleet, end)
        const struct CMUnitTest tests[] = {
                TEST(test_sound),
                TEST(test_reported),
                TEST(test_unit),
                TEST(test_autostart),
                TEST(test_ready),
                TEST(test_role),
                TEST(test_replica_link),
                TEST(test_persistence),
                TEST(test_last_write),
                TEST(test_aof_growth),
                TEST(test_rewrite_disk),
                TEST(test_hung),
                TEST(test_rewrite_memory),
                TEST(test_config_refused),
                TEST(test_reload_time),
                TEST(test_budgets),
                TEST(test_tile38),
                TEST(test_tile38_backup),
                TEST(test_pm2),
                TEST(test_pm2_snapshot),
                TEST(test_pm2_dump),
                TEST(test_order),
                TEST(test_pm2_restarting),
                TEST(test_pm2_boot_unit_held),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
