/* What the kernel's tables mean, row by row. */
#include "agent/probe/host_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void clear(struct host_facts *facts)
{
        struct host_state host = {.facts = *facts};

        host_state_clear(&host);
        *facts = (struct host_facts){0};
}

static FILE *text_file(const char *text)
{
        FILE *file = fmemopen((void *)text, strlen(text), "r");

        assert_non_null(file);
        return file;
}

static void test_disks(void **state)
{
        static const struct {
                const char *type, *folder;
                bool is_disk;
        } cases[] = {
                {"ext4", "/", true},
                {"overlay", "/", true},
                {"xfs", "/var/lib/docker", true},
                {"overlay", "/var/lib/docker/overlay2/1f/merged", false},
                {"overlay", "/var/lib/containers/storage/overlay/2a/merged", false},
                {"ext4", "/var/lib/kubelet/pods/3b/volumes/data", false},
                {"tmpfs", "/tmp", false},
                {"nfs4", "/srv", false},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(host_facts_is_disk(&(struct mntent){.mnt_type = (char *)cases[i].type,
                                                                     .mnt_dir = (char *)cases[i].folder}),
                                 cases[i].is_disk);
}

static void test_mounts(void **state)
{
        FILE *file = text_file("overlay / overlay rw 0 0\n"
                               "proc /proc proc rw 0 0\n"
                               "tmpfs /run tmpfs rw 0 0\n"
                               "tmpfs /run/user/0 tmpfs rw 0 0\n"
                               "tmpfs /running tmpfs rw 0 0\n"
                               "devtmpfs /dev devtmpfs rw 0 0\n"
                               "systemd-1 /srv/auto autofs rw 0 0\n"
                               "overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\n"
                               "srv:/export /srv/a\\040b nfs4 rw 0 0\n");
        struct host_facts facts = {0};

        host_facts_mounts(&facts, file);
        assert_int_equal(facts.mount_count, 3);
        assert_string_equal(facts.mounts[0], "overlay:/");
        assert_string_equal(facts.mounts[1], "tmpfs:/running");
        assert_string_equal(facts.mounts[2], "nfs4:/srv/a\\040b");
        assert_false(facts.mounts_cut);
        fclose(file);
        clear(&facts);
}

static void test_many_mounts(void **state)
{
        static char text[40000];
        struct host_facts facts = {0};
        size_t used = 0;
        FILE *file;

        for (int i = 0; i < 300; i++)
                used += (size_t)sprintf(
                        text + used, "/dev/x /srv/%d%s ext4 rw 0 0\n", i,
                        i == 7 ? "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                               : "");
        file = text_file(text);
        host_facts_mounts(&facts, file);
        assert_int_equal(facts.mount_count, 256);
        assert_true(facts.mounts_cut);
        fclose(file);
        clear(&facts);
}

static void test_listeners(void **state)
{
        FILE *four = text_file(
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
                "   0: 00000000:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
                "   1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
                "   2: 00000000:C001 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
                "   3: nonsense:zz 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
                "   4: 0100007F:0016 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0\n"
                "   5: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n");
        FILE *six = text_file("  sl  local_address                         remote_address   st\n"
                              "   0: 00000000000000000000000000000000:0050 "
                              "00000000000000000000000000000000:0000 0A 0\n"
                              "   1: B80D01200000000000000000010000FF:0051 "
                              "00000000000000000000000000000000:0000 0A 0\n");
        struct host_facts facts = {0};

        host_facts_listeners(&facts, four, 32768, 60999);
        host_facts_listeners(&facts, six, 32768, 60999);
        assert_int_equal(facts.listener_count, 4);
        assert_string_equal(facts.listeners[0], "0.0.0.0:6379");
        assert_string_equal(facts.listeners[1], "127.0.0.1:22");
        assert_string_equal(facts.listeners[2], "[::]:80");
        assert_string_equal(facts.listeners[3], "[2001:db8::ff00:1]:81");
        fclose(four);
        fclose(six);
        clear(&facts);
}

static void test_kernels(void **state)
{
        static const char *const order[] = {"5.10.0-9-amd64", "5.10.0-30-amd64", "6.1.0-9-amd64",
                                            "6.1.0-28-amd64", "6.1.0-28-amd64+", "6.10.0-1-amd64",
                                            "99.0.0-1-amd64"};

        for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
                for (size_t j = 0; j < sizeof(order) / sizeof(order[0]); j++) {
                        int got = host_facts_kernel_order(order[i], order[j]);

                        assert_int_equal((got > 0) - (got < 0), (i > j) - (i < j));
                }
        assert_true(host_facts_same_flavour("6.1.0-28-amd64", "6.1.0-9-amd64"));
        assert_false(host_facts_same_flavour("6.1.0-28-amd64", "6.1.0-28-cloud-amd64"));
        assert_true(host_facts_same_flavour("6.12.4", "6.12.5"));
}

/* Here and now: whatever this machine is, it can be looked at. */
static void test_this_machine(void **state)
{
        struct host_facts facts = {0};

        host_facts_read(&facts, "6.1.0-28-amd64");
        assert_true(facts.known);
        clear(&facts);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_disks),       cmocka_unit_test(test_mounts),
                cmocka_unit_test(test_many_mounts), cmocka_unit_test(test_listeners),
                cmocka_unit_test(test_kernels),     cmocka_unit_test(test_this_machine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
