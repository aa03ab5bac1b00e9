/* See look.h. The side that all are compared with is read first and kept; then one after the other. */
#include "agent/pm2/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pm2/dump.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/loop/aside.h"

#define FILES_US (10 * USEC_PER_SEC)

struct pm2_look {
        sd_event *event;
        struct pm2_home home;
        char folder[PATH_SIZE];
        struct pm2_look_request request;
        uint64_t timeout_us;
        pm2_look_done done;
        void *userdata;
        sd_event_source *step; /* owned: the next side, in a turn of its own */
        pm2_read *read;        /* of the live list, while it is under way */
        aside *aside;          /* owned: what files are read with */
        struct pm2_list to;
        bool to_is_read;
        struct pm2_look_result result;
};

pm2_look *pm2_look_free(pm2_look *look)
{
        if (!look)
                return NULL;
        sd_event_source_disable_unref(look->step);
        pm2_read_free(look->read);
        aside_free(look->aside);
        pm2_list_clear(&look->to);
        for (size_t i = 0; i < PM2_LOOKS_MAX; i++)
                pm2_diff_clear(&look->result.comparisons[i].diff);
        free(look);
        return NULL;
}
DEFINE_CLEANUP(pm2_look *, pm2_look_free);

void pm2_side_count(struct pm2_side *side, const struct pm2_list *list)
{
        side->apps = list->count;
        side->online = pm2_list_count(list, PM2_ONLINE);
        side->stopped = pm2_list_count(list, PM2_STOPPED);
        side->errored = pm2_list_count(list, PM2_ERRORED);
}

static void finish(pm2_look *look, int r, const struct error *error)
{
        look->done(look->userdata, r, r == 0 ? &look->result : NULL, error);
}

/* On to the next side in a later turn; a look that cannot go on ends. */
static void go_on(pm2_look *look)
{
        struct error error = {0};
        int r = sd_event_source_set_enabled(look->step, SD_EVENT_ONESHOT);

        if (r < 0)
                finish(look, error_set(&error, r, "the comparison cannot go on"), &error);
}

/* The present side was read, or could not be. The list is taken over. May end the look, which may free it. */
static void take(pm2_look *look, int r, struct pm2_side *side, struct pm2_list *list,
                 const struct error *error)
{
        struct pm2_comparison *comparison = &look->result.comparisons[look->result.count];

        if (r == 0)
                pm2_side_count(side, list);
        if (!look->to_is_read) {
                if (r < 0) {
                        finish(look, r, error);
                        return;
                }
                look->to_is_read = true;
                look->result.to = *side;
                look->to = *list;
                *list = (struct pm2_list){0};
                go_on(look);
                return;
        }
        comparison->from = *side;
        if (r == 0)
                r = pm2_diff_compute(&comparison->diff, list, &look->to, look->request.flags);
        comparison->failure = r;
        if (r < 0)
                error_set(&comparison->error, r, "%s", error_text(error, r));
        if (++look->result.count == look->request.from_count)
                finish(look, 0, NULL);
        else
                go_on(look);
}

/* What is to be read next. */
static void name_side(const pm2_look *look, struct pm2_side *ret)
{
        TEXT_COPY(ret->name, look->to_is_read ? look->request.from[look->result.count] : look->request.to);
}

static bool is_no_daemon(int r)
{
        return r == -ENOENT || r == -ECONNREFUSED;
}

static void on_live(void *userdata, int r, struct pm2_list *read, struct pm2_daemon_facts *facts,
                    const struct error *error)
{
        struct pm2_side side = {.name = PM2_LOOK_LIVE, .saved_us = time_realtime_us()};
        cleanup_pm2_list struct pm2_list list = *read;
        struct error why = error ? *error : (struct error){0};
        pm2_look *look = userdata;

        *read = (struct pm2_list){0};
        look->read = pm2_read_free(look->read);
        side.absent = is_no_daemon(r);
        take(look, side.absent ? 0 : r, &side, &list, &why);
}

static void read_live(pm2_look *look)
{
        struct pm2_side side = {.name = PM2_LOOK_LIVE, .saved_us = time_realtime_us()};
        struct pm2_list empty = {0};
        struct error error = {0};
        int r = pm2_read_new(&look->read, look->event, &look->home, false, look->timeout_us, on_live, look,
                             &error);

        if (r == 0)
                return;
        side.absent = is_no_daemon(r);
        take(look, side.absent ? 0 : r, &side, &empty, &error);
}

