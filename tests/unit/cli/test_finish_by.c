/* --finish-by: times as people write them, where they write them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cli/cmd_plan_options.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define NOW 1795480200ull /* 2026-11-24T00:30:00Z, a Tuesday */

static void test_times(void **state)
{
        static const struct {
                const char *zone, *text;
                uint64_t wanted;
        } cases[] = {
                {"UTC", "06:00", NOW + 5 * 3600 + 1800},
                {"UTC", "00:30", NOW + 24 * 3600}, /* this very moment is over */
                {"UTC", "00:29", NOW + 24 * 3600 - 60},
                {"UTC", "00:30:01", NOW + 1},
                {"CET-1", "06:00", NOW + 4 * 3600 + 1800},
                {"CET-1", "06:00Z", NOW + 5 * 3600 + 1800},
                {"UTC", "06:00+01:00", NOW + 4 * 3600 + 1800},
                {"UTC", "20:00-05:00", NOW + 1800}, /* it is still the 23rd there, and half past seven */
                {"CET-1", "2026-11-24T06:00", NOW + 4 * 3600 + 1800},
                {"CET-1", "2026-11-25T06:00:00Z", NOW + 29 * 3600 + 1800},
                {"UTC", "2026-11-23T06:00Z", NOW - 18 * 3600 - 1800}, /* is over: the controller refuses it */
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint64_t us = 0;

                assert_int_equal(setenv("TZ", cases[i].zone, 1), 0);
                tzset();
                assert_int_equal(finish_by_parse(cases[i].text, NOW * USEC_PER_SEC, &us), 0);
                if (us != cases[i].wanted * USEC_PER_SEC)
                        fail_msg("%s in %s is %lld s from what it should be", cases[i].text, cases[i].zone,
                                 (long long)(us / USEC_PER_SEC) - (long long)cases[i].wanted);
        }
}

static void test_what_is_no_time(void **state)
{
        for (const char *const *text =
                     (const char *const[]){"", "6:00", "24:00", "06:60", "06", "06:00 ", "0600", "06:00z",
                                           "06:00+1", "06:00+15:00", "2026-11-24", "2026-11-31T06:00Z",
                                           "2026-13-01T06:00", "2026-11-24 06:00", "tomorrow", NULL};
             *text; text++) {
                uint64_t us;

                if (finish_by_parse(*text, NOW * USEC_PER_SEC, &us) != -EINVAL)
                        fail_msg("'%s' is taken for a time", *text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_what_is_no_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
