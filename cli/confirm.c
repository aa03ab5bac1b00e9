/* See confirm.h. */
#include "cli/confirm.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/text.h"

bool confirm(session *session, const char *what, const char *otherwise, int *ret_exit)
{
        char line[64];
        int r;

        printf("\nGo on with this %s? Type yes: ", what);
        fflush(stdout);
        r = session_read_line(session, line, sizeof(line));
        if (r == 0 && text_equal(line, "yes"))
                return true;
        if (r != 0)
                putchar('\n');
        if (r == -ENOTCONN)
                *ret_exit = cli_fail(CLI_UNREACHABLE, "the link to the controller was lost; %s", otherwise);
        else
                *ret_exit = cli_fail(CLI_FAILED, "%s", otherwise);
        return false;
}
