/* Identities, keys and the controller's settings: what is read back, what is refused, who may read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/conf/settings.h"
#include "common/conf/value.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char folder[] = "/tmp/muster-test-settings-XXXXXX";
static char path[sizeof(folder) + 8];

static int set_up(void **state)
{
        strcpy(folder + sizeof(folder) - 7, "XXXXXX");
        if (!mkdtemp(folder))
                return -1;
        snprintf(path, sizeof(path), "%s/file", folder);
        return 0;
}

static int tear_down(void **state)
{
        unlink(path);
        return rmdir(folder);
}

static void put(const char *text, mode_t mode)
{
        assert_int_equal(file_write_atomic(path, text, strlen(text), mode, NULL), 0);
        assert_int_equal(chmod(path, mode), 0);
}

static void test_identity(void **state)
{
        struct identity written = {.address = "bastion.example.org:7117"}, read;
        struct error error = {""};
        struct stat status;

        memset(written.controller, 0xa5, sizeof(written.controller));
        memset(written.secret, 0x3c, sizeof(written.secret));
        assert_int_equal(identity_read(&read, path, &error), -ENOENT);
        assert_int_equal(identity_write(&written, path, &error), 0);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(identity_read(&read, path, &error), 0);
        assert_memory_equal(&read, &written, sizeof(read));
        TEXT_COPY(written.address, "[fe80::1]:1");
        assert_int_equal(identity_write(&written, path, &error), 0);
        assert_int_equal(identity_read(&read, path, &error), 0);
        assert_string_equal(read.address, "[fe80::1]:1");
        /* what would not read back is not written */
        TEXT_COPY(written.address, "a:1\"\nx: \"");
        assert_int_equal(identity_write(&written, path, &error), -EINVAL);
        assert_int_equal(identity_read(&read, path, &error), 0);
        assert_string_equal(read.address, "[fe80::1]:1");
}

static void test_identity_refusals(void **state)
{
        static const char *const cases[][2] = {
                {"", ":1: the file is empty"},
                {"controller: a:1\ncontroller_key: " HEX "\n", ":1: an identity has no secret_key"},
                {"controller: a\n", ":1: controller: 'a' is not HOST:PORT"},
                {"controller: a:0\n", "is not HOST:PORT"},
                {"controller: \":1\"\n", "is not HOST:PORT"},
                {"controller: ::1:7117\n", "is not HOST:PORT"},
                {"controller: \"[a]:7117\"\n", "is not HOST:PORT"},
                {"controller: \"[127.0.0.1]:7117\"\n", "is not HOST:PORT"},
                {"controller: a b:7117\n", "is not HOST:PORT"},
                {"secret: " HEX "\n", ":1: unknown key 'secret' in an identity; known are controller"},
                {"secret_kez: " HEX "\n", "did you mean 'secret_key'?"},
                {"secret_key: 5ec3e7\n", ":1: secret_key has to be 64 hex digits; these are 6 characters"},
                {"secret_key: " HEX "5ec3e7\n", "these are 70 characters"},
                {"controller: a:1\ncontroller: b:1\n", ":2: 'controller' is here twice"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct identity identity;
                struct error error = {""};

                put(cases[i][0], 0600);
                assert_int_equal(identity_read(&identity, path, &error), -EINVAL);
                if (!strstr(error.text, cases[i][1]) || strstr(error.text, "5ec3e7"))
                        fail_msg("%s gave %s", cases[i][0], error.text);
        }
}

/* A secret that others may use is refused, whatever it says. */
static void test_modes(void **state)
{
        static const mode_t modes[] = {0640, 0604, 0660, 0644, 0610, 0601};

        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                struct identity identity;
                struct error error = {""};
                uint8_t key[SETTINGS_KEY_SIZE];

                put(HEX "\n", modes[i]);
                assert_int_equal(identity_read(&identity, path, &error), -EACCES);
                assert_non_null(strstr(error.text, "chmod 600"));
                assert_int_equal(settings_key(key, path, &error), -EACCES);
        }
}

static void test_key(void **state)
{
        static const char *const bad[] = {"", "zz", (HEX "0\n"), (HEX "\n\n"), (" " HEX)};
        uint8_t first[SETTINGS_KEY_SIZE], second[SETTINGS_KEY_SIZE], zero[SETTINGS_KEY_SIZE] = {0};
        struct error error = {""};
        struct stat status;

        assert_int_equal(settings_key(first, path, &error), 0);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_memory_not_equal(first, zero, sizeof(first));
        assert_int_equal(settings_key(second, path, &error), 0);
        assert_memory_equal(first, second, sizeof(first));
        put(HEX, 0600);
        assert_int_equal(settings_key(second, path, &error), 0);
        assert_int_equal(second[1], 0x11);
        /* a damaged key is never replaced by a new one */
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                put(bad[i], 0600);
                assert_int_equal(settings_key(second, path, &error), -EINVAL);
        }
        assert_int_equal(unlink(path), 0);
        assert_int_equal(settings_key(second, path, &error), 0);
        assert_memory_not_equal(first, second, sizeof(first));
}

static void test_controller(void **state)
{
        struct controller_settings settings = {.listen = "0.0.0.0:7117", .state = "/var/lib/muster"};
        struct error error = {""};

        put("listen: \"[::]:7000\"\nfleet: /etc/muster/fleet.yaml\n", 0644);
        assert_int_equal(controller_settings_read(&settings, path, &error), 0);
        assert_string_equal(settings.listen, "[::]:7000");
        assert_string_equal(settings.fleet, "/etc/muster/fleet.yaml");
        assert_string_equal(settings.state, "/var/lib/muster");
        assert_string_equal(settings.advertise, "");
        put("listen: b:1\nstate: lib\n", 0644);
        assert_int_equal(controller_settings_read(&settings, path, &error), -EINVAL);
        assert_non_null(strstr(error.text, ":2: state: 'lib' is not an absolute path"));
        assert_string_equal(settings.listen, "[::]:7000");
}

static void test_endpoints(void **state)
{
        static const char *const good[] = {"10.0.0.1:7117", "bastion:1", "[fd00::1]:65535", "[::]:7117"};
        static const char *const bad[] = {
                "",          "bastion",      ":7117", "bastion:", "bastion:0", "bastion:65536",
                "bastion:x", "fd00::1:7117", "a b:1", "[]:1",     "a'b:1",     "-b:1"};

        for (size_t i = 0; i < ELEMENTS(good); i++)
                assert_true(conf_is_endpoint(good[i]));
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                assert_false(conf_is_endpoint(bad[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_identity_refusals, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_key, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_controller, set_up, tear_down),
                cmocka_unit_test(test_endpoints),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
