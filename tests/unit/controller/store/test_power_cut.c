/* What the store keeps when the disk fails: power cuts that lose, keep or tear each write that was not
 * synced, fsync that fails, a disk that is full.
 *
 * The disk is a stand-in, because a real one cannot be made to lose writes: a SQLite VFS over the real files
 * that remembers what was written since the last sync. It offers no shared memory, so that a store which is
 * not opened exclusively cannot work on it at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/base/file.h"
#include "common/base/text.h"
#include "controller/store/store.h"

#define SECTOR     512u
#define IMAGES_MAX 4u
#define FOREVER    UINT64_MAX

/* In memory: what survives a cut is decided by the file system of this test, not by the disk. */
static char folder[] = "/dev/shm/muster-test-power-XXXXXX";
static char path[sizeof(folder) + 16];

/* --- the stand-in disk --------------------------------------------------------------------------------- */

struct operation {
        bool truncates;
        size_t offset, size; /* truncate: size is the new one */
        uint8_t *bytes;
};

/* A file as it is on the disk for certain, and what was done to it since. */
struct image {
        char path[256];
        uint8_t *synced;
        size_t synced_size;
        struct operation *operations;
        size_t count;
};

static struct {
        struct image images[IMAGES_MAX];
        uint64_t dies_after;         /* operations until nothing works any more */
        uint64_t space;              /* bytes that may still be written */
        bool sync_fails, copy_fails; /* of every file; of the database itself */
        uint64_t syncs;
        uint64_t random;
} disk;

struct lossy_file {
        sqlite3_file base;
        struct image *image; /* NULL: a file whose loss does not matter */
        sqlite3_file *real;
};

static sqlite3_vfs lossy_vfs;

static sqlite3_vfs *real_vfs(void)
{
        return lossy_vfs.pAppData;
}

static uint64_t draw(uint64_t below)
{
        disk.random = disk.random * 6364136223846793005u + 1442695040888963407u;
        return (disk.random >> 33) % below;
}

static void image_forget(struct image *image)
{
        for (size_t i = 0; i < image->count; i++)
                free(image->operations[i].bytes);
        free(image->operations);
        image->operations = NULL;
        image->count = 0;
}

static void image_sync(struct image *image)
{
        image_forget(image);
        free(image->synced);
        image->synced = NULL;
        assert_int_equal(
                file_read(image->path, 64u << 20, (char **)&image->synced, &image->synced_size, NULL), 0);
}

static void image_note(struct image *image, struct operation operation, const void *bytes)
{
        image->operations = realloc(image->operations, (image->count + 1) * sizeof(operation));
        assert_non_null(image->operations);
        if (!operation.truncates) {
                operation.bytes = malloc(operation.size);
                assert_non_null(operation.bytes);
                memcpy(operation.bytes, bytes, operation.size);
        }
        image->operations[image->count++] = operation;
}

static struct image *image_of(const char *path)
{
        for (size_t i = 0; i < IMAGES_MAX; i++)
                if (text_equal(disk.images[i].path, path))
                        return &disk.images[i];
        for (size_t i = 0; i < IMAGES_MAX; i++)
                if (!disk.images[i].path[0]) {
                        assert_int_equal(TEXT_COPY(disk.images[i].path, path), 0);
                        return &disk.images[i];
                }
        fail_msg("too many files");
        return NULL;
}

/* One more operation: false once the power is off. */
static bool powered(void)
{
        if (disk.dies_after == 0)
                return false;
        if (disk.dies_after != FOREVER)
                disk.dies_after--;
        return true;
}

#define REAL(file) (((struct lossy_file *)(file))->real)

static int lossy_close(sqlite3_file *file)
{
        int code = REAL(file)->pMethods->xClose(REAL(file));

        free(REAL(file));
        return code;
}

static int lossy_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
        return REAL(file)->pMethods->xRead(REAL(file), bytes, size, offset);
}

static int lossy_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
        struct image *image = ((struct lossy_file *)file)->image;

        if (!powered())
                return SQLITE_IOERR_WRITE;
        if ((uint64_t)size > disk.space)
                return SQLITE_FULL;
        if (disk.space != FOREVER)
                disk.space -= (uint64_t)size;
        if (image)
                image_note(image, (struct operation){false, (size_t)offset, (size_t)size, NULL}, bytes);
        return REAL(file)->pMethods->xWrite(REAL(file), bytes, size, offset);
}

