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

/* A report, most of which is room for figures that few have: only what is used of it. */
struct entry {
        char id[ID_SIZE], boot_id[BOOT_ID_SIZE];
        enum operation_kind kind;
        enum operation_state state;
        uint64_t accepted_us, finished_us;
        size_t figure_count;
        char *words; /* owned: the text, then each figure's name and value, each with its NUL */
};

struct ledger {
        char path[PATH_MAX];
        int fd, lock;
        struct entry *entries; /* oldest first */
        size_t count, room;
        off_t end;                      /* of the last whole line */
        struct operation_report *shown; /* owned: where an entry is laid out for who asks */
};

DEFINE_CLEANUP(ledger *, ledger_close);

static void checksum(char out[CHECKSUM_DIGITS + 1], const char *json, size_t size)
{
        unsigned char hash[crypto_hash_sha256_BYTES];

        crypto_hash_sha256(hash, (const unsigned char *)json, size);
        text_hex(out, hash, CHECKSUM_DIGITS / 2);
}

static struct entry *find(const ledger *ledger, const char *id)
{
        for (size_t i = ledger->count; i-- > 0;)
                if (text_equal(ledger->entries[i].id, id))
                        return &ledger->entries[i];
        return NULL;
}

/* --- entries and reports ------------------------------------------------------------------------------ */

static int pack(struct entry *ret, const struct operation_report *report)
{
        cleanup_buffer struct buffer words = {0};
        int r = buffer_append(&words, report->text, strlen(report->text) + 1);

        for (size_t i = 0; i < report->figure_count && r == 0; i++) {
                const struct figure *figure = &report->figures[i];

                r = buffer_append(&words, figure->name, strlen(figure->name) + 1);
                if (r == 0)
                        r = buffer_append(&words, figure->value, strlen(figure->value) + 1);
        }
        if (r < 0)
                return r;
        *ret = (struct entry){.kind = report->kind,
                              .state = report->state,
                              .accepted_us = report->accepted_us,
                              .finished_us = report->finished_us,
                              .figure_count = report->figure_count,
                              .words = malloc(words.size)};
        if (!ret->words)
                return -ENOMEM;
        memcpy(ret->words, words.data, words.size);
        TEXT_COPY(ret->id, report->id);
        TEXT_COPY(ret->boot_id, report->boot_id);
        return 0;
}

static const char *next_word(const char **at)
{
        const char *word = *at;

        *at += strlen(word) + 1;
        return word;
}

static void unpack(struct operation_report *ret, const struct entry *entry)
{
        const char *at = entry->words;

        *ret = (struct operation_report){.kind = entry->kind,
                                         .state = entry->state,
                                         .accepted_us = entry->accepted_us,
                                         .finished_us = entry->finished_us,
                                         .figure_count = entry->figure_count};
        TEXT_COPY(ret->id, entry->id);
        TEXT_COPY(ret->boot_id, entry->boot_id);
        TEXT_COPY(ret->text, next_word(&at));
        for (size_t i = 0; i < entry->figure_count; i++) {
                TEXT_COPY(ret->figures[i].name, next_word(&at));
                TEXT_COPY(ret->figures[i].value, next_word(&at));
        }
}

static void drop_oldest(ledger *ledger)
{
        size_t drop = ledger->count > LEDGER_KEPT ? ledger->count - LEDGER_KEPT : 0;

        if (!drop)
                return;
        for (size_t i = 0; i < drop; i++)
                free(ledger->entries[i].words);
        ledger->count -= drop;
        memmove(ledger->entries, ledger->entries + drop, ledger->count * sizeof(*ledger->entries));
}

static int reserve(ledger *ledger)
{
        size_t room = ledger->room ? ledger->room * 2 : 64;
        struct entry *larger;

        if (ledger->count < ledger->room)
                return 0;
        larger = reallocarray(ledger->entries, room, sizeof(*larger));
        if (!larger)
                return -ENOMEM;
        ledger->entries = larger;
        ledger->room = room;
        return 0;
}

/* In place of the entry of its id, or at the end, where there is room. Takes the entry. */
static void put(ledger *ledger, const struct entry *entry)
{
        struct entry *known = find(ledger, entry->id);

        if (known)
                free(known->words);
        else
                known = &ledger->entries[ledger->count++];
        *known = *entry;
}

