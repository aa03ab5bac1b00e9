/* What is said of a load under way: per file, from the newest samples, learned or not, and always a range. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "controller/core/load_eta.h"

#define MB    1000000ull
#define START USEC_PER_SEC

static double zero; /* what the compiler need not divide by */

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
        load_eta_sample(&eta, START, 0);
        assert_int_equal(load_eta_left(&eta, &left), -ENODATA);
        load_eta_sample(&eta, 6 * USEC_PER_SEC, 0);
        assert_int_equal(load_eta_left(&eta, &left), -ENODATA);
}

/* The base goes four times as fast as the rest: what was its rate says nothing once the rest has begun. */
static void test_each_file_its_own(void **state)
{
        struct load_eta eta;
        struct load_left left;
        uint64_t at = START, bytes = 0;

        load_eta_begin(&eta, 400 * MB, 1400 * MB, NULL);
        feed(&eta, &at, &bytes, 400 * MB, 200);
        feed(&eta, &at, &bytes, 450 * MB, 50);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), (1400 - 445) * USEC_PER_SEC / 50, 0.02);
        assert_true(left.low_us < middle(&left) && left.high_us > middle(&left));
}

/* Learned at half today's speed: the more is seen, the more both files are taken to go twice as fast. */
static void test_learned_is_corrected(void **state)
{
        struct plan_rate rate = {100e6, 25e6, 1, {0.25, 0.5, 0.75}};
        uint64_t at = START, bytes = 0, early, late;
        struct load_eta eta;
        struct load_left left;

        load_eta_begin(&eta, 800 * MB, 1800 * MB, &rate);
        assert_int_equal(load_eta_left(&eta, &left), -ENODATA);
        load_eta_sample(&eta, START, 0);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), 48 * USEC_PER_SEC, 0.01);
        feed(&eta, &at, &bytes, 200 * MB, 200);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        early = middle(&left) * 100 / (600 * USEC_PER_SEC / 200 + 1000 * USEC_PER_SEC / 50);
        feed(&eta, &at, &bytes, 600 * MB, 200);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        late = middle(&left) * 100 / (200 * USEC_PER_SEC / 200 + 1000 * USEC_PER_SEC / 50);
        assert_in_range(early, 130, 190);
        assert_in_range(late, 105, 170);
        assert_true(late + 10 < early);
        feed(&eta, &at, &bytes, 800 * MB, 200);
        feed(&eta, &at, &bytes, 1300 * MB, 50);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), 500 * USEC_PER_SEC / 50, 0.25);
}

/* A hitch of a second at what was learned to be even: it is not taken for the pace of what is to come. */
static void test_learned_carries_over_a_hitch(void **state)
{
        struct plan_rate rate = {100e6, 50e6, 3, {0.25, 0.5, 0.75}};
        uint64_t at = START, bytes = 0;
        struct load_eta eta;
        struct load_left left;

        load_eta_begin(&eta, 1000 * MB, 2000 * MB, &rate);
        feed(&eta, &at, &bytes, 200 * MB, 100);
        at += USEC_PER_SEC;
        feed(&eta, &at, &bytes, 210 * MB, 100);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), 28 * USEC_PER_SEC, 0.3);
}

/* A base that slows down is known to do so: half its bytes after a third of its time. */
static void test_course(void **state)
{
        struct plan_rate rate = {100e6, 0, 1, {0.15, 1 / 3.0, 0.6}};
        uint64_t at = START, bytes = 0;
        struct load_eta eta;
        struct load_left left;

        load_eta_begin(&eta, 1000 * MB, 1000 * MB, &rate);
        feed(&eta, &at, &bytes, 250 * MB, 166);
        feed(&eta, &at, &bytes, 500 * MB, 136);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_near(middle(&left), 6666 * USEC_PER_MSEC, 0.03);
        assert_true(load_eta_pace(&eta) > 120e6 && load_eta_pace(&eta) < 150e6);
}

