/* See ledger.h. */
#include "agent/ledger.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "agent/ledger_json.h"
#include "common/base/buffer.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"

#define LEDGER_KEPT      1000u
#define LEDGER_MOST      (2u * LEDGER_KEPT) /* in memory, until the next opening */
#define LEDGER_FILE_MOST (64u << 20)
#define LEDGER_FILE_FULL (16 << 20) /* from here on it is written anew with the newest entries */
#define CHECKSUM_DIGITS  16u

struct ledger {
        char path[PATH_MAX];
        int fd, lock;
        struct operation_report *entries; /* oldest first */
        size_t count, room;
        off_t end; /* of the last whole line */
};

DEFINE_CLEANUP(ledger *, ledger_close);

static void checksum(char out[CHECKSUM_DIGITS + 1], const char *json, size_t size)
{
        unsigned char hash[crypto_hash_sha256_BYTES];

        crypto_hash_sha256(hash, (const unsigned char *)json, size);
        text_hex(out, hash, CHECKSUM_DIGITS / 2);
}

static struct operation_report *find(const ledger *ledger, const char *id)
{
        for (size_t i = ledger->count; i-- > 0;)
                if (text_equal(ledger->entries[i].id, id))
                        return &ledger->entries[i];
        return NULL;
}

/* Puts report in place of the entry of its id, or at the end. */
static int remember(ledger *ledger, const struct operation_report *report)
{
        struct operation_report *known = find(ledger, report->id);

        if (known) {
                *known = *report;
                return 0;
        }
        if (ledger->count == ledger->room) {
                size_t room = ledger->room ? ledger->room * 2 : 64;
                struct operation_report *larger = reallocarray(ledger->entries, room, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                ledger->entries = larger;
                ledger->room = room;
        }
        ledger->entries[ledger->count++] = *report;
        return 0;
}

/* One line without its newline. Returns 0, -EBADMSG or -ENOMEM. */
static int read_line(ledger *ledger, const char *line, size_t size)
{
        char expected[CHECKSUM_DIGITS + 1];
        struct operation_report report;
        int r;

        if (size < CHECKSUM_DIGITS + 2 || line[CHECKSUM_DIGITS] != ' ')
                return -EBADMSG;
        checksum(expected, line + CHECKSUM_DIGITS + 1, size - CHECKSUM_DIGITS - 1);
        if (memcmp(expected, line, CHECKSUM_DIGITS) != 0)
                return -EBADMSG;
        r = ledger_json_read(&report, line + CHECKSUM_DIGITS + 1, size - CHECKSUM_DIGITS - 1);
        return r < 0 ? r : remember(ledger, &report);
}

/* Of no kind, and by a name of its own: what stood there is not known. */
static int remember_damage(ledger *ledger, const char *line, size_t size)
{
        struct operation_report damage = {.state = OPERATION_FAILED, .text = "a damaged line of the ledger"};
        unsigned char hash[crypto_hash_sha256_BYTES];

        crypto_hash_sha256(hash, (const unsigned char *)line, size);
        text_hex(damage.id, hash, (ID_SIZE - 1) / 2);
        return remember(ledger, &damage);
}

static bool is_damage(const struct operation_report *entry)
{
        return entry->kind == OPERATION_NONE && entry->state == OPERATION_FAILED;
}

static int read_all(ledger *ledger, const char *data, size_t size)
{
        const char *at = data, *end = data + size;

        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t)(end - at));
                int r;

                ledger->end = at - data;
                if (!newline)
                        return 0; /* torn: its write never returned, so nothing rests on it */
                r = read_line(ledger, at, (size_t)(newline - at));
                if (r == -EBADMSG)
                        r = remember_damage(ledger, at, (size_t)(newline - at));
                if (r < 0)
                        return r;
                at = newline + 1;
        }
        ledger->end = (off_t)size;
        return 0;
}

/* Whether this boot is what the reboot was to lead to: soft ones are no others. */
static bool is_rebooted(const struct operation_report *entry, const char *boot_id)
{
        bool is_soft = entry->figure_count > 0 && text_equal(entry->figures[0].name, FIGURE_SOFT);

        return entry->boot_id[0] && (is_soft ? !text_equal(entry->boot_id, boot_id)
                                             : !boot_id_same_kernel(entry->boot_id, boot_id));
}

