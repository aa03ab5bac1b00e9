/* See host_diff.h. */
#include "controller/core/host_diff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

/* How far a clock may be from where it was: states take a moment to come. */
#define CLOCK_JUMP_MS 5000

enum list { LIST_FAILED, LIST_MOUNT, LIST_PORT, LIST_END };

static const struct {
        const char *figure, *gone, *new, *many;
        bool waits; /* one that is gone may only be late */
} lists[LIST_END] = {
        [LIST_FAILED] = {"failed", NULL, "failed-unit", "failed units", false},
        [LIST_MOUNT] = {"mount", "mount-gone", "mount-new", "mounts", true},
        [LIST_PORT] = {"port", "port-gone", "port-new", "ports", true},
};

static const struct {
        const char *name, *text;
        bool bad;
} differences[] = {
        {"failed-unit", "newly failed unit", true},
        {"old-kernel", "old kernel", true},
        {"mount-gone", "mount gone", true},
        {"port-gone", "nothing listens any more on", true},
        {"clock-jump", "clock jumped", true},
        {"clock-unsynchronised", "clock no longer synchronised", true},
        {"mount-new", "new mount", false},
        {"port-new", "newly listening", false},
        {"kernel-changed", "another kernel", false},
        {"not-compared", "not compared", false},
        {"more", "more", true},
};

const char *host_difference_text(const char *name)
{
        for (size_t i = 0; i < ELEMENTS(differences); i++)
                if (text_equal(differences[i].name, name))
                        return differences[i].text;
        return name;
}

bool host_difference_is_bad(const char *name)
{
        for (size_t i = 0; i < ELEMENTS(differences); i++)
                if (text_equal(differences[i].name, name))
                        return differences[i].bad;
        return false;
}

void host_note_clear(struct host_note *note)
{
        free(note->figures);
        *note = (struct host_note){0};
}

