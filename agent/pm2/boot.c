/* See boot.h. */
#include "agent/pm2/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define MANAGER        "org.freedesktop.systemd1"
#define CALL_US        (60 * USEC_PER_SEC) /* Reload reads all units of the host */
#define UNIT_FILE_SIZE (256u << 10)
#define UNITS_MOST     4
#define RECORD_SIZE    (UNITS_MOST * PATH_SIZE + 2 * NAME_SIZE)
#define SINCE          "since " /* lines of the record that name no unit begin so */
#define RUN            "run "

struct pm2_boot {
        sd_bus *bus;
        sd_bus_slot *slot;
        struct pm2_home home;
        char record[PATH_SIZE];            /* "" where only looking */
        char units[UNITS_MOST][PATH_SIZE]; /* each a name, or the path that the name is linked to */
        size_t unit_count;
        size_t enabled_count; /* the first of them: those that are enabled, when they are to be held back */
        bool release;
        char run[NAME_SIZE]; /* for which they are held back, and since when: realtime */
        uint64_t since_us;
        pm2_boot_done done;
        void *userdata;
};

pm2_boot *pm2_boot_free(pm2_boot *self)
{
        if (!self)
                return NULL;
        sd_bus_slot_unref(self->slot);
        sd_bus_unref(self->bus);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_boot *, pm2_boot_free);

static const char *name_of(const char *unit)
{
        const char *slash = strrchr(unit, '/');

        return slash ? slash + 1 : unit;
}

/* All names with blanks between, as far as they fit. */
static void join_names(const pm2_boot *self, char *ret, size_t size)
{
        size_t used = 0;

        ret[0] = '\0';
        for (size_t i = 0; i < self->unit_count && used < size; i++)
                used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? " " : "",
                                         name_of(self->units[i]));
}

/* The callee may free it: nothing is touched after. */
static void finish(pm2_boot *self, int r, const struct error *error)
{
        char names[UNITS_MOST * UNIT_SIZE];

        join_names(self, names, sizeof(names));
        self->slot = sd_bus_slot_unref(self->slot);
        self->done(self->userdata, r, names, error);
}

/* --- the record --------------------------------------------------------------------------------------- */