static int lossy_truncate(sqlite3_file *file, sqlite3_int64 size)
{
        struct image *image = ((struct lossy_file *)file)->image;

        if (!powered())
                return SQLITE_IOERR_TRUNCATE;
        if (image)
                image_note(image, (struct operation){true, 0, (size_t)size, NULL}, NULL);
        return REAL(file)->pMethods->xTruncate(REAL(file), size);
}

static int lossy_sync(sqlite3_file *file, int flags)
{
        struct image *image = ((struct lossy_file *)file)->image;

        if (!powered() || disk.sync_fails || (disk.copy_fails && image == image_of(path)))
                return SQLITE_IOERR_FSYNC;
        disk.syncs++;
        if (image)
                image_sync(image);
        return SQLITE_OK;
}

static int lossy_size(sqlite3_file *file, sqlite3_int64 *size)
{
        return REAL(file)->pMethods->xFileSize(REAL(file), size);
}

static int lossy_lock(sqlite3_file *file, int lock)
{
        return REAL(file)->pMethods->xLock(REAL(file), lock);
}

static int lossy_unlock(sqlite3_file *file, int lock)
{
        return REAL(file)->pMethods->xUnlock(REAL(file), lock);
}

static int lossy_reserved(sqlite3_file *file, int *result)
{
        return REAL(file)->pMethods->xCheckReservedLock(REAL(file), result);
}

static int lossy_control(sqlite3_file *file, int what, void *argument)
{
        return SQLITE_NOTFOUND;
}

static int lossy_sector(sqlite3_file *file)
{
        return SECTOR;
}

static int lossy_traits(sqlite3_file *file)
{
        return 0;
}

static const sqlite3_io_methods lossy_methods = {
        1,          lossy_close,  lossy_read,     lossy_write,   lossy_truncate, lossy_sync,   lossy_size,
        lossy_lock, lossy_unlock, lossy_reserved, lossy_control, lossy_sector,   lossy_traits,
};

static int lossy_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *opened, int flags, int *ret_flags)
{
        struct lossy_file *file = (struct lossy_file *)opened;
        int code;

        file->base.pMethods = NULL;
        file->image = NULL;
        file->real = calloc(1, (size_t)real_vfs()->szOsFile);
        if (!file->real)
                return SQLITE_NOMEM;
        code = real_vfs()->xOpen(real_vfs(), name, file->real, flags, ret_flags);
        if (code != SQLITE_OK) {
                free(file->real);
                return code;
        }
        if (name && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL))) {
                file->image = image_of(name);
                image_sync(file->image);
        }
        file->base.pMethods = &lossy_methods;
        return SQLITE_OK;
}

static int lossy_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
        struct image *image = image_of(name);

        if (!powered())
                return SQLITE_IOERR_DELETE;
        image_forget(image);
        free(image->synced);
        *image = (struct image){0};
        return real_vfs()->xDelete(real_vfs(), name, 0);
}

/* Each write since the last sync is lost, kept or torn between sectors, as a disk's cache would have it. */
static void replay(struct image *image, uint8_t *content, size_t *size)
{
        for (size_t i = 0; i < image->count; i++) {
                const struct operation *operation = &image->operations[i];
                size_t kept = operation->size;

                if (draw(3) == 0)
                        continue;
                if (operation->truncates) {
                        *size = operation->size;
                        continue;
                }
                if (draw(3) == 0)
                        kept = draw(kept / SECTOR + 1) * SECTOR;
                memcpy(content + operation->offset, operation->bytes, kept);
                if (kept > 0 && operation->offset + kept > *size)
                        *size = operation->offset + kept;
        }
}

static void power_cut(void)
{
        for (size_t i = 0; i < IMAGES_MAX; i++) {
                struct image *image = &disk.images[i];
                size_t room = image->synced_size, size = image->synced_size;
                uint8_t *content;

                if (!image->path[0])
                        continue;
                for (size_t k = 0; k < image->count; k++)
                        if (image->operations[k].offset + image->operations[k].size > room)
                                room = image->operations[k].offset + image->operations[k].size;
                content = calloc(1, room + 1);
                assert_non_null(content);
                memcpy(content, image->synced, image->synced_size);
                replay(image, content, &size);
                assert_int_equal(file_write_atomic(image->path, content, size, 0600, NULL), 0);
                free(content);
                image_forget(image);
                free(image->synced);
                *image = (struct image){0};
        }
}

