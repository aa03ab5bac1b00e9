/* How many at once: never none, never too many, fewer when starts take long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/pm2/wave.h"

/* A host of that many processors: a start takes 100 ms alone, and longer the more are at work. */
static unsigned limit_after(unsigned processors, unsigned most, unsigned starts, double burden)
{
        struct wave wave;

        wave_init(&wave, processors, most);
        for (unsigned i = 0; i < starts; i++) {
                double at_work;

                while (wave_room(&wave) > 0)
                        wave_begin(&wave);
                at_work = wave.in_flight > processors ? (double)wave.in_flight / processors : 1;
                wave_end(&wave, (uint64_t)(100000 * (1 + (at_work - 1) * burden)));
                assert_true(wave.limit >= 1);
                assert_true(wave.limit <= (most ? most : 64));
        }
        return wave.limit;
}

static void test_grows_where_starts_are_cheap(void **state)
{
        assert_true(limit_after(2, 0, 2000, 0) > 30);
        assert_int_equal(limit_after(2, 8, 2000, 0), 8);
}

static void test_holds_where_processors_bound_it(void **state)
{
        unsigned limit = limit_after(2, 0, 2000, 3);

        assert_true(limit >= 6);
        assert_true(limit <= 18);
}

static void test_least(void **state)
{
        struct wave wave;

        wave_init(&wave, 0, 0);
        assert_true(wave_room(&wave) > 0);
        wave_init(&wave, 64, 1);
        assert_int_equal(wave_room(&wave), 1);
        wave_begin(&wave);
        assert_int_equal(wave_room(&wave), 0);
        wave_cancel(&wave);
        wave_cancel(&wave);
        assert_int_equal(wave_room(&wave), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_grows_where_starts_are_cheap),
                cmocka_unit_test(test_holds_where_processors_bound_it),
                cmocka_unit_test(test_least),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