static int remember(ledger *ledger, const struct operation_report *report)
{
        struct entry entry;
        int r = reserve(ledger);

        if (r == 0)
                r = pack(&entry, report);
        if (r == 0)
                put(ledger, &entry);
        return r;
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

static bool is_damage(enum operation_kind kind, enum operation_state state)
{
        return kind == OPERATION_NONE && state == OPERATION_FAILED;
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
static int settle(ledger *ledger, const char *boot_id)
{
        struct operation_report *report = ledger->shown;
        int r = 0;

        for (size_t i = 0; i < ledger->count && r == 0; i++) {
                const struct operation_type *type = operation_type(ledger->entries[i].kind);

                if (ledger->entries[i].state != OPERATION_ACCEPTED)
                        continue;
                unpack(report, &ledger->entries[i]);
                report->state = OPERATION_INTERRUPTED;
                TEXT_COPY(report->text, "the agent ended while it was under way");
                if (type && type->settle == SETTLE_BOOT_ID && is_rebooted(report, boot_id)) {
                        report->state = OPERATION_DONE;
                        snprintf(report->text, sizeof(report->text), "boot id changed from %s to %s",
                                 report->boot_id, boot_id);
                }
                r = remember(ledger, report);
        }
        return r;
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
        int r;

        drop_oldest(ledger);
        for (size_t i = 0; i < ledger->count; i++) {
                r = append_line(&buffer, ledger_entry(ledger, i));
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
        opened->shown = calloc(1, sizeof(*opened->shown));
        if (!opened->shown)
                return -ENOMEM;
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
        r = settle(opened, boot_id);
        if (r < 0)
                return r;
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
        for (size_t i = 0; i < ledger->count; i++)
                free(ledger->entries[i].words);
        free(ledger->entries);
        free(ledger->shown);
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
        struct entry entry;
        int r;

        if (!find(ledger, report->id) && ledger->count >= LEDGER_MOST)
                drop_oldest(ledger);
        r = append_line(&line, report);
        if (r == 0)
                r = reserve(ledger);
        if (r == 0)
                r = pack(&entry, report);
        if (r < 0)
                return r;
        r = write_line(ledger, &line);
        if (r < 0) {
                free(entry.words);
                return error_set(error, r, "cannot write %s: %s; free space or repair the disk", ledger->path,
                                 strerror(-r));
        }
        put(ledger, &entry);
        /* It is recorded; writing the file anew may fail and is tried again with the next record. */
        if (ledger->end > LEDGER_FILE_FULL && compact(ledger, NULL) == 0)
                close(take_fd(&ledger->fd));
        return 0;
}

int ledger_record(ledger *ledger, const struct operation_report *report, struct error *error)
{
        if (report->state == OPERATION_ACCEPTED && find(ledger, report->id))
                return error_set(error, -EEXIST, "operation %s was accepted before", report->id);
        return record(ledger, report, error);
}

int ledger_note(ledger *ledger, const struct operation_report *report, struct error *error)
{
        const struct entry *known = find(ledger, report->id);

        if (!known || known->state != OPERATION_ACCEPTED || report->state != OPERATION_ACCEPTED)
                return error_set(error, -EINVAL, "operation %s is not under way", report->id);
        return record(ledger, report, error);
}

static const struct operation_report *show(const ledger *ledger, const struct entry *entry)
{
        if (entry)
                unpack(ledger->shown, entry);
        return entry ? ledger->shown : NULL;
}

const struct operation_report *ledger_find(const ledger *ledger, const char *id)
{
        return show(ledger, find(ledger, id));
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
        *ret = ledger_find(ledger, id);
        return r;
}

size_t ledger_count(const ledger *ledger)
{
        return ledger->count;
}

const struct operation_report *ledger_entry(const ledger *ledger, size_t index)
{
        return show(ledger, &ledger->entries[index]);
}

bool ledger_is_damage(const struct operation_report *entry)
{
        return is_damage(entry->kind, entry->state);
}

size_t ledger_damaged(const ledger *ledger)
{
        size_t damaged = 0;

        for (size_t i = 0; i < ledger->count; i++)
                damaged += is_damage(ledger->entries[i].kind, ledger->entries[i].state);
        return damaged;
}
