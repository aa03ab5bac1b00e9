/* Which unit files are a home's, and the record of what is held back. */
#include <stdio.h>

#include "agent/pm2/boot.h"
#include "common/base/file.h"
#include "tests/unit/agent/pm2/lists.h"

static const struct pm2_home home = {.path = "/home/x/.pm2", .user = "x"};

static void test_is_for(void **state)
{
        assert_true(pm2_boot_is_for("[Service]\nUser=y\nEnvironment=PM2_HOME=/home/x/.pm2\n", &home));
        assert_true(pm2_boot_is_for("Environment=\"PM2_HOME=/home/x/.pm2\" A=b", &home));
        assert_true(pm2_boot_is_for("Environment=PM2_HOME=/home/x/.pm2", &home));
        assert_true(pm2_boot_is_for("[Service]\nUser=x\nExecStart=/usr/bin/pm2 resurrect\n", &home));
        assert_false(pm2_boot_is_for("[Service]\nUser=x\nEnvironment=PM2_HOME=/home/x/.pm2-other\n", &home));
        assert_false(pm2_boot_is_for("[Service]\nUser=xy\n", &home));
        assert_false(pm2_boot_is_for("", &home));
}

static void test_held(void **state)
{
        char folder[] = "/tmp/muster-boot.XXXXXX", path[PATH_SIZE], id[PM2_HOME_ID_SIZE], command[64];
        struct pm2_boot_held held;
        static const char record[] =
                "since 17\nrun r1\npm2-x.service\n../../etc/"
                "passwd\nssh.service\npm2-y@1.service\npm2-x.service\n/opt/app/pm2-z.service\n"
                "opt/pm2-w.service\n";

        assert_non_null(mkdtemp(folder));
        pm2_boot_held(&held, folder, &home);
        assert_string_equal(held.units, "");
        pm2_home_id(&home, id);
        snprintf(path, sizeof(path), "%s/%s", folder, id);
        assert_int_equal(file_make_folders(path, 0700, NULL), 0);
        strcat(path, "/boot-unit");
        assert_int_equal(file_write_atomic(path, record, strlen(record), 0600, NULL), 0);
        pm2_boot_held(&held, folder, &home);
        assert_string_equal(held.run, "r1");
        assert_int_equal(held.since_us, 17);
        assert_string_equal(held.units, "pm2-x.service pm2-y@1.service pm2-z.service");
        snprintf(command, sizeof(command), "rm -r %s", folder);
        assert_int_equal(system(command), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_is_for), cmocka_unit_test(test_held)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