static int record_path(char ret[PATH_SIZE], const char *folder, const struct pm2_home *home)
{
        char id[PM2_HOME_ID_SIZE];

        pm2_home_id(home, id);
        return snprintf(ret, PATH_SIZE, "%s/%s/boot-unit", folder, id) >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

static bool is_boot_unit(const char *name)
{
        size_t length = strlen(name);

        if (length >= UNIT_SIZE || !text_starts(name, "pm2-") || !text_ends(name, ".service"))
                return false;
        return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") ==
               length;
}

static void add_unit(pm2_boot *self, const char *unit)
{
        const char *name = name_of(unit);

        for (size_t i = 0; i < self->unit_count; i++)
                if (text_equal(name_of(self->units[i]), name))
                        return;
        if (self->unit_count < UNITS_MOST && is_boot_unit(name) && (name == unit || unit[0] == '/') &&
            text_copy(self->units[self->unit_count], PATH_SIZE, unit) == 0)
                self->unit_count++;
}

static int read_record(pm2_boot *self)
{
        cleanup_free char *text = NULL;
        char *rest, *line;
        int r = file_read(self->record, RECORD_SIZE, &text, NULL, NULL);

        if (r < 0)
                return r;
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                if (text_starts(line, SINCE))
                        (void)text_to_u64(line + strlen(SINCE), &self->since_us);
                else if (text_starts(line, RUN))
                        text_copy_cut(self->run, sizeof(self->run), line + strlen(RUN));
                else
                        add_unit(self, line);
        return 0;
}

static int write_record(pm2_boot *self, struct error *error)
{
        char text[RECORD_SIZE], folder[PATH_SIZE], run[NAME_SIZE];
        size_t used;
        int r;

        text_copy_cut(folder, sizeof(folder), self->record);
        *strrchr(folder, '/') = '\0';
        r = file_make_folders(folder, 0700, error);
        if (r < 0)
                return r;
        TEXT_COPY(run, self->run);
        self->since_us = time_realtime_us();
        read_record(self); /* what an earlier stop has held back stays so, and since then */
        used = (size_t)snprintf(text, sizeof(text), SINCE "%" PRIu64 "\n" RUN "%s\n", self->since_us, run);
        for (size_t i = 0; i < self->unit_count; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\n", self->units[i]);
        return file_write_atomic(self->record, text, used, 0600, error);
}

void pm2_boot_held(struct pm2_boot_held *ret, const char *folder, const struct pm2_home *home)
{
        pm2_boot self = {0};

        *ret = (struct pm2_boot_held){0};
        if (record_path(self.record, folder, home) < 0 || read_record(&self) < 0)
                return;
        ret->since_us = self.since_us;
        TEXT_COPY(ret->run, self.run);
        join_names(&self, ret->units, sizeof(ret->units));
}

/* --- calls, one after the other ------------------------------------------------------------------------- */

static int new_call(const pm2_boot *self, sd_bus_message **ret, const char *method)
{
        return sd_bus_message_new_method_call(self->bus, ret, MANAGER, "/org/freedesktop/systemd1",
                                              MANAGER ".Manager", method);
}

static int send_call(pm2_boot *self, sd_bus_message *call, sd_bus_message_handler_t handler)
{
        self->slot = sd_bus_slot_unref(self->slot);
        return sd_bus_call_async(self->bus, &self->slot, call, handler, self, CALL_US);
}

/* An error answer, told; 0 where it is none. */
static int refused(sd_bus_message *answer, const char *what, struct error *error)
{
        const sd_bus_error *cause = sd_bus_message_get_error(answer);

        if (!cause)
                return 0;
        return error_set(error, -sd_bus_error_get_errno(cause), "systemd, %s: %s", what,
                         cause->message ? cause->message : cause->name);
}

static int remove_record(const pm2_boot *self, struct error *error)
{
        if (unlink(self->record) < 0 && errno != ENOENT)
                return error_set(error, -errno, "cannot remove %s: %s", self->record, strerror(errno));
        return 0;
}

static int on_reloaded(sd_bus_message *answer, void *userdata, sd_bus_error *ignored)
{
        pm2_boot *self = userdata;
        struct error error = {0};
        int r = refused(answer, "reading its units again", &error);

        if (r == 0 && self->release)
                r = remove_record(self, &error);
        finish(self, r, &error);
        return 0;
}

static int on_changed(sd_bus_message *answer, void *userdata, sd_bus_error *ignored)
{
        pm2_boot *self = userdata;
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        struct error error = {0};
        int r = refused(answer, self->release ? "enabling" : "disabling", &error);

        if (r == 0)
                r = new_call(self, &call, "Reload");
        if (r >= 0)
                r = send_call(self, call, on_reloaded);
        if (r < 0)
                finish(self, r, &error);
        return 0;
}

/* What an earlier stop has held back is not disabled again: one that was linked is no unit any more, and for
 * its sake systemd would refuse the others. */
static int change(pm2_boot *self)
{
        size_t count = self->release ? self->unit_count : self->enabled_count;
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = new_call(self, &call, self->release ? "EnableUnitFiles" : "DisableUnitFiles");

        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "s");
        for (size_t i = 0; i < count && r >= 0; i++)
                r = sd_bus_message_append(call, "s",
                                          self->release ? self->units[i] : name_of(self->units[i]));
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r >= 0)
                r = self->release ? sd_bus_message_append(call, "bb", 0, 0)
                                  : sd_bus_message_append(call, "b", 0);
        return r < 0 ? r : send_call(self, call, on_changed);
}

/* --- looking ------------------------------------------------------------------------------------------ */

bool pm2_boot_is_for(const char *text, const struct pm2_home *home)
{
        size_t length = strlen(home->path);
        char user[NAME_SIZE + 16];
        bool names_a_home = false;

        for (const char *at = text; (at = strstr(at, "PM2_HOME=")); at++) {
                const char *path = at + strlen("PM2_HOME=");

                names_a_home = true;
                if (strncmp(path, home->path, length) == 0 && strchr(" \t\r\n\"'", path[length]))
                        return true; /* the end of the text counts: strchr finds NUL */
        }
        snprintf(user, sizeof(user), "\nUser=%s\n", home->user);
        return !names_a_home && home->user[0] && strstr(text, user);
}

/* A unit that was linked (`systemctl enable /opt/app/pm2-app.service`) is unlinked by systemd when it is
 * disabled, and then known by its file alone. The path as it was given: what it leads through ("current") may
 * be another when the unit is enabled again. */
static void take_unit(pm2_boot *self, const char *path)
{
        char target[PATH_MAX];
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        bool is_linked = length > 0;

        if (is_linked) {
                target[length] = '\0';
                is_linked = (target[0] == '/' || realpath(path, target)) &&
                            text_equal(name_of(target), name_of(path));
        }
        add_unit(self, is_linked ? target : name_of(path));
}

static int take_units(pm2_boot *self, sd_bus_message *answer)
{
        const char *path, *state;
        int r = sd_bus_message_enter_container(answer, 'a', "(ss)");

        while (r >= 0 && (r = sd_bus_message_read(answer, "(ss)", &path, &state)) > 0) {
                cleanup_free char *text = NULL;

                if (file_read(path, UNIT_FILE_SIZE, &text, NULL, NULL) == 0 &&
                    pm2_boot_is_for(text, &self->home))
                        take_unit(self, path);
        }
        self->enabled_count = self->unit_count;
        return r;
}

