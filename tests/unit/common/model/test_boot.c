/* Boot ids: of a kernel, and of a soft reboot under it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/model/operation.h"

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "1123456789abcdef0123456789abcdef"

static void test_sound(void **state)
{
        static const char *const sound[] = {ONE, ONE "+0", ONE "+18446744073709551615"};
        static const char *const unsound[] = {
                "",        "0123",    ONE "0",
                ONE "+",   ONE "+x",  ONE "+1+2",
                ONE "+-1", ONE " +1", ONE "+18446744073709551616",
                "+1",      "x" ONE,   ONE "+000000000000000000000000000000000001",
        };

        for (size_t i = 0; i < ELEMENTS(sound); i++)
                assert_true(boot_id_is_sound(sound[i]));
        for (size_t i = 0; i < ELEMENTS(unsound); i++)
                assert_false(boot_id_is_sound(unsound[i]));
}

static void test_same_kernel(void **state)
{
        assert_true(boot_id_same_kernel(ONE, ONE));
        assert_true(boot_id_same_kernel(ONE, ONE "+7"));
        assert_true(boot_id_same_kernel(ONE "+5", ONE "+7"));
        assert_false(boot_id_same_kernel(ONE, TWO));
        assert_false(boot_id_same_kernel(ONE "+7", TWO "+7"));
        assert_false(boot_id_same_kernel(ONE, ""));
}

static void test_requests(void **state)
{
        struct operation_request request = {
                .id = ONE, .kind = OPERATION_HOST_REBOOT, .boot_id = TWO "+7", .soft = true};
        struct error error = {0};

        assert_int_equal(operation_request_check(&request, &error), 0);
        TEXT_COPY(request.boot_id, "7");
        assert_int_equal(operation_request_check(&request, &error), -EINVAL);
        request = (struct operation_request){
                .id = ONE, .kind = OPERATION_UNIT_STOP, .boot_id = TWO, .soft = true};
        assert_int_equal(operation_request_check(&request, &error), -EINVAL);
        assert_string_equal(error.text, "unit.stop: only a reboot can be soft");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sound),
                cmocka_unit_test(test_same_kernel),
                cmocka_unit_test(test_requests),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
