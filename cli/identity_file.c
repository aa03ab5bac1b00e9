/* See identity_file.h. */
#include "cli/identity_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ADMIN_FILE "/var/lib/muster/admin"

static int take(char ret_path[PATH_MAX], const char *path, struct error *error)
{
        if (snprintf(ret_path, PATH_MAX, "%s", path) >= PATH_MAX)
                return error_set(error, -ENAMETOOLONG, "the identity file's path is too long");
        return 0;
}

int identity_file_find(char ret_path[PATH_MAX], const char *named, struct error *error)
{
        const char *variable = getenv("MUSTER_IDENTITY"), *home = getenv("HOME");
        char own[PATH_MAX] = "";

        if (named)
                return take(ret_path, named, error);
        if (variable && variable[0])
                return take(ret_path, variable, error);
        if (home && home[0] &&
            snprintf(own, sizeof(own), "%s/.config/muster/identity", home) < (int)sizeof(own) &&
            access(own, F_OK) == 0)
                return take(ret_path, own, error);
        if (access(ADMIN_FILE, F_OK) == 0)
                return take(ret_path, ADMIN_FILE, error);
        if (errno == EACCES)
                return error_set(error, -EACCES,
                                 "no identity: ~/.config/muster/identity is not there and " ADMIN_FILE
                                 " is not yours to read; use sudo, or give --identity FILE");
        return error_set(error, -ENOENT,
                         "no identity: neither ~/.config/muster/identity nor " ADMIN_FILE
                         " is there; give --identity FILE, or run this on the controller");
}
