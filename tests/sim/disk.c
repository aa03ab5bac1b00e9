/* The disk under the journal: a SQLite VFS whose files are in memory. It knows what was not synced yet, so
 * that a power cut of the controller's host, or an fsync that fails, can take it away; it can be full. A
 * write is lost whole and with all that follow it; sectors that tear are
 * tests/unit/controller/store/test_power_cut.c's. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

/* The store makes the file itself before SQLite opens it: this one is there, and nothing of it is used. */
const char disk_path[] = "/dev/null";

enum { DATABASE, LOG, JOURNAL, FILES };

struct undo {
        size_t offset, size, file_size; /* size: of what was there before */
        uint8_t *bytes;                 /* owned */
};

static struct content {
        bool exists;
        uint8_t *bytes; /* kept from world to world */
        size_t size, room;
        struct undo *undos; /* since the last sync */
        size_t undo_count, undo_room;
} files[FILES];

static struct {
        bool full, sync_fails, off;
} state;

static bool lies; /* in all worlds */

struct handle {
        sqlite3_file base;
        struct content *content;
};

#define CONTENT(file) (((struct handle *)(file))->content)

static void *grown(void *old, size_t size)
{
        void *bytes = realloc(old, size);

        if (!bytes)
                abort();
        return bytes;
}

static void forget_undos(struct content *file)
{
        while (file->undo_count > 0)
                free(file->undos[--file->undo_count].bytes);
}

static void undo_one(struct content *file)
{
        struct undo *undo = &file->undos[--file->undo_count];

        if (undo->size > 0)
                memcpy(file->bytes + undo->offset, undo->bytes, undo->size);
        free(undo->bytes);
        file->size = undo->file_size;
}

/* Keeps what is about to be written over or cut off. */
static void note_undo(struct content *file, size_t offset, size_t size)
{
        struct undo *undo;

        if (file->undo_count == file->undo_room) {
                file->undo_room = file->undo_room ? file->undo_room * 2 : 16;
                file->undos = grown(file->undos, file->undo_room * sizeof(*file->undos));
        }
        undo = &file->undos[file->undo_count++];
        *undo = (struct undo){.offset = offset, .file_size = file->size};
        if (offset >= file->size)
                return;
        undo->size = size < file->size - offset ? size : file->size - offset;
        undo->bytes = grown(NULL, undo->size);
        memcpy(undo->bytes, file->bytes + offset, undo->size);
}

/* --- the VFS ------------------------------------------------------------------------------------------- */

static int on_close(sqlite3_file *file)
{
        return SQLITE_OK;
}

static int on_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
        const struct content *content = CONTENT(file);
        size_t from = (size_t)offset, wanted = (size_t)size, there;

        there = from < content->size ? content->size - from : 0;
        if (there >= wanted) {
                memcpy(bytes, content->bytes + from, wanted);
                return SQLITE_OK;
        }
        memset(bytes, 0, wanted);
        if (there > 0)
                memcpy(bytes, content->bytes + from, there);
        return SQLITE_IOERR_SHORT_READ;
}

static int on_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
        struct content *content = CONTENT(file);
        size_t from = (size_t)offset, end = from + (size_t)size;

        if (state.off)
                return SQLITE_IOERR_WRITE;
        if (state.full)
                return SQLITE_FULL;
        note_undo(content, from, (size_t)size);
        if (end > content->room) {
                content->room = end * 2;
                content->bytes = grown(content->bytes, content->room);
        }
        if (from > content->size)
                memset(content->bytes + content->size, 0, from - content->size);
        memcpy(content->bytes + from, bytes, (size_t)size);
        if (end > content->size)
                content->size = end;
        return SQLITE_OK;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
        struct content *content = CONTENT(file);

        if (state.off)
                return SQLITE_IOERR_TRUNCATE;
        if ((size_t)size < content->size) {
                note_undo(content, (size_t)size, content->size);
                content->size = (size_t)size;
        }
        return SQLITE_OK;
}

static int on_sync(sqlite3_file *file, int flags)
{
        if (state.off || state.sync_fails)
                return SQLITE_IOERR_FSYNC;
        if (!lies)
                forget_undos(CONTENT(file));
        return SQLITE_OK;
}

static int on_size(sqlite3_file *file, sqlite3_int64 *ret)
{
        *ret = (sqlite3_int64)CONTENT(file)->size;
        return SQLITE_OK;
}

static int on_lock(sqlite3_file *file, int lock)
{
        return SQLITE_OK;
}

static int on_reserved(sqlite3_file *file, int *ret)
{
        *ret = 0;
        return SQLITE_OK;
}

static int on_control(sqlite3_file *file, int what, void *argument)
{
        return SQLITE_NOTFOUND;
}

static int on_sector(sqlite3_file *file)
{
        return 4096;
}

static int on_traits(sqlite3_file *file)
{
        return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as the usual one says of real disks */
}

static const sqlite3_io_methods methods = {
        1,       on_close, on_read,     on_write,   on_truncate, on_sync,   on_size,
        on_lock, on_lock,  on_reserved, on_control, on_sector,   on_traits,
};

static struct content *named(const char *name)
{
        if (text_ends(name, "-wal"))
                return &files[LOG];
        return text_ends(name, "-journal") ? &files[JOURNAL] : &files[DATABASE];
}

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
        file->pMethods = NULL;
        if (!name)
                return SQLITE_CANTOPEN;
        ((struct handle *)file)->content = named(name);
        named(name)->exists = true;
        file->pMethods = &methods;
        if (ret_flags)
                *ret_flags = flags;
        return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
        struct content *content = named(name);

        if (state.off)
                return SQLITE_IOERR_DELETE;
        forget_undos(content);
        content->exists = false;
        content->size = 0;
        return SQLITE_OK;
}

static int on_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
        *ret = named(name)->exists;
        return SQLITE_OK;
}

static int on_full_name(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
        return text_copy(out, (size_t)size, name) < 0 ? SQLITE_CANTOPEN : SQLITE_OK;
}

/* --- for the world ------------------------------------------------------------------------------------- */

void disk_begin(bool is_liar)
{
        static sqlite3_vfs vfs;

        lies = is_liar;
        vfs = *sqlite3_vfs_find(NULL);
        vfs.zName = "sim";
        vfs.szOsFile = sizeof(struct handle);
        vfs.xOpen = on_open;
        vfs.xDelete = on_delete;
        vfs.xAccess = on_access;
        vfs.xFullPathname = on_full_name;
        if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
                abort();
}

void disk_new(void)
{
        for (size_t i = 0; i < FILES; i++) {
                forget_undos(&files[i]);
                files[i].exists = false;
                files[i].size = 0;
        }
        memset(&state, 0, sizeof(state));
}

void disk_set(bool full, bool sync_fails)
{
        state.full = full;
        state.sync_fails = sync_fails;
}

void disk_off(bool off)
{
        state.off = off;
}

void disk_lose(struct sim *sim)
{
        for (size_t i = 0; i < FILES; i++) {
                size_t kept = sim_random(sim, files[i].undo_count + 1);

                while (files[i].undo_count > kept)
                        undo_one(&files[i]);
                forget_undos(&files[i]); /* what is left has reached the disk */
        }
}
