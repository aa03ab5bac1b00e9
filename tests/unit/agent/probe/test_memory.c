/* What a host's memory allows, by the texts of /proc: each of the kernel's three rules, and files that say
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/probe/memory.h"

static const char meminfo[] = "MemTotal:        8000000 kB\n"
                              "MemFree:          100000 kB\n"
                              "MemAvailable:    2000000 kB\n"
                              "SwapTotal:       1000000 kB\n"
                              "SwapFree:         500000 kB\n"
                              "CommitLimit:     5000000 kB\n"
                              "Committed_AS:    4000000 kB\n";

static void test_each_rule(void **state)
{
        struct memory_facts memory;

        memory_parse(&memory, meminfo, "0\n");
        assert_true(memory.known);
        assert_int_equal(memory.total, 8000000ull * 1024);
        assert_int_equal(memory.available, 2000000ull * 1024);
        assert_int_equal(memory.swap_total, 1000000ull * 1024);
        assert_int_equal(memory.swap_free, 500000ull * 1024);
        assert_false(memory.overcommit);
        assert_false(memory.commit_limited);
        memory_parse(&memory, meminfo, "1\n");
        assert_true(memory.overcommit);
        assert_false(memory.commit_limited);
        memory_parse(&memory, meminfo, "2\n");
        assert_false(memory.overcommit);
        assert_true(memory.commit_limited);
        assert_int_equal(memory.commit_left, 1000000ull * 1024);
        memory_parse(&memory, "CommitLimit: 10 kB\nCommitted_AS: 20 kB\n", "2");
        assert_true(memory.commit_limited);
        assert_int_equal(memory.commit_left, 0);
}

static void test_nothing_said(void **state)
{
        struct memory_facts memory;

        memory_parse(&memory, "", "");
        assert_false(memory.known);
        memory_parse(&memory, "MemAvailable: many\n  MemTotal: 3 kB\n", "2");
        assert_int_equal(memory.total, 0);
        assert_int_equal(memory.available, 0);
        assert_false(memory.commit_limited); /* a limit that is not told is none to go by */
        memory_read(&memory);
        assert_true(memory.known);
        assert_true(memory.total > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_rule),
                cmocka_unit_test(test_nothing_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
