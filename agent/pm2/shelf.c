/* See shelf.h. */
#include "agent/pm2/shelf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

struct pm2_shelf {
        struct pm2_home home;
        char folder[PATH_SIZE];
        pm2_shelf_done done;
        void *userdata;
        sd_event_source *step;           /* owned: the next snapshot, in a turn of its own */
        struct pm2_snapshot_file *files; /* owned */
        struct pm2_shelved *all;         /* owned */
        size_t file_count, next, count;  /* files; the next of them; of all */
};

pm2_shelf *pm2_shelf_free(pm2_shelf *shelf)
{
        if (!shelf)
                return NULL;
        sd_event_source_disable_unref(shelf->step);
        free(shelf->files);
        free(shelf->all);
        free(shelf);
        return NULL;
}
DEFINE_CLEANUP(pm2_shelf *, pm2_shelf_free);

/* One that was deleted meanwhile is not told. */
static void read_next(pm2_shelf *shelf)
{
        const struct pm2_snapshot_file *file = &shelf->files[shelf->next++];
        struct pm2_shelved shelved = {.bytes = file->size, .side.saved_us = file->written_ns / 1000u};
        cleanup_pm2_snapshot struct pm2_snapshot snapshot = {0};

        TEXT_COPY(shelved.side.name, file->name);
        shelved.failure =
                pm2_snapshot_read(&snapshot, shelf->folder, &shelf->home, file->name, &shelved.error);
        if (shelved.failure == -ENOENT)
                return;
        if (shelved.failure == 0) {
                shelved.side.saved_us = snapshot.saved_us;
                pm2_side_count(&shelved.side, &snapshot.list);
        }
        shelf->all[shelf->count++] = shelved;
}

static int begin(pm2_shelf *shelf)
{
        int r = pm2_snapshot_find(shelf->folder, &shelf->home, &shelf->files, &shelf->file_count);

        if (r < 0)
                return r;
        if (shelf->file_count > PM2_SHELF_MAX)
                shelf->file_count = PM2_SHELF_MAX;
        shelf->all = calloc(shelf->file_count + 1, sizeof(*shelf->all));
        return shelf->all ? 0 : -ENOMEM;
}

static int on_step(sd_event_source *source, void *userdata)
{
        pm2_shelf *shelf = userdata;
        struct error error = {0};
        int r = shelf->all ? 0 : begin(shelf);

        if (r == 0 && shelf->next < shelf->file_count) {
                read_next(shelf);
                r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                if (r >= 0)
                        return 0;
        }
        if (r < 0)
                error_set(&error, r, "the snapshots of PM2 home %s cannot be listed: %s", shelf->home.path,
                          strerror(-r));
        shelf->done(shelf->userdata, r, shelf->all, r < 0 ? 0 : shelf->count, &error);
        return 0;
}

int pm2_shelf_new(pm2_shelf **ret, sd_event *event, const struct pm2_home *home, const char *folder,
                  pm2_shelf_done done, void *userdata)
{
        cleanup_with(pm2_shelf_freep) pm2_shelf *shelf = calloc(1, sizeof(*shelf));
        int r;

        if (!shelf)
                return -ENOMEM;
        shelf->home = *home;
        shelf->done = done;
        shelf->userdata = userdata;
        r = TEXT_COPY(shelf->folder, folder);
        if (r == 0)
                r = sd_event_add_defer(event, &shelf->step, on_step, shelf);
        if (r < 0)
                return r;
        *ret = TAKE(shelf);
        return 0;
}
