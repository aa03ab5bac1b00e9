/* Which identity file is used: --identity, $MUSTER_IDENTITY, ~/.config/muster/identity, or the admin's on the
 * controller's own machine, /var/lib/muster/admin. What is in it: common/conf/settings.h. */
#pragma once

#include <limits.h>

#include "common/base/error.h"

/* named: what --identity said, or NULL. A file that was named is taken as it is; of the usual places the
 * first that is there (or that may not be looked at) is taken. -ENOENT with a text if none is. */
int identity_file_find(char ret_path[PATH_MAX], const char *named, struct error *error);