/* --- the tests ----------------------------------------------------------------------------------------- */

static void disk_new(uint64_t seed)
{
        static const char *const names[] = {"s.db-wal", "s.db-journal", "s.db"};

        for (size_t i = 0; i < IMAGES_MAX; i++) {
                image_forget(&disk.images[i]);
                free(disk.images[i].synced);
        }
        memset(&disk, 0, sizeof(disk));
        disk.dies_after = disk.space = FOREVER;
        disk.random = seed;
        for (size_t i = 0; i < 3; i++) {
                snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
                unlink(path);
        }
}

static int set_up(void **state)
{
        if (!mkdtemp(folder))
                return -1;
        lossy_vfs = *sqlite3_vfs_find(NULL);
        lossy_vfs.pAppData = sqlite3_vfs_find(NULL);
        lossy_vfs.zName = "lossy";
        lossy_vfs.szOsFile = sizeof(struct lossy_file);
        lossy_vfs.xOpen = lossy_open;
        lossy_vfs.xDelete = lossy_delete;
        return sqlite3_vfs_register(&lossy_vfs, 1);
}

static int tear_down(void **state)
{
        disk_new(0);
        sqlite3_vfs_unregister(&lossy_vfs);
        return rmdir(folder);
}

static store *open_store(void)
{
        struct error error = {""};
        store *store = NULL;
        int r = store_open(&store, path, &error);

        if (r < 0)
                fail_msg("store_open: %d %s", r, error.text);
        return store;
}

static store *open_with_run(void)
{
        struct store_run run = {.id = "r", .kind = "reboot", .state = "running"};
        store *store = open_store();
        char holder[NAME_SIZE];

        assert_int_equal(store_run_add(store, &run, "{}", NULL, 0, holder), 0);
        assert_int_equal(store_commit(store, NULL), 0);
        return store;
}

static int count_event(uint64_t event, uint64_t time_us, const char *json, void *userdata)
{
        uint64_t *count = userdata;

        assert_int_equal(event, *count + 1);
        assert_int_equal(time_us, event * 3);
        assert_int_equal(strlen(json), 40 + event % 7 * 100);
        (*count)++;
        return 0;
}

static uint64_t count_events(store *store)
{
        struct store_audit_chain chain = {0};
        uint64_t count = 0;

        assert_int_equal(store_journal_read(store, "r", 1, count_event, &count), 0);
        assert_int_equal(store_audit_verify(store, &chain, SIZE_MAX), 0);
        return count;
}

/* One turn of the loop: some events and an audit entry, then the commit. 0, or what failed. */
static int turn(store *store, uint64_t first, uint64_t count)
{
        char json[1024];
        int r = 0;

        for (uint64_t event = first; r == 0 && event < first + count; event++) {
                snprintf(json, sizeof(json), "%*d", (int)(40 + event % 7 * 100), 1);
                r = store_journal_append(store, "r", event, event * 3, json);
        }
        if (r == 0)
                r = store_audit_add(store, first, "user", "turn", "events");
        return r == 0 ? store_commit(store, NULL) : r;
}

/* The power goes while the store still thinks that it runs; what it does from there on reaches nothing. */
static void cut_and_close(store *store)
{
        disk.dies_after = 0;
        store_close(store);
        power_cut();
        disk.dies_after = disk.space = FOREVER;
        disk.sync_fails = disk.copy_fails = false;
}

/* After a cut at any moment: every turn that was committed is there, the one under way wholly or not. */
static void test_cuts(void **state)
{
        unsigned lost = 0, kept = 0;

        for (uint64_t seed = 1; seed <= 250; seed++) {
                uint64_t committed = 0, count = 0, found;
                store *store;

                disk_new(seed);
                store = open_with_run();
                disk.dies_after = draw(400);
                for (int i = 0; i < 60; i++) {
                        count = 1 + draw(4);
                        if (turn(store, committed + 1, count) < 0)
                                break;
                        committed += count;
                        count = 0;
                        if (draw(20) == 0) { /* a clean restart in between */
                                store_close(store);
                                store = NULL;
                                if (store_open(&store, path, NULL) < 0)
                                        break;
                        }
                }
                cut_and_close(store);
                store = open_store();
                found = count_events(store);
                if (found != committed && found != committed + count)
                        fail_msg("seed %d: %d events committed, %d under way, %d found", (int)seed,
                                 (int)committed, (int)count, (int)found);
                lost += found == committed && count > 0;
                kept += found != committed;
                assert_int_equal(turn(store, found + 1, 2), 0);
                cut_and_close(store);
                store = open_store();
                assert_int_equal(count_events(store), found + 2);
                store_close(store);
        }
        /* both outcomes of a cut within a commit were seen, or the test proves little */
        assert_true(lost > 20 && kept > 5);
}