/* What was under way when an earlier life ended is in doubt; a reboot is settled by the boot id. */
static void settle(ledger *ledger, const char *boot_id)
{
        for (size_t i = 0; i < ledger->count; i++) {
                struct operation_report *entry = &ledger->entries[i];
                const struct operation_type *type = operation_type(entry->kind);

                if (entry->state != OPERATION_ACCEPTED)
                        continue;
                entry->state = OPERATION_INTERRUPTED;
                text_copy_cut(entry->text, sizeof(entry->text), "the agent ended while it was under way");
                if (type && type->settle == SETTLE_BOOT_ID && is_rebooted(entry, boot_id)) {
                        entry->state = OPERATION_DONE;
                        snprintf(entry->text, sizeof(entry->text), "boot id changed from %s to %s",
                                 entry->boot_id, boot_id);
                }
        }
}

static int append_line(struct buffer *buffer, const struct operation_report *report)
{
        cleanup_free char *json = NULL;
        char sum[CHECKSUM_DIGITS + 2];
        int r = ledger_json_write(&json, report);

        if (r < 0)
                return r;
        checksum(sum, json, strlen(json));
        sum[CHECKSUM_DIGITS] = ' ';
        r = buffer_append(buffer, sum, CHECKSUM_DIGITS + 1);
        if (r == 0)
                r = buffer_append(buffer, json, strlen(json));
        if (r == 0)
                r = buffer_append(buffer, "\n", 1);
        return r;
}

/* Writes the newest entries anew and drops the rest. */
static int compact(ledger *ledger, struct error *error)
{
        cleanup_buffer struct buffer buffer = {0};
        size_t drop = ledger->count > LEDGER_KEPT ? ledger->count - LEDGER_KEPT : 0;
        int r;

        if (drop) {
                ledger->count -= drop;
                memmove(ledger->entries, ledger->entries + drop, ledger->count * sizeof(*ledger->entries));
        }
        for (size_t i = 0; i < ledger->count; i++) {
                r = append_line(&buffer, &ledger->entries[i]);
                if (r < 0)
                        return r;
        }
        r = file_write_atomic(ledger->path, buffer.data ? (void *)buffer.data : "", buffer.size, 0600, error);
        if (r == 0)
                ledger->end = (off_t)buffer.size;
        return r;
}

/* Two agents with one ledger would lose each other's records. */
static int lock_folder(ledger *ledger, const char *folder, struct error *error)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/lock", folder);
        ledger->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (ledger->lock < 0)
                ledger->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* no room for a new name */
        if (ledger->lock < 0)
                return error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
        if (flock(ledger->lock, LOCK_EX | LOCK_NB) < 0)
                return error_set(error, -EBUSY,
                                 "another muster-agent uses %s; stop it first: systemctl stop muster-agent",
                                 folder);
        return 0;
}

/* For appending, behind the last whole line. */
static int open_file(ledger *ledger, struct error *error)
{
        int fd = open(ledger->path, O_WRONLY | O_APPEND | O_CLOEXEC);

        if (fd < 0 || ftruncate(fd, ledger->end) < 0) {
                int r = -errno;

                if (fd >= 0)
                        close(fd);
                return error_set(error, r, "cannot open %s: %s", ledger->path, strerror(-r));
        }
        if (ledger->fd >= 0)
                close(ledger->fd);
        ledger->fd = fd;
        return 0;
}

int ledger_open(ledger **ret, const char *folder, const char *boot_id, struct error *error)
{
        cleanup_with(ledger_closep) ledger *opened = calloc(1, sizeof(*opened));
        cleanup_free char *data = NULL;
        size_t size = 0;
        int r;

        if (!opened)
                return -ENOMEM;
        opened->fd = opened->lock = -1;
        if (snprintf(opened->path, sizeof(opened->path), "%s/ledger", folder) >= (int)sizeof(opened->path))
                return error_set(error, -ENAMETOOLONG, "path too long: %s", folder);
        r = lock_folder(opened, folder, error);
        if (r < 0)
                return r;
        r = file_read(opened->path, LEDGER_FILE_MOST, &data, &size, error);
        if (r < 0 && r != -ENOENT)
                return r;
        r = data ? read_all(opened, data, size) : 0;
        if (r < 0)
                return r;
        settle(opened, boot_id);
        /* A full disk is the moment in which somebody wants to see this host: what is there can still be
         * told. */
        r = compact(opened, error);
        if (r == 0 || data)
                r = open_file(opened, error);
        if (r < 0)
                return r;
        *ret = TAKE(opened);
        return 0;
}

