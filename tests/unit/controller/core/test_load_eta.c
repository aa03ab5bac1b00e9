/* What is said of a load under way: per file, from the newest samples, learned or not, and always a range. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "controller/core/load_eta.h"

#define MB 1000000ull

static uint64_t middle(const struct load_left *left)
{
        return (left->low_us + left->high_us) / 2;
}

static void assert_near(uint64_t got, uint64_t wanted, double share)
{
        assert_in_range(got, (uint64_t)((double)wanted * (1 - share)),
                        (uint64_t)((double)wanted * (1 + share)));
}

/* Samples each 100 ms from *at on, at a rate in MB/s, until bytes are loaded. */
static void feed(struct load_eta *eta, uint64_t *at, uint64_t *bytes, uint64_t until, uint64_t mb_per_s)
{
        while (*bytes < until) {
                load_eta_sample(eta, *at, *bytes);
                *at += 100 * USEC_PER_MSEC;
                *bytes += mb_per_s * MB / 10;
        }
}

static void test_silent_before_progress(void **state)
{
        struct load_eta eta;
        struct load_left left;

        load_eta_begin(&eta, 100 * MB, 500 * MB, NULL);
        assert_int_equal(load_eta_left(&eta, &left), -ENODATA);
        load_eta_sample(&eta, 0, 0);
        assert_int_equal(load_eta_left(&eta, &left), -ENODATA);
        load_eta_sample(&eta, 5 * USEC_PER_SEC, 0);
        assert_int_equal(load_eta_left(&eta, &left), -ENODATA);
}

/* The base goes four times as fast as the rest: what was its rate says nothing once the rest has begun. */
static void test_each_file_its_own(void **state)
{
        struct load_eta eta;
        struct load_left left;
        uint64_t at = 0, bytes = 0;

        load_eta_begin(&eta, 400 * MB, 1400 * MB, NULL);
        feed(&eta, &at, &bytes, 400 * MB, 200);
        feed(&eta, &at, &bytes, 450 * MB, 50);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), (1400 - 445) * USEC_PER_SEC / 50, 0.02);
        assert_true(left.low_us < middle(&left) && left.high_us > middle(&left));
}

/* Learned at half today's speed: both files are taken to go twice as fast. */
static void test_learned_is_corrected(void **state)
{
        struct plan_rate rate = {.base_bytes_per_s = 100e6, .incremental_bytes_per_s = 25e6, .loads = 1};
        struct load_eta eta;
        struct load_left left;
        uint64_t at = 0, bytes = 0;

        load_eta_begin(&eta, 800 * MB, 1800 * MB, &rate);
        assert_int_equal(load_eta_left(&eta, &left), -ENODATA);
        load_eta_sample(&eta, 0, 0);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), 48 * USEC_PER_SEC, 0.01);
        feed(&eta, &at, &bytes, 600 * MB, 200);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), (200 * USEC_PER_SEC / 200 + 1000 * USEC_PER_SEC / 50), 0.12);
}

/* Nothing is known of the incremental file: the range has to say so. */
static void test_guess_is_wide(void **state)
{
        struct load_eta eta;
        struct load_left left;
        uint64_t at = 0, bytes = 0;

        load_eta_begin(&eta, 400 * MB, 1400 * MB, NULL);
        feed(&eta, &at, &bytes, 300 * MB, 100);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_true(left.high_us > 4 * left.low_us);
        assert_true(left.low_us < 11 * USEC_PER_SEC && left.high_us > 30 * USEC_PER_SEC);
}

static void test_newest_counts(void **state)
{
        struct load_eta eta;
        struct load_left left;
        uint64_t at = 0, bytes = 0;

        load_eta_begin(&eta, 0, 1000 * MB, NULL);
        feed(&eta, &at, &bytes, 400 * MB, 100);
        feed(&eta, &at, &bytes, 600 * MB, 20);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), 20 * USEC_PER_SEC, 0.03);
}

/* More samples than are kept. */
static void test_long_load(void **state)
{
        struct load_eta eta;
        struct load_left left;
        uint64_t at = 0, bytes = 0;

        load_eta_begin(&eta, 0, 10000 * MB, NULL);
        feed(&eta, &at, &bytes, 9000 * MB, 10);
        assert_true(eta.count <= LOAD_ETA_SAMPLES);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), 100 * USEC_PER_SEC, 0.01);
}

static void test_hostile_samples(void **state)
{
        struct load_eta eta;
        struct load_left left;
        uint64_t at = 0, bytes = 0;

        load_eta_begin(&eta, 2000 * MB, 1000 * MB, NULL);
        assert_int_equal(eta.base_bytes, 1000 * MB);
        feed(&eta, &at, &bytes, 500 * MB, 100);
        load_eta_sample(&eta, at, 10 * MB); /* a new load */
        assert_int_equal(eta.count, 1);
        assert_int_equal(load_eta_left(&eta, &left), -ENODATA);
        load_eta_sample(&eta, at - 1, 20 * MB);
        assert_int_equal(eta.count, 1);
        load_eta_sample(&eta, at - 1, 30 * MB);
        assert_int_equal(eta.count, 1);
        load_eta_sample(&eta, at, UINT64_MAX);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_int_equal(left.high_us, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_silent_before_progress), cmocka_unit_test(test_each_file_its_own),
                cmocka_unit_test(test_learned_is_corrected),   cmocka_unit_test(test_guess_is_wide),
                cmocka_unit_test(test_newest_counts),          cmocka_unit_test(test_long_load),
                cmocka_unit_test(test_hostile_samples),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
