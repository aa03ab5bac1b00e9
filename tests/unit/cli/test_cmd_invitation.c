/* Which addresses of an invitation lead nowhere from another machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cmd_invitation.h"
#include "common/base/cleanup.h"

static void test_local(void **state)
{
        assert_true(invitation_is_local("0.0.0.0:7117"));
        assert_true(invitation_is_local("[::]:7117"));
        assert_true(invitation_is_local("127.0.0.1:7117"));
        assert_true(invitation_is_local("[::1]:7117"));
        assert_false(invitation_is_local("10.127.0.1:7117"));
        assert_false(invitation_is_local("[fd00::1]:7117"));
        assert_false(invitation_is_local("bastion:7117"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_local)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
