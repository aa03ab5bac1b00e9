/* The codec of records: what goes in comes out, and nothing else is accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/rpc/records.h"

static int read_one(struct record *ret, uint32_t stream, unsigned type, unsigned flags, size_t length,
                    size_t size)
{
        static uint8_t bytes[RECORDS_MAX + 100];

        record_write_header(bytes, stream, (enum record_type)type, flags, length);
        return record_read(ret, bytes, size);
}

static void test_round(void **state)
{
        struct record record;

        assert_int_equal(read_one(&record, 0x01020304, RECORD_MESSAGE, RECORD_MORE, 300, 400), 308);
        assert_int_equal(record.stream, 0x01020304);
        assert_int_equal(record.type, RECORD_MESSAGE);
        assert_int_equal(record.flags, RECORD_MORE);
        assert_int_equal(record.length, 300);
        assert_int_equal(read_one(&record, UINT32_MAX, RECORD_MESSAGE, 0, RECORD_PAYLOAD_MAX, RECORDS_MAX),
                         RECORDS_MAX);
        assert_int_equal(read_one(&record, 1, RECORD_CREDIT, 0, 4, 12), 12);
        assert_int_equal(read_one(&record, 1, RECORD_CANCEL, 0, 0, 8), 8);
        assert_int_equal(read_one(&record, 1, RECORD_END, 0, 0, 8), 8);
        assert_int_equal(read_one(&record, 1, RECORD_HEAD, 0, RECORD_HEAD_MAX, 600), 8 + RECORD_HEAD_MAX);
        assert_int_equal(read_one(&record, 0, RECORD_PING, 0, 0, 8), 8);
        assert_int_equal(read_one(&record, 0, RECORD_REKEY, 3, 64, 72), 72);
}

static void test_refused(void **state)
{
        static const struct {
                uint32_t stream;
                unsigned type, flags;
                size_t length, size;
        } cases[] = {
                {1, RECORD_MESSAGE, 0, 10, 17}, /* cut off */
                {1, RECORD_MESSAGE, 0, 0, 7},   /* half a header */
                {1, 0, 0, 0, 8},                /* no such type */
                {1, 9, 0, 0, 8},                /* nor that */
                {1, 255, 0, 0, 8},              /* nor that */
                {0, RECORD_MESSAGE, 0, 1, 9},   /* without a stream */
                {0, RECORD_HEAD, 0, 1, 9},      /* the same */
                {1, RECORD_PING, 0, 0, 8},      /* with one */
                {1, RECORD_REKEY, 1, 0, 8},     /* the same */
                {1, RECORD_MESSAGE, 2, 1, 9},   /* unknown flag */
                {1, RECORD_MESSAGE, 1, 0, 8},   /* a part of nothing */
                {1, RECORD_HEAD, 1, 1, 9},      /* a head in parts */
                {1, RECORD_HEAD, 0, 0, 8},      /* an empty head */
                {1, RECORD_HEAD, 0, 513, 600},  /* a large one */
                {1, RECORD_END, 0, 1025, 1100}, /* a large end */
                {1, RECORD_CANCEL, 0, 1, 9},    /* says something */
                {1, RECORD_CREDIT, 0, 3, 11},   /* short credit */
                {1, RECORD_CREDIT, 0, 5, 13},   /* long credit */
                {0, RECORD_PONG, 0, 1, 9},      /* says something */
                {0, RECORD_REKEY, 0, 0, 8},     /* no step */
                {0, RECORD_REKEY, 6, 0, 8},     /* one too many */
                {0, RECORD_REKEY, 1, 65, 80},   /* too long */
                {1, RECORD_MESSAGE, 0, RECORD_PAYLOAD_MAX + 1, RECORDS_MAX + 1},
        };
        struct record record;

        for (unsigned i = 0; i < ELEMENTS(cases); i++)
                if (read_one(&record, cases[i].stream, cases[i].type, cases[i].flags, cases[i].length,
                             cases[i].size) >= 0)
                        fail_msg("case %u was accepted", i);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round),
                cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
