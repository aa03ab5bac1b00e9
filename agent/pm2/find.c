/* See find.h. */
#include "agent/pm2/find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/pm2/spawn.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define TIMEOUT_US (10 * USEC_PER_SEC)
#define LOOK_US    (5 * USEC_PER_SEC)
#define GETENT     "/usr/bin/getent"
#define NOT_FOUND  2 /* getent's exit status */

struct pm2_find {
        sd_event *event;
        sd_event_source *end, *deadline;
        int pidfd, output; /* getent, and what it prints: less than a pipe holds, so its end is waited for */
        char key[NAME_SIZE];
        bool by_name;
        char path[PATH_SIZE];
        gid_t gid; /* of the path */
        uint64_t timeout_us;
        aside *own, *lent;
        struct pm2_home home; /* once it is known whose it is */
        pm2_find_done done;
        void *userdata;
};

pm2_find *pm2_find_free(pm2_find *self)
{
        if (!self)
                return NULL;
        sd_event_source_disable_unref(self->end);
        sd_event_source_disable_unref(self->deadline);
        aside_free(self->own);
        if (self->lent)
                aside_forget(self->lent);
        spawn_abandon(self->event, self->pidfd);
        if (self->output >= 0)
                close(self->output);
        sd_event_unref(self->event);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_find *, pm2_find_free);

/* The callee may free it: nothing is touched after. */
static void finish(pm2_find *self, int r, const struct pm2_home *home, const struct error *error)
{
        self->end = sd_event_source_disable_unref(self->end);
        self->deadline = sd_event_source_disable_unref(self->deadline);
        self->done(self->userdata, r, r == 0 ? home : NULL, error);
}

static int on_deadline(sd_event_source *source, uint64_t now, void *userdata)
{
        pm2_find *self = userdata;
        struct error error = {0};

        error_set(&error, -ETIMEDOUT, "the user database did not say in time who %s is (getent passwd %s)",
                  self->key, self->key);
        finish(self, -ETIMEDOUT, NULL, &error);
        return 0;
}

/* A number is taken for an id by getent: what was asked for has to be what is answered. */
static bool is_asked_for(const pm2_find *self, const struct pm2_home *home)
{
        char id[24];

        snprintf(id, sizeof(id), "%u", home->uid);
        return text_equal(self->key, self->by_name ? home->user : id);
}

static int take_answer(pm2_find *self, struct pm2_home *ret, struct error *error)
{
        char text[PATH_SIZE * 2 + 1], *newline;
        ssize_t n = read(self->output, text, sizeof(text) - 1);
        int r;

        if (n < 0)
                return -errno;
        text[n] = '\0';
        newline = strchr(text, '\n');
        if (newline)
                *newline = '\0';
        r = pm2_home_from_entry(ret, text, self->path, error);
        if (r == 0 && !is_asked_for(self, ret))
                r = error_set(error, -ENOENT, "there is no user %s on this host", self->key);
        return r;
}

/* An id without a name: a home may belong to one. */
static int nameless(const pm2_find *self, struct pm2_home *ret, struct error *error)
{
        char entry[64];
        int r;

        snprintf(entry, sizeof(entry), ":x:%s:%s::/:", self->key, self->key);
        r = pm2_home_from_entry(ret, entry, self->path, error);
        if (r == 0)
                ret->gid = self->gid;
        return r;
}

/* --- looking at its files, beside the loop -------------------------------------------------------------- */

struct look {
        char path[PATH_SIZE];
        int result; /* of the folder; the socket in it only has to be answered for */
        uid_t uid;
        gid_t gid;
};

static void look(void *data)
{
        struct look *self = data;
        char path[PATH_SIZE + sizeof("/rpc.sock")];
        struct stat status;

        self->result = stat(self->path, &status) < 0 ? -errno : 0;
        if (self->result < 0)
                return;
        self->uid = status.st_uid;
        self->gid = status.st_gid;
        snprintf(path, sizeof(path), "%s/rpc.sock", self->path);
        (void)stat(path, &status);
}

static int hung(const char *path, struct error *error)
{
        return error_set(
                error, -ETIMEDOUT,
                "PM2 home %s does not answer: mend the disk or the network file system that it is on "
                "(dmesg | tail; mount)",
                path);
}

static int run_look(pm2_find *self, const char *path, aside_done done, struct error *error)
{
        struct look data = {0};
        int r = 0;

        TEXT_COPY(data.path, path);
        if (!self->lent && !self->own)
                r = aside_new_once(&self->own, self->event);
        if (r == 0)
                r = aside_run(self->lent ? self->lent : self->own, &data, sizeof(data), look, LOOK_US, done,
                              self);
        if (r == -EBUSY) /* the look before still does */
                return hung(path, error);
        return r < 0 ? error_set(error, r, "PM2 home %s cannot be looked at: %s", path,
                                 r == -EAGAIN ? "too many looks at disks hang" : strerror(-r))
                     : 0;
}