/* --- what stands in files, beside the loop ------------------------------------------------------------ */

/* Megabytes that are read, parsed and hashed; and the dump is on the home's disk, which may hang. */
struct files_look {
        struct pm2_home home;
        char folder[PATH_SIZE];
        struct pm2_side side; /* its name says what is to be read */
        struct pm2_list list; /* owned */
        int result;
        struct error error;
};

static int read_dump(struct files_look *files)
{
        int r = pm2_dump_read(&files->list, &files->home, &files->side.saved_us, &files->error);

        if (r != -ENOENT)
                return r;
        files->error = (struct error){0};
        files->list = (struct pm2_list){.dump = true};
        files->side.absent = true;
        return 0;
}

static int read_snapshot(struct files_look *files)
{
        cleanup_pm2_snapshot struct pm2_snapshot snapshot = {0};
        struct pm2_side *side = &files->side;
        int r = 0;

        if (!side->name[0])
                r = pm2_snapshot_newest(files->folder, &files->home, side->name);
        if (r < 0)
                return error_set(&files->error, r, "there is no snapshot of PM2 home %s yet",
                                 files->home.path);
        r = pm2_snapshot_read(&snapshot, files->folder, &files->home, side->name, &files->error);
        if (r < 0)
                return r;
        side->saved_us = snapshot.saved_us;
        files->list = snapshot.list;
        snapshot.list = (struct pm2_list){0};
        return 0;
}

static void read_files(void *data)
{
        struct files_look *files = data;

        files->result = text_equal(files->side.name, PM2_LOOK_DUMP) ? read_dump(files) : read_snapshot(files);
}

static void clear_files(void *data)
{
        struct files_look *files = data;

        pm2_list_clear(&files->list);
}

static void on_files(int result, void *data, void *userdata)
{
        pm2_look *look = userdata;
        struct files_look *files = data;
        cleanup_pm2_list struct pm2_list list = {0};
        struct pm2_side side = {0};
        struct error error = {0};

        if (!files) {
                name_side(look, &side);
                error_set(&error, result, "%s of PM2 home %s cannot be read: %s",
                          text_equal(side.name, PM2_LOOK_DUMP) ? "the dump" : "a snapshot", look->home.path,
                          result == -ETIMEDOUT ? "its disk or network file system does not answer"
                                               : strerror(-result));
                take(look, result, &side, &list, &error);
                return;
        }
        list = files->list;
        files->list = (struct pm2_list){0};
        side = files->side;
        error = files->error;
        take(look, files->result, &side, &list, &error);
}

static void read_side(pm2_look *look, const struct pm2_side *side)
{
        struct files_look files = {.home = look->home, .side = *side};
        int r = 0;

        TEXT_COPY(files.folder, look->folder);
        if (!look->aside)
                r = aside_new_once(&look->aside, look->event);
        if (r == 0)
                r = aside_run_owning(look->aside, &files, sizeof(files), read_files, clear_files, FILES_US,
                                     on_files, look);
        if (r < 0)
                on_files(r, NULL, look);
}

static int on_step(sd_event_source *source, void *userdata)
{
        pm2_look *look = userdata;
        struct pm2_side side = {0};

        name_side(look, &side);
        if (text_equal(side.name, PM2_LOOK_LIVE))
                read_live(look);
        else
                read_side(look, &side);
        return 0;
}

int pm2_look_new(pm2_look **ret, sd_event *event, const struct pm2_home *home, const char *folder,
                 const struct pm2_look_request *request, uint64_t timeout_us, pm2_look_done done,
                 void *userdata, struct error *error)
{
        cleanup_with(pm2_look_freep) pm2_look *look = NULL;
        int r;

        if (request->from_count == 0 || request->from_count > PM2_LOOKS_MAX)
                return error_set(error, -EINVAL, "1 to %d sides can be compared with one, not %zu",
                                 PM2_LOOKS_MAX, request->from_count);
        look = calloc(1, sizeof(*look));
        if (!look)
                return -ENOMEM;
        look->event = event;
        look->home = *home;
        look->request = *request;
        look->timeout_us = timeout_us;
        look->done = done;
        look->userdata = userdata;
        if (TEXT_COPY(look->folder, folder) < 0)
                return error_set(error, -ENAMETOOLONG, "the folder of the snapshots has too long a path");
        r = sd_event_add_defer(event, &look->step, on_step, look);
        if (r < 0)
                return r;
        *ret = TAKE(look);
        return 0;
}
