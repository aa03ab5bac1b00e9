/* AMP framing: what we write is what PM2 reads, and hostile bytes end in an error or in waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "agent/pm2/amp.h"

static const uint8_t known[] = {0x12, 0, 0, 0, 4, 'j', ':', '{', '}', 0, 0, 0, 3, 's', ':', '7'};

static void test_known_bytes(void **state)
{
        struct amp_argument arguments[] = {{(const uint8_t *)"j:{}", 4}, {(const uint8_t *)"s:7", 3}}, body;
        cleanup_buffer struct buffer out = {0};
        struct amp_message message;

        assert_int_equal(amp_encode(&out, arguments, 2), 0);
        assert_int_equal(out.size, sizeof(known));
        assert_memory_equal(out.data, known, sizeof(known));
        assert_int_equal(amp_decode(known, sizeof(known), 1024, &message), sizeof(known));
        assert_int_equal(message.count, 2);
        assert_int_equal(amp_argument_body(&message.arguments[0], "j:", &body), 0);
        assert_int_equal(body.size, 2);
        assert_memory_equal(body.bytes, "{}", 2);
        assert_int_equal(amp_argument_body(&message.arguments[1], "j:", &body), -EBADMSG);
}

static void test_every_cut_waits(void **state)
{
        for (size_t size = 0; size < sizeof(known); size++) {
                struct amp_message message = {.count = 99};

                assert_int_equal(amp_decode(known, size, 1024, &message), 0);
                assert_int_equal(message.count, 99);
        }
}

static void test_refused(void **state)
{
        static const uint8_t version[] = {0x22, 0, 0, 0, 0, 0, 0, 0, 0}, none[] = {0x10};
        static const uint8_t large[] = {0x11, 0xff, 0xff, 0xff, 0xff};
        struct amp_message message;

        assert_int_equal(amp_decode(version, sizeof(version), 1024, &message), -EBADMSG);
        assert_int_equal(amp_decode(none, sizeof(none), 1024, &message), -EBADMSG);
        assert_int_equal(amp_decode(large, sizeof(large), 64u << 20, &message), -EMSGSIZE);
        /* The limit holds for all arguments together, and is told before they have come. */
        assert_int_equal(amp_decode(known, sizeof(known), sizeof(known), &message), sizeof(known));
        assert_int_equal(amp_decode(known, sizeof(known), sizeof(known) - 1, &message), -EMSGSIZE);
        assert_int_equal(amp_decode(known, 5, 8, &message), -EMSGSIZE);
}

static void test_encode_refuses(void **state)
{
        struct amp_argument argument = {(const uint8_t *)"x", 1};
        cleanup_buffer struct buffer out = {0};

        assert_int_equal(amp_encode(&out, &argument, 0), -EINVAL);
        assert_int_equal(amp_encode(&out, &argument, AMP_ARGUMENTS_MAX + 1), -EINVAL);
        argument.size = (size_t)UINT32_MAX + 1;
        assert_int_equal(amp_encode(&out, &argument, 1), -EMSGSIZE);
        assert_int_equal(out.size, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known_bytes),
                cmocka_unit_test(test_every_cut_waits),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_encode_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
