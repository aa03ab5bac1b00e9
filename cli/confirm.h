/* Asking before something is done. */
#pragma once

#include "cli/connect.h"

/* "Go on with this restore? Type yes: ". True: go on. False: *ret_exit is the program's, and why not is said,
 * with what that means (otherwise: "nothing was started"). */
bool confirm(session *session, const char *what, const char *otherwise, int *ret_exit);