int host_note_append(struct host_note *note, const struct figure *figures, size_t count)
{
        struct figure *grown;

        if (note->count + count > NOTE_FIGURES_MAX)
                return -E2BIG;
        grown = reallocarray(note->figures, note->count + count + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        memcpy(grown + note->count, figures, count * sizeof(*figures));
        note->figures = grown;
        note->count += count;
        return 0;
}

/* --- taking a note ----------------------------------------------------------------------------------------
 */

/* Fields that stay empty are not noted. */
static void put(struct host_note *note, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void put(struct host_note *note, const char *name, const char *format, ...)
{
        struct figure *figure = &note->figures[note->count++];
        char text[2 * TEXT_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        text_copy_cut(figure->name, sizeof(figure->name), name);
        text_copy_clean(figure->value, sizeof(figure->value), text);
}

static int compare_words(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Packs the words, sorted; or says that they were left out. */
static int put_words(struct host_note *note, const char *name, const char *words, size_t size, size_t count,
                     bool cut, size_t most)
{
        cleanup_free const char **sorted = calloc(count + 1, sizeof(*sorted));
        size_t first = note->count, used = 0;

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                sorted[i] = words + i * size;
        qsort(sorted, count, sizeof(*sorted), compare_words);
        for (size_t i = 0; i < count && !cut; i++) {
                size_t length = strlen(sorted[i]);
                struct figure *figure = note->count > first ? &note->figures[note->count - 1] : NULL;

                if (length >= sizeof(figure->value) || !length || strchr(sorted[i], ' ')) {
                        cut = true; /* no word that can be told from others */
                } else if (figure && used + 1 + length < sizeof(figure->value)) {
                        figure->value[used] = ' ';
                        memcpy(figure->value + used + 1, sorted[i], length + 1);
                        used += 1 + length;
                } else if (note->count - first == most) {
                        cut = true;
                } else {
                        put(note, name, "%s", sorted[i]);
                        used = length;
                }
        }
        if (cut) {
                note->count = first;
                put(note, "left-out", "%s", name);
        }
        return 0;
}

int host_note_take(struct host_note *ret, const struct host_state *host, uint64_t clock_us)
{
        const struct host_facts *facts = &host->facts;
        struct host_note note = {.figures = calloc(NOTE_FIGURES_MAX, sizeof(*note.figures))};
        static const char *const sync[] = {"", "yes", "no"};
        int r;

        if (!note.figures)
                return -ENOMEM;
        put(&note, "kernel", "%s", host->kernel);
        if (facts->kernel_newest[0])
                put(&note, "kernel-newest", "%s", facts->kernel_newest);
        if (sync[facts->clock_sync][0])
                put(&note, "clock-synchronised", "%s", sync[facts->clock_sync]);
        put(&note, "clock-ahead-ms", "%" PRId64,
            ((int64_t)host->clock_us - (int64_t)clock_us) / (int64_t)USEC_PER_MSEC);
        r = put_words(&note, lists[LIST_FAILED].figure, (const char *)host->failed_units, UNIT_SIZE,
                      host->failed_unit_count, false, 12);
        if (r == 0)
                r = put_words(&note, lists[LIST_MOUNT].figure, (const char *)facts->mounts, WORD_SIZE,
                              facts->mount_count, facts->mounts_cut, 16);
        if (r == 0)
                r = put_words(&note, lists[LIST_PORT].figure, (const char *)facts->listeners, ADDRESS_SIZE,
                              facts->listener_count, facts->listeners_cut, 28);
        if (r < 0) {
                host_note_clear(&note);
                return r;
        }
        *ret = note;
        return 0;
}

/* --- reading one ------------------------------------------------------------------------------------------
 */

static const char *value_of(const struct host_note *note, const char *name)
{
        for (size_t i = 0; i < note->count; i++)
                if (text_equal(note->figures[i].name, name))
                        return note->figures[i].value;
        return "";
}

static bool is_left_out(const struct host_note *note, enum list list)
{
        for (size_t i = 0; i < note->count; i++)
                if (text_equal(note->figures[i].name, "left-out") &&
                    text_equal(note->figures[i].value, lists[list].figure))
                        return true;
        return false;
}

struct words {
        char *text;      /* owned */
        const char **at; /* owned: into text, sorted */
        size_t count;
};

static void words_clear(struct words *words)
{
        free(words->text);
        free(words->at);
        *words = (struct words){0};
}

static int read_words(struct words *ret, const struct host_note *note, enum list list)
{
        struct words words = {.text = malloc(note->count * TEXT_SIZE + 1),
                              .at = calloc(note->count * TEXT_SIZE / 2 + 1, sizeof(*words.at))};
        char *end = words.text, *save = NULL;

        if (!words.text || !words.at) {
                words_clear(&words);
                return -ENOMEM;
        }
        *end = '\0';
        for (size_t i = 0; i < note->count; i++)
                if (text_equal(note->figures[i].name, lists[list].figure))
                        end += sprintf(end, "%s%s", end > words.text ? " " : "", note->figures[i].value);
        for (char *word = strtok_r(words.text, " ", &save); word; word = strtok_r(NULL, " ", &save))
                words.at[words.count++] = word;
        qsort(words.at, words.count, sizeof(*words.at), compare_words);
        *ret = words;
        return 0;
}

void host_note_text(const struct host_note *note, char *out, size_t size)
{
        char line[2 * TEXT_SIZE];
        size_t counts[LIST_END] = {0};

        for (int list = 0; list < LIST_END; list++)
                for (size_t i = 0; i < note->count; i++) {
                        if (!text_equal(note->figures[i].name, lists[list].figure))
                                continue;
                        counts[list]++;
                        for (const char *c = note->figures[i].value; *c; c++)
                                counts[list] += *c == ' ';
                }
        snprintf(line, sizeof(line), "%zu failed unit%s, %zu mount%s, %zu listening port%s, kernel %s",
                 counts[LIST_FAILED], counts[LIST_FAILED] == 1 ? "" : "s", counts[LIST_MOUNT],
                 counts[LIST_MOUNT] == 1 ? "" : "s", counts[LIST_PORT], counts[LIST_PORT] == 1 ? "" : "s",
                 value_of(note, "kernel"));
        text_copy_cut(out, size, line);
}

/* --- comparing --------------------------------------------------------------------------------------------
 */

struct found {
        struct figure *figures;
        size_t count, more;
        bool late;
};

static void find(struct found *found, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void find(struct found *found, const char *name, const char *format, ...)
{
        char text[4 * TEXT_SIZE];
        struct figure *figure;
        va_list arguments;

        /* The last one is kept for how many more there are. */
        if (found->count == FIGURE_MAX - 1) {
                found->more++;
                return;
        }
        figure = &found->figures[found->count++];
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        text_copy_cut(figure->name, sizeof(figure->name), name);
        text_copy_clean(figure->value, sizeof(figure->value), text);
}

/* "ext4:/srv/data" as people have it. */
static void find_word(struct found *found, const char *name, enum list list, const char *word)
{
        const char *place = list == LIST_MOUNT ? strchr(word, ':') : NULL;

        if (place)
                find(found, name, "%s (%.*s)", place + 1, (int)(place - word), word);
        else
                find(found, name, "%s", word);
}

/* Words of `these` that `those` have not. */
static void find_missing(struct found *found, const char *name, enum list list, const struct words *these,
                         const struct words *those)
{
        for (size_t i = 0; i < these->count; i++)
                if (!bsearch(&these->at[i], those->at, those->count, sizeof(*those->at), compare_words) &&
                    (i == 0 || strcmp(these->at[i], these->at[i - 1]) != 0))
                        find_word(found, name, list, these->at[i]);
}

static int find_in_list(struct found *found, enum list list, const struct host_note *before,
                        const struct host_note *after, bool gone)
{
        cleanup_with(words_clear) struct words was = {0}, is = {0};
        const char *name = gone ? lists[list].gone : lists[list].new;
        size_t count = found->count + found->more;
        int r;

        if (!name || is_left_out(before, list) || is_left_out(after, list))
                return 0;
        r = read_words(&was, before, list);
        if (r == 0)
                r = read_words(&is, after, list);
        if (r < 0)
                return r;
        if (gone)
                find_missing(found, name, list, &was, &is);
        else
                find_missing(found, name, list, &is, &was);
        found->late |= gone && lists[list].waits && found->count + found->more > count;
        return 0;
}

static void find_kernel(struct found *found, const struct host_note *before, const struct host_note *after,
                        bool same_kernel)
{
        const char *was = value_of(before, "kernel"), *is = value_of(after, "kernel");
        const char *newest = value_of(after, "kernel-newest");

        if (newest[0] && !text_equal(is, newest) && !same_kernel)
                find(found, "old-kernel", "runs %s, %s is installed", is, newest);
        else if (!text_equal(was, is))
                find(found, "kernel-changed", "%s, before %s", is, was);
}

static void find_clock(struct found *found, const struct host_note *before, const struct host_note *after)
{
        long long was, is;
        char span[48];

        if (sscanf(value_of(before, "clock-ahead-ms"), "%lld", &was) == 1 &&
            sscanf(value_of(after, "clock-ahead-ms"), "%lld", &is) == 1 && was > INT64_MIN / 4 &&
            was < INT64_MAX / 4 && is > INT64_MIN / 4 && is < INT64_MAX / 4 &&
            (is - was > CLOCK_JUMP_MS || was - is > CLOCK_JUMP_MS)) {
                time_duration_text(span, sizeof(span), (uint64_t)llabs(is - was) * USEC_PER_MSEC);
                find(found, "clock-jump", "%s %s, against the controller's clock", span,
                     is > was ? "forward" : "back");
        }
        if (text_equal(value_of(before, "clock-synchronised"), "yes") &&
            text_equal(value_of(after, "clock-synchronised"), "no"))
                find(found, "clock-unsynchronised", "it was before the reboot");
}

int host_note_compare(const struct host_note *before, const struct host_note *after, bool same_kernel,
                      struct figure ret[FIGURE_MAX], size_t *ret_count, bool *ret_late)
{
        struct found found = {.figures = ret};
        int r = find_in_list(&found, LIST_FAILED, before, after, false);

        find_kernel(&found, before, after, same_kernel);
        for (int list = 0; list < LIST_END && r == 0; list++)
                r = find_in_list(&found, (enum list)list, before, after, true);
        find_clock(&found, before, after);
        for (int list = LIST_MOUNT; list < LIST_END && r == 0; list++)
                r = find_in_list(&found, (enum list)list, before, after, false);
        for (int list = 0; list < LIST_END && r == 0; list++)
                if (is_left_out(before, (enum list)list) || is_left_out(after, (enum list)list))
                        find(&found, "not-compared", "too many or too long %s", lists[list].many);
        if (r < 0)
                return r;
        if (found.more) {
                found.count = FIGURE_MAX;
                text_copy_cut(ret[FIGURE_MAX - 1].name, NAME_SIZE, "more");
                snprintf(ret[FIGURE_MAX - 1].value, TEXT_SIZE, "%zu more differences", found.more);
        }
        *ret_count = found.count;
        *ret_late = found.late;
        return 0;
}
