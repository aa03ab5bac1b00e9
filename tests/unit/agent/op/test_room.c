/* Whether there is room for a rewrite; and that what a server says is fit to be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/op/reply.h"
#include "agent/op/room.h"

#define GB 1000000000ull

static void estimate_takes_the_smaller_bound(void **state)
{
        assert_int_equal(room_estimate(8 * GB, 16 * GB), 9 * GB);
        assert_int_equal(room_estimate(16 * GB, 8 * GB), 9 * GB);
        assert_int_equal(room_estimate(0, 8 * GB), 9 * GB);
        assert_int_equal(room_estimate(8 * GB, 0), 9 * GB);
        assert_int_equal(room_estimate(0, 0), 0);
        /* Numbers that a server made up do not wrap round to a small need. */
        assert_true(room_estimate(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
}

static void disk_must_hold_a_second_copy(void **state)
{
        struct room room = {.disk_known = true, .disk_needed = 3 * GB, .disk_available = 3 * GB - 1};
        struct error error = {0};

        assert_int_equal(room_check(&room, &error), -ENOSPC);
        assert_non_null(strstr(error.text, "3.0 GB"));
        room.disk_available++;
        assert_int_equal(room_check(&room, NULL), 0);
        room.disk_available = 0;
        room.disk_known = false;
        assert_int_equal(room_check(&room, NULL), 0);
}

static void memory_must_do_for_a_fork(void **state)
{
        struct room room = {.memory_used = 8 * GB, .memory = {.known = true, .available = 4 * GB - 1}};
        struct error error = {0};

        assert_int_equal(room_check(&room, &error), -ENOMEM);
        assert_non_null(strstr(error.text, "overcommit"));
        room.memory.swap_free++;
        assert_int_equal(room_check(&room, NULL), 0);
        /* No fork is refused, but what is written meanwhile is copied. */
        room.memory = (struct memory_facts){.known = true, .available = 2 * GB - 1, .overcommit = true};
        assert_int_equal(room_check(&room, &error), -ENOMEM);
        assert_non_null(strstr(error.text, "2.0 GB needed (a quarter of what Redis uses)"));
        room.memory.available++;
        assert_int_equal(room_check(&room, NULL), 0);
        room.memory = (struct memory_facts){0}; /* not known: nothing is refused for it */
        assert_int_equal(room_check(&room, NULL), 0);
}

/* With vm.overcommit_memory 2 what is free does not matter: what may still be promised does. */
static void a_limit_counts_the_whole_fork(void **state)
{
        struct room room = {.memory_used = 8 * GB,
                            .memory = {.known = true,
                                       .available = 64 * GB,
                                       .commit_limited = true,
                                       .commit_left = 8 * GB - 1}};
        struct error error = {0};

        assert_int_equal(room_check(&room, &error), -ENOMEM);
        assert_non_null(strstr(error.text, "vm.overcommit_memory is 2"));
        room.memory.commit_left++;
        room.memory.available = 0;
        assert_int_equal(room_check(&room, NULL), 0);
}

static void reads_this_host(void **state)
{
        struct room room = {0};

        room_read(&room, "/");
        assert_true(room.disk_known);
        assert_true(room.memory.available > 0);
        room_read(&room, "");
        assert_false(room.disk_known);
        room_read(&room, "/no/such/folder");
        assert_false(room.disk_known);
}

static void shows_only_what_is_printable(void **state)
{
        redisReply reply = {.type = REDIS_REPLY_ERROR, .str = (char[]){"ERR \x1b[2J\xff\xfe\r\n~"}};
        char text[64], little[5];

        reply_text(text, sizeof(text), &reply);
        assert_string_equal(text, "ERR ?[2J????~");
        reply_text(little, sizeof(little), &reply);
        assert_string_equal(little, "ERR ");
        printable_copy(text, sizeof(text), NULL);
        assert_string_equal(text, "");
        reply = (redisReply){.type = REDIS_REPLY_NIL};
        reply_text(text, sizeof(text), &reply);
        assert_string_equal(text, "nothing");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(estimate_takes_the_smaller_bound),
                cmocka_unit_test(disk_must_hold_a_second_copy),
                cmocka_unit_test(memory_must_do_for_a_fork),
                cmocka_unit_test(a_limit_counts_the_whole_fork),
                cmocka_unit_test(reads_this_host),
                cmocka_unit_test(shows_only_what_is_printable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