/* It is known whose it is: that it answers is all that is left to know. */
static void on_checked(int result, void *data, void *userdata)
{
        pm2_find *self = userdata;
        struct error error = {0};

        finish(self, result < 0 ? hung(self->home.path, &error) : 0, &self->home, &error);
}

/* --- whose it is ---------------------------------------------------------------------------------------- */

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        pm2_find *self = userdata;
        struct error error = {0};
        int status = spawn_status(self->pidfd), r;

        self->end = sd_event_source_disable_unref(self->end);
        self->deadline = sd_event_source_disable_unref(self->deadline);
        if (status == 0)
                r = take_answer(self, &self->home, &error);
        else if (status == NOT_FOUND && !self->by_name)
                r = nameless(self, &self->home, &error);
        else if (status == NOT_FOUND)
                r = error_set(&error, -ENOENT, "there is no user %s on this host", self->key);
        else
                r = error_set(&error, -EIO, "the user database could not be asked who %s is (getent: %d)",
                              self->key, status);
        if (r == 0 && self->by_name)
                r = run_look(self, self->home.path, on_checked, &error);
        if (r < 0 || !self->by_name) /* else it was looked at to know whom to ask for */
                finish(self, r, &self->home, &error);
        return 0;
}

static int ask(pm2_find *self, struct error *error)
{
        int ends[2], r;

        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        self->output = ends[0];
        r = spawn_child(&self->pidfd, (char *[]){(char *)GETENT, (char *)"passwd", self->key, NULL}, -1,
                        ends[1]);
        close(ends[1]);
        if (r < 0)
                return error_set(error, r, "cannot run " GETENT ": %s", strerror(-r));
        r = sd_event_add_io(self->event, &self->end, self->pidfd, EPOLLIN, on_end, self);
        if (r >= 0)
                r = sd_event_add_time_relative(self->event, &self->deadline, CLOCK_BOOTTIME, self->timeout_us,
                                               0, on_deadline, self);
        return r < 0 ? r : 0;
}

/* The owner of the path is to be asked for. */
static void on_owner(int result, void *data, void *userdata)
{
        const struct look *seen = data;
        pm2_find *self = userdata;
        struct error error = {0};
        int r;

        if (result < 0) {
                r = hung(self->path, &error);
        } else if (seen->result < 0) {
                r = error_set(&error, seen->result, "PM2 home %s: %s", self->path, strerror(-seen->result));
        } else {
                snprintf(self->key, sizeof(self->key), "%u", seen->uid);
                self->gid = seen->gid;
                r = ask(self, &error);
        }
        if (r < 0)
                finish(self, r, NULL, &error);
}

/* The user by name, or the owner of the path by id. */
static int begin(pm2_find *self, const char *user, const char *path, struct error *error)
{
        if (TEXT_COPY(self->path, path ? path : "") < 0)
                return error_set(error, -ENAMETOOLONG, "the path of the PM2 home is too long");
        self->by_name = user && *user;
        if (self->by_name)
                return TEXT_COPY(self->key, user) < 0 || user[0] == '-'
                               ? error_set(error, -EINVAL, "\"%.64s\" is no name of a user", user)
                               : ask(self, error);
        if (!self->path[0])
                return error_set(error, -EINVAL, "neither a user nor a PM2 home was named");
        return run_look(self, self->path, on_owner, error);
}

static pm2_find *find_make(sd_event *event, uint64_t timeout_us, aside *lent, pm2_find_done done,
                           void *userdata)
{
        pm2_find *self = calloc(1, sizeof(*self));

        if (self)
                *self = (pm2_find){.event = sd_event_ref(event),
                                   .pidfd = -1,
                                   .output = -1,
                                   .lent = lent,
                                   .timeout_us = timeout_us ? timeout_us : TIMEOUT_US,
                                   .done = done,
                                   .userdata = userdata};
        return self;
}

int pm2_find_new(pm2_find **ret, sd_event *event, const char *user, const char *path, uint64_t timeout_us,
                 aside *lent, pm2_find_done done, void *userdata, struct error *error)
{
        cleanup_with(pm2_find_freep) pm2_find *self = find_make(event, timeout_us, lent, done, userdata);
        int r;

        if (!self)
                return -ENOMEM;
        r = begin(self, user, path, error);
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}

int pm2_find_again(pm2_find **ret, sd_event *event, const struct pm2_home *home, aside *lent,
                   pm2_find_done done, void *userdata, struct error *error)
{
        cleanup_with(pm2_find_freep) pm2_find *self = find_make(event, 0, lent, done, userdata);
        int r;

        if (!self)
                return -ENOMEM;
        self->home = *home;
        r = run_look(self, home->path, on_checked, error);
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}