/* Leaves those of the record that have unit files: for one that is gone (`pm2 unstartup`, a package that was
 * removed) systemd would enable none. A path is for one that systemd does not know by its name. */
static int keep_known(pm2_boot *self, sd_bus_message *answer)
{
        bool known[UNITS_MOST] = {false};
        const char *path, *state;
        size_t kept = 0;
        int r = sd_bus_message_enter_container(answer, 'a', "(ss)");

        while (r >= 0 && (r = sd_bus_message_read(answer, "(ss)", &path, &state)) > 0) {
                for (size_t i = 0; i < self->unit_count; i++)
                        known[i] = known[i] || text_equal(name_of(self->units[i]), name_of(path));
        }
        for (size_t i = 0; r >= 0 && i < self->unit_count; i++) {
                const char *unit = known[i] ? name_of(self->units[i]) : self->units[i];

                if (known[i] || (unit[0] == '/' && access(unit, F_OK) == 0))
                        memmove(self->units[kept++], unit, strlen(unit) + 1);
        }
        self->unit_count = r < 0 ? self->unit_count : kept;
        return r;
}

static int on_known(sd_bus_message *answer, void *userdata, sd_bus_error *ignored)
{
        pm2_boot *self = userdata;
        struct error error = {0};
        int r = refused(answer, "listing its unit files", &error);

        if (r == 0)
                r = keep_known(self, answer);
        if (r >= 0 && self->unit_count > 0) {
                r = change(self);
                if (r >= 0)
                        return 0;
        } else if (r >= 0) {
                r = remove_record(self, &error);
        }
        finish(self, r, &error);
        return 0;
}

static int on_listed(sd_bus_message *answer, void *userdata, sd_bus_error *ignored)
{
        pm2_boot *self = userdata;
        struct error error = {0};
        int r = refused(answer, "listing its unit files", &error);

        if (r == 0)
                r = take_units(self, answer);
        if (r >= 0 && self->record[0] && self->unit_count > 0) {
                r = write_record(self, &error);
                if (r == 0)
                        r = change(self);
                if (r >= 0)
                        return 0;
        }
        finish(self, r < 0 ? r : 0, &error);
        return 0;
}

static int boot_new(pm2_boot **ret, sd_bus *bus, const struct pm2_home *home, pm2_boot_done done,
                    void *userdata)
{
        pm2_boot *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (pm2_boot){.bus = sd_bus_ref(bus), .home = *home, .done = done, .userdata = userdata};
        *ret = self;
        return 0;
}

static int list(pm2_boot *self)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = new_call(self, &call, "ListUnitFilesByPatterns");

        if (r >= 0)
                r = self->release ? sd_bus_message_append(call, "asas", 0, 1, "pm2-*.service")
                                  : sd_bus_message_append(call, "asas", 1, "enabled", 1, "pm2-*.service");
        return r < 0 ? r : send_call(self, call, self->release ? on_known : on_listed);
}

/* folder NULL: only looks. */
static int look(pm2_boot **ret, sd_bus *bus, const struct pm2_home *home, const char *folder, const char *run,
                pm2_boot_done done, void *userdata)
{
        cleanup_with(pm2_boot_freep) pm2_boot *self = NULL;
        int r = boot_new(&self, bus, home, done, userdata);

        if (r == 0 && folder)
                r = record_path(self->record, folder, home);
        if (r == 0)
                r = TEXT_COPY(self->run, run);
        if (r == 0)
                r = list(self);
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}

int pm2_boot_find(pm2_boot **ret, sd_bus *bus, const struct pm2_home *home, pm2_boot_done done,
                  void *userdata)
{
        return look(ret, bus, home, NULL, "", done, userdata);
}

int pm2_boot_hold(pm2_boot **ret, sd_bus *bus, const struct pm2_home *home, const char *folder,
                  const char *run, pm2_boot_done done, void *userdata)
{
        return look(ret, bus, home, folder, run, done, userdata);
}

int pm2_boot_release(pm2_boot **ret, sd_bus *bus, const struct pm2_home *home, const char *folder,
                     pm2_boot_done done, void *userdata)
{
        cleanup_with(pm2_boot_freep) pm2_boot *self = NULL;
        int r = boot_new(&self, bus, home, done, userdata);

        if (r == 0)
                r = record_path(self->record, folder, home);
        if (r == 0)
                r = read_record(self);
        if (r == 0 && self->unit_count == 0)
                r = -ENOENT;
        if (r < 0)
                return r;
        self->release = true;
        r = list(self);
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}
