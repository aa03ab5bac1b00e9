/* Asking before something is done. */
#pragma once

#include "cli/connect.h"

/* "Go on with this restore? Type yes: ". True: go on. False: *ret_exit is the program's, and why not is said.
 */
bool confirm(session *session, const char *what, int *ret_exit);
