/* See look.h. The side that all are compared with is read first and kept; then one after the other. */
#include "agent/pm2/look.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

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

static int read_dump(pm2_look *look, struct pm2_side *side, struct pm2_list *ret, struct error *error)
{
        int r = pm2_dump_read(ret, &look->home, &side->saved_us, error);

        if (r != -ENOENT)
                return r;
        *ret = (struct pm2_list){.dump = true};
        side->absent = true;
        return 0;
}

static int read_snapshot(pm2_look *look, struct pm2_side *side, struct pm2_list *ret, struct error *error)
{
        cleanup_pm2_snapshot struct pm2_snapshot snapshot = {0};
        int r = 0;

        if (!side->name[0])
                r = pm2_snapshot_newest(look->folder, &look->home, side->name);
        if (r < 0)
                return error_set(error, r, "there is no snapshot of PM2 home %s yet", look->home.path);
        r = pm2_snapshot_read(&snapshot, look->folder, &look->home, side->name, error);
        if (r < 0)
                return r;
        side->saved_us = snapshot.saved_us;
        *ret = snapshot.list;
        snapshot.list = (struct pm2_list){0};
        return 0;
}

static int on_step(sd_event_source *source, void *userdata)
{
        pm2_look *look = userdata;
        cleanup_pm2_list struct pm2_list list = {0};
        struct error error = {0};
        struct pm2_side side = {0};
        int r;

        TEXT_COPY(side.name, look->to_is_read ? look->request.from[look->result.count] : look->request.to);
        if (text_equal(side.name, PM2_LOOK_LIVE)) {
                read_live(look);
                return 0;
        }
        if (text_equal(side.name, PM2_LOOK_DUMP))
                r = read_dump(look, &side, &list, &error);
        else
                r = read_snapshot(look, &side, &list, &error);
        take(look, r, &side, &list, &error);
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
