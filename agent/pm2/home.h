/* A PM2 home: the folder that holds one daemon's sockets, and the user whom both belong to.
 *
 * Everything below a home is written by that user, who may be hostile to root: the agent never creates or
 * opens for writing anything in it, checks who serves the socket, and reads only files the user owns. */
#pragma once

#include <sys/types.h>

#include "common/base/error.h"
#include "common/model/service.h"

struct pm2_home {
        char path[PATH_SIZE];      /* PM2_HOME, absolute, without a slash at its end */
        char user[NAME_SIZE];      /* "" where the uid has no name */
        char user_home[PATH_SIZE]; /* the user's own folder */
        uid_t uid;
        gid_t gid;
};

/* The home from its user's entry in the user database, as getent prints it
 * (name:x:uid:gid:gecos:folder:shell). path NULL or "": .pm2 in the user's folder. -EBADMSG: no such entry;
 * -EINVAL: path not absolute. Pure. */
int pm2_home_from_entry(struct pm2_home *ret, const char *entry, const char *path, struct error *error);

/* A name for the home that is fit for files and units: 16 hex digits from its path. */
#define PM2_HOME_ID_SIZE 17
void pm2_home_id(const struct pm2_home *home, char ret[PM2_HOME_ID_SIZE]);

/* What a log that the home's user owns says last, for people: the last line that names an error, or where
 * none does the last three that are not blank, a stack's or an object's; at most size bytes of text, control
 * bytes replaced, lines joined by " | ". "" where it was not written since since_us (realtime; 0: whenever).
 * -EPERM for a file of somebody else, a link or a device. Not solved: in a log that was written since, a line
 * may be of before all the same. */
int pm2_home_tail(const struct pm2_home *home, const char *path, uint64_t since_us, char *ret, size_t size);