static void test_what_a_load_teaches(void **state)
{
        uint64_t at = START, bytes = 0;
        struct plan_rate seen, rate = {0};
        struct load_eta eta;

        load_eta_begin(&eta, 1000 * MB, 1500 * MB, NULL);
        assert_false(load_eta_learn(&eta, &seen));
        feed(&eta, &at, &bytes, 500 * MB, 200);
        feed(&eta, &at, &bytes, 1000 * MB, 100);
        feed(&eta, &at, &bytes, 1500 * MB, 50);
        assert_true(load_eta_learn(&eta, &seen));
        assert_true(seen.base_bytes_per_s > 130e6 && seen.base_bytes_per_s < 137e6);
        assert_true(seen.incremental_bytes_per_s > 49e6 && seen.incremental_bytes_per_s < 51e6);
        assert_true(seen.course[0] > 0.15 && seen.course[0] < 0.18);
        assert_true(seen.course[1] > 0.31 && seen.course[1] < 0.35);
        assert_true(seen.course[2] > 0.64 && seen.course[2] < 0.69);
        assert_true(load_rate_is_sound(&seen));

        load_rate_add(&rate, &seen);
        assert_true(rate.loads == 1 && rate.course[2] == seen.course[2]);
        assert_true(rate.base_bytes_per_s == seen.base_bytes_per_s);
        /* Twice as slow, and nothing said of the incremental files: the mean of the times. */
        seen = (struct plan_rate){.base_bytes_per_s = rate.base_bytes_per_s / 2, .loads = 1};
        load_rate_add(&rate, &seen);
        assert_true(rate.base_bytes_per_s > 87e6 && rate.base_bytes_per_s < 91e6);
        assert_true(rate.incremental_bytes_per_s > 49e6 && rate.loads == 2 && rate.course[0] > 0);
}

/* A load of no time, and one that was seen from its middle on. */
static void test_too_little_teaches_nothing(void **state)
{
        uint64_t at = START, bytes = 0;
        struct plan_rate seen;
        struct load_eta eta;

        load_eta_begin(&eta, 100 * MB, 100 * MB, NULL);
        feed(&eta, &at, &bytes, 100 * MB, 500);
        assert_false(load_eta_learn(&eta, &seen));
        bytes = 500 * MB;
        load_eta_begin(&eta, 1000 * MB, 1000 * MB, NULL);
        feed(&eta, &at, &bytes, 1000 * MB, 100);
        assert_true(load_eta_learn(&eta, &seen));
        assert_true(seen.course[0] == 0 && seen.base_bytes_per_s > 99e6);
}

static void test_unsound_rates(void **state)
{
        const struct plan_rate unsound[] = {
                {-1, 0, 1, {0}},
                {0, 0.0 / zero, 1, {0}},
                {1 / zero, 0, 1, {0}},
                {1, 1, 1, {0.5, 0.4, 0.9}},
                {1, 1, 1, {0.2, 0.5, 1.5}},
                {1, 1, 1, {0.2, 0, 0}},
                {1, 1, 1, {0.0 / zero, 0.5, 0.6}},
        };

        for (size_t i = 0; i < ELEMENTS(unsound); i++)
                assert_false(load_rate_is_sound(&unsound[i]));
        assert_true(load_rate_is_sound(&(struct plan_rate){0}));
}

/* What a replica gets from its master is not its files. */
static void test_whose_load(void **state)
{
        struct service_state state_of = {
                .kind = SERVICE_REDIS,
                .progress_total = 500,
                .redis = {.aof_enabled = true, .base_bytes = 100, .incremental_bytes = 400}};

        assert_int_equal(load_base(&state_of), 100);
        assert_true(load_is_own(&state_of));
        state_of.progress_total = 300;
        assert_int_equal(load_base(&state_of), 300);
        assert_false(load_is_own(&state_of));
        state_of.redis.aof_enabled = false;
        assert_true(load_is_own(&state_of));
}

/* Nothing is known of the incremental file: the range has to say so. */
static void test_guess_is_wide(void **state)
{
        struct load_eta eta;
        struct load_left left;
        uint64_t at = START, bytes = 0;

        load_eta_begin(&eta, 400 * MB, 1400 * MB, NULL);
        feed(&eta, &at, &bytes, 300 * MB, 100);
        assert_int_equal(load_eta_left(&eta, &left), 0);
        assert_true(left.high_us > 4 * left.low_us);
        assert_true(left.low_us < 11 * USEC_PER_SEC && left.high_us > 24 * USEC_PER_SEC);
}

static void test_newest_counts(void **state)
{
        struct load_eta eta;
        struct load_left left;
        uint64_t at = START, bytes = 0;

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
        uint64_t at = START, bytes = 0;

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
        uint64_t at = START, bytes = 0;

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
                cmocka_unit_test(test_silent_before_progress),
                cmocka_unit_test(test_each_file_its_own),
                cmocka_unit_test(test_learned_is_corrected),
                cmocka_unit_test(test_guess_is_wide),
                cmocka_unit_test(test_newest_counts),
                cmocka_unit_test(test_long_load),
                cmocka_unit_test(test_hostile_samples),
                cmocka_unit_test(test_learned_carries_over_a_hitch),
                cmocka_unit_test(test_course),
                cmocka_unit_test(test_what_a_load_teaches),
                cmocka_unit_test(test_too_little_teaches_nothing),
                cmocka_unit_test(test_unsound_rates),
                cmocka_unit_test(test_whose_load),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