/* A cut while the file is made leaves a file that can be opened. */
static void test_cut_at_birth(void **state)
{
        for (uint64_t after = 0; after < 40; after++)
                for (uint64_t seed = 1; seed <= 5; seed++) {
                        store *store = NULL;

                        disk_new(seed);
                        disk.dies_after = after;
                        if (store_open(&store, path, NULL) < 0)
                                store = NULL;
                        cut_and_close(store);
                        store = open_with_run();
                        assert_int_equal(turn(store, 1, 3), 0);
                        store_close(store);
                }
}

static void test_sync_fails(void **state)
{
        struct error error = {""};
        store *store;

        disk_new(1);
        store = open_with_run();
        assert_int_equal(turn(store, 1, 3), 0);
        disk.sync_fails = true;
        assert_int_equal(store_journal_append(store, "r", 4, 12, "{}"), 0);
        assert_int_equal(store_commit(store, &error), -EIO);
        assert_non_null(strstr(error.text, "the store cannot be written"));
        /* final: not even a disk that works again brings this store back */
        disk.sync_fails = false;
        assert_int_equal(store_journal_append(store, "r", 4, 12, "{}"), -EIO);
        assert_int_equal(store_commit(store, &error), -EIO);
        assert_int_equal(store_lock_holder(store, "h", error.text), -EIO);
        cut_and_close(store);
        store = open_store();
        assert_int_equal(store_audit_verify(store, &(struct store_audit_chain){0}, SIZE_MAX), 0);
        store_close(store);
}

/* The log is synced, and so is every commit: that what is copied of it into the file is not ends the store
 * too, and the commit that found it so is kept. */
static void test_sync_of_the_file_fails(void **state)
{
        struct error error = {""};
        uint64_t committed = 0;
        store *store;
        int r;

        disk_new(1);
        store = open_with_run();
        disk.copy_fails = true;
        do
                r = turn(store, ++committed, 1);
        while (r == 0 && committed < 500);
        assert_int_equal(r, -EIO);
        assert_int_equal(store_commit(store, &error), -EIO);
        assert_non_null(strstr(error.text, "the store cannot be written"));
        cut_and_close(store);
        store = open_store();
        assert_int_equal(count_events(store), committed);
        store_close(store);
}

static void test_disk_full(void **state)
{
        struct error error = {""};
        uint64_t committed = 0;
        store *store;
        int r;

        disk_new(1);
        store = open_with_run();
        disk.space = 200000;
        while ((r = turn(store, committed + 1, 2)) == 0)
                committed += 2;
        assert_int_equal(r, -ENOSPC);
        assert_true(committed > 10);
        assert_int_equal(store_commit(store, &error), -ENOSPC);
        assert_non_null(strstr(error.text, "make room"));
        store_close(store); /* the program ends: no power cut */
        disk.space = FOREVER;
        store = open_store();
        assert_int_equal(count_events(store), committed);
        assert_int_equal(turn(store, committed + 1, 2), 0);
        store_close(store);
}

/* A turn costs one sync, whatever is in it; a turn without writes none. */
static void test_syncs(void **state)
{
        store *store;
        uint64_t before;

        disk_new(1);
        store = open_with_run();
        before = disk.syncs;
        assert_int_equal(turn(store, 1, 20), 0);
        assert_int_equal(disk.syncs, before + 1);
        assert_int_equal(store_commit(store, NULL), 0);
        assert_int_equal(count_events(store), 20);
        assert_int_equal(store_commit(store, NULL), 0);
        assert_int_equal(disk.syncs, before + 1);
        store_close(store);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cuts),       cmocka_unit_test(test_cut_at_birth),
                cmocka_unit_test(test_sync_fails), cmocka_unit_test(test_sync_of_the_file_fails),
                cmocka_unit_test(test_disk_full),  cmocka_unit_test(test_syncs),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
