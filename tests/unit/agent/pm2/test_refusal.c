/* What PM2's refusals mean. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/pm2/refusal.h"
#include "common/base/cleanup.h"

static void test_by_its_text(void **state)
{
        static const struct {
                const char *text;
                enum pm2_refusal refusal;
        } cases[] = {
                {"PM2 refused deleteProcessId: 3 : id unknown", PM2_REFUSAL_GONE},
                {"PM2 refused deleteProcessId: Error: 3 : id unknown", PM2_REFUSAL_GONE},
                {"PM2 refused restartProcessId: God db process id unknown", PM2_REFUSAL_GONE},
                {"PM2 refused restartProcessId: Process with pid 4711 already exists", PM2_REFUSAL_LIVES},
                {"PM2 refused restartProcessId: [RestartProcessId] PM2 is being killed, stopping restart "
                 "procedure...",
                 PM2_REFUSAL_ENDS},
                {"PM2 refused restartProcessId: ENOENT: no such file or directory", PM2_REFUSAL_OTHER},
                {"", PM2_REFUSAL_OTHER},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct error error = {0};

                error_set(&error, -EREMOTEIO, "%s", cases[i].text);
                assert_int_equal(pm2_refusal_of(-EREMOTEIO, &error), cases[i].refusal);
                assert_int_equal(pm2_refusal_of(-ETIMEDOUT, &error), PM2_REFUSAL_NONE);
                assert_int_equal(pm2_refusal_of(0, &error), PM2_REFUSAL_NONE);
        }
        assert_int_equal(pm2_refusal_of(-EREMOTEIO, NULL), PM2_REFUSAL_OTHER);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_by_its_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
