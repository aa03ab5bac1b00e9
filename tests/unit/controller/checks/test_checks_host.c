/* Every check of a host, seen silent on a sound fleet and speaking where its fact is wrong. */
#include "tests/unit/controller/checks/sound.h"

static void test_connected(void **state)
{
        const struct finding *finding;

        w.hosts_known[0].connected = false;
        state_of(BDS)->phase = PHASE_FAILED; /* old news is not judged */
        finding = expect("connected", SEVERITY_BLOCKS, "the agent of db1 is not connected",
                         "systemctl start muster-agent");
        assert_string_equal(finding->host, "db1");
        assert_string_equal(finding->service, "");
        assert_int_equal(finding->fix, OPERATION_NONE);
        w.hosts_known[0].state = NULL;
        expect("connected", SEVERITY_BLOCKS, "db1 has never been seen", "muster host invite db1");
        sound_fleet(NULL);
        w.hosts_known[1].late = true;
        w.hosts_known[1].state_us = NOW - USEC_PER_SEC;
        expect("connected", SEVERITY_WARNS,
               "app1 did not look anew in time; what is said of it was so 1.0 s ago", "muster status app1");
}

static void test_boot(void **state)
{
        w.agents[1].host.boot_id[0] = '\0';
        strcpy(w.agents[1].host.boot_error, "denied");
        expect("boot-id", SEVERITY_BLOCKS, "cannot be read (denied)", "/proc/sys/kernel/random/boot_id");
        sound_fleet(NULL);
        w.agents[1].host.stopping = true;
        expect("boot-id", SEVERITY_BLOCKS, "a shutdown of app1 is under way", "muster status app1 --watch");
        sound_fleet(NULL);
        strcpy(w.agents[1].host.boot_error, "as before");
        expect("boot-constant", SEVERITY_BLOCKS, "the boot id proves nothing (as before)",
               "muster restart app1");
        sound_fleet(NULL);
        w.agents[1].host.boot_id[0] = '1';
        expect_nth(2, 0, "boot-constant", SEVERITY_BLOCKS, "db1 and app1 have the same boot id, 11234567",
                   "");
        expect_nth(2, 1, "boot-constant", SEVERITY_BLOCKS, "app1 and db1 have the same boot id", "");
        strcat(w.agents[1].host.boot_id, "+7000"); /* the kernel's is the same all the same */
        expect_nth(2, 1, "boot-constant", SEVERITY_BLOCKS, "app1 and db1 have the same boot id", "");
        w.hosts_known[0].connected = false; /* what it had is no news of now */
        expect_nth(1, 0, "connected", SEVERITY_BLOCKS, "db1", "");
}

static void test_agent(void **state)
{
        const struct finding *finding;

        strcpy(w.agents[0].host.agent_enabled, "disabled");
        finding = expect("agent-autostart", SEVERITY_BLOCKS, "muster-agent itself is disabled",
                         "systemctl enable muster-agent");
        assert_int_equal(finding->fix, OPERATION_UNIT_ENABLE);
        assert_string_equal(finding->fix_service.unit, "muster-agent.service");
        assert_int_equal(service_spec_check(&finding->fix_service), 0);
        strcpy(w.agents[0].host.agent_enabled, "");
        finding = expect("agent-autostart", SEVERITY_BLOCKS, "not known to systemd", "");
        assert_int_equal(finding->fix, OPERATION_NONE);
        sound_fleet(NULL);
        strcpy(w.agents[0].host.agent_version, "0.0.9");
        expect("agent-version", SEVERITY_INFORMS, "is version 0.0.9", "systemctl restart muster-agent");
}

static void test_clock(void **state)
{
        w.agents[0].host.clock_us = NOW - 4 * USEC_PER_SEC;
        expect("clock", SEVERITY_WARNS, "the clock of db1 is 4.0 s behind", "timedatectl set-ntp");
        w.hosts_known[0].state_us = NOW - 4 * USEC_PER_SEC; /* the state is that old, the clock is right */
        expect_nothing();
        w.hosts_known[0].state_us = 0;
        expect_nothing();
        w.hosts_known[0].state_us = NOW;
        w.agents[0].host.clock_us = NOW + 3600 * USEC_PER_SEC;
        expect("clock", SEVERITY_WARNS, "1 h 00 min ahead of", "");
}

static void test_disk(void **state)
{
        w.disks[0].available_bytes = 10 * GB;
        expect_nothing();
        w.disks[0].available_bytes = 9 * GB;
        expect("disk", SEVERITY_WARNS, "/ on db1 has 9.0 GB free of 100.0 GB (9.0%)", "du -xh");
        w.disks[0].available_bytes = GB;
        expect("disk", SEVERITY_BLOCKS, "(1.0%)", "make room");
        strcpy(w.disks[0].mount, "/a;reboot"); /* is never part of a command to paste */
        expect("disk", SEVERITY_BLOCKS, "/a;reboot on db1", "--max-depth=2 MOUNT |");
        w.disks[1] = (struct disk_state){"/empty", 0, 0};
        w.agents[0].host.disk_count = 2;
        expect("disk", SEVERITY_BLOCKS, "(1.0%)", "");
        w.agents[0].host.disk_count = 0; /* nothing is known of any: that is no good sign */
        w.agents[0].host.disks_hung = true;
        expect("disk", SEVERITY_BLOCKS, "a file system of db1 does not answer", "dmesg");
}

static void test_failed_units(void **state)
{
        w.agents[1].host.failed_units = w.failed;
        w.agents[1].host.failed_unit_count = 1;
        strcpy(w.failed[0], "a.service");
        expect("failed-units", SEVERITY_WARNS, "1 failed unit: a.service", "systemctl status a.service");
        w.agents[1].host.failed_unit_count = 7;
        for (int i = 0; i < 7; i++)
                snprintf(w.failed[i], UNIT_SIZE, "%c\x1b.service", 'a' + i);
        expect("failed-units", SEVERITY_WARNS,
               "7 failed units: a?.service, b?.service, c?.service, d?.service, e?.service, ...", "");
        memset(w.failed[0], 'x', UNIT_SIZE - 1);
        expect("failed-units", SEVERITY_WARNS, "xxx, ...", "xxx");
}

static void test_memory(void **state)
{
        state_of(BDS)->redis.max_memory = 11 * GB;
        expect_nothing();
        state_of(BDS)->redis.max_memory = 12 * GB;
        expect("memory", SEVERITY_WARNS, "2 Redis on db1 may use 15.0 GB of its 16.0 GB memory (0 without",
               "CONFIG SET maxmemory");
        state_of(BDS)->redis.max_memory = 0;
        state_of(BDS)->redis.used_memory = 12 * GB;
        state_of(BDS)->unit.timeout_stop_us = UINT64_MAX;
        expect("memory", SEVERITY_WARNS, "(1 without a maxmemory", "");
        state_of(BDS)->redis.max_memory = UINT64_MAX;
        expect("memory", SEVERITY_WARNS, "2 Redis", "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sound_fleet, end)
        const struct CMUnitTest tests[] = {
                TEST(test_connected), TEST(test_boot),         TEST(test_agent),  TEST(test_clock),
                TEST(test_disk),      TEST(test_failed_units), TEST(test_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