ledger *ledger_close(ledger *ledger)
{
        if (!ledger)
                return NULL;
        if (ledger->fd >= 0)
                close(ledger->fd);
        if (ledger->lock >= 0)
                close(ledger->lock);
        free(ledger->entries);
        free(ledger);
        return NULL;
}

/* Appends one line so that after a failure the file ends where it ended before. */
static int write_line(ledger *ledger, const struct buffer *line)
{
        size_t done = 0;
        int r = ledger->fd < 0 ? open_file(ledger, NULL) : 0; /* it was written anew */

        while (done < line->size && r == 0) {
                ssize_t n = write(ledger->fd, line->data + done, line->size - done);

                if (n >= 0)
                        done += (size_t)n;
                else if (errno != EINTR)
                        r = -errno;
        }
        if (r == 0 && fdatasync(ledger->fd) < 0)
                r = -errno;
        if (r == 0)
                ledger->end += (off_t)line->size;
        else if (ledger->fd >= 0 && ftruncate(ledger->fd, ledger->end) < 0)
                return r; /* a torn line at most: the next opening cuts it or its checksum fails */
        return r;
}

static int record(ledger *ledger, const struct operation_report *report, struct error *error)
{
        cleanup_buffer struct buffer line = {0};
        struct operation_report *known = find(ledger, report->id);
        struct operation_report before;
        int r;

        if (!known && ledger->count >= LEDGER_MOST) {
                size_t drop = ledger->count - LEDGER_KEPT;

                ledger->count = LEDGER_KEPT;
                memmove(ledger->entries, ledger->entries + drop, ledger->count * sizeof(*ledger->entries));
        }
        if (known)
                before = *known;
        r = append_line(&line, report);
        if (r == 0)
                r = remember(ledger, report);
        if (r < 0)
                return r;
        r = write_line(ledger, &line);
        if (r == 0) {
                /* It is recorded; writing the file anew may fail and is tried again with the next record. */
                if (ledger->end > LEDGER_FILE_FULL && compact(ledger, NULL) == 0)
                        close(take_fd(&ledger->fd));
                return 0;
        }
        if (known)
                *known = before;
        else
                ledger->count--;
        return error_set(error, r, "cannot write %s: %s; free space or repair the disk", ledger->path,
                         strerror(-r));
}

int ledger_record(ledger *ledger, const struct operation_report *report, struct error *error)
{
        if (report->state == OPERATION_ACCEPTED && find(ledger, report->id))
                return error_set(error, -EEXIST, "operation %s was accepted before", report->id);
        return record(ledger, report, error);
}

int ledger_note(ledger *ledger, const struct operation_report *report, struct error *error)
{
        const struct operation_report *known = find(ledger, report->id);

        if (!known || known->state != OPERATION_ACCEPTED || report->state != OPERATION_ACCEPTED)
                return error_set(error, -EINVAL, "operation %s is not under way", report->id);
        return record(ledger, report, error);
}

const struct operation_report *ledger_find(const ledger *ledger, const char *id)
{
        return find(ledger, id);
}

int ledger_account(ledger *ledger, const char *id, const struct operation_report **ret, struct error *error)
{
        struct operation_report doubt = {
                .state = OPERATION_INTERRUPTED,
                .text = "the ledger of this host is damaged: whether it was accepted is not known",
        };
        unsigned char binary[(ID_SIZE - 1) / 2];
        int r = 0;

        if (!find(ledger, id) && ledger_damaged(ledger) && text_unhex(binary, sizeof(binary), id) == 0 &&
            TEXT_COPY(doubt.id, id) == 0)
                r = record(ledger, &doubt, error);
        *ret = find(ledger, id);
        return r;
}

size_t ledger_count(const ledger *ledger)
{
        return ledger->count;
}

const struct operation_report *ledger_entry(const ledger *ledger, size_t index)
{
        return &ledger->entries[index];
}

size_t ledger_damaged(const ledger *ledger)
{
        size_t damaged = 0;

        for (size_t i = 0; i < ledger->count; i++)
                damaged += is_damage(&ledger->entries[i]);
        return damaged;
}
