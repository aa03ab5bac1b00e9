/* See diff.h. */
#include "agent/pm2/diff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/text.h"

enum field_type { FIELD_TEXT, FIELD_HASH, FIELD_NUMBER, FIELD_FLAG };

/* Each is a field of struct pm2_app; to compare another is to add a line. */
static const struct {
        const char *what;
        enum field_type type;
        size_t offset;
} fields[] = {
#define FIELD(what, type, member)                                                                            \
        {                                                                                                    \
                what, type, offsetof(struct pm2_app, member)                                                 \
        }
        FIELD("namespace", FIELD_TEXT, space),
        FIELD("script", FIELD_TEXT, script),
        FIELD("cwd", FIELD_TEXT, cwd),
        FIELD("interpreter", FIELD_TEXT, interpreter),
        FIELD("mode", FIELD_TEXT, mode),
        FIELD("cron", FIELD_TEXT, cron),
        FIELD("args", FIELD_HASH, args_hash),
        FIELD("node_args", FIELD_HASH, node_args_hash),
        FIELD("watch", FIELD_HASH, watch_hash),
        FIELD("env", FIELD_HASH, env_hash),
        FIELD("settings", FIELD_HASH, settings_hash),
        FIELD("instance", FIELD_NUMBER, instance),
        FIELD("autostart", FIELD_FLAG, autostart),
        FIELD("module", FIELD_FLAG, module),
#undef FIELD
};

static const void *field_of(const struct pm2_app *app, size_t offset)
{
        return (const char *)app + offset;
}

static void field_text(const struct pm2_app *app, size_t index, char ret[TEXT_SIZE])
{
        const void *field = field_of(app, fields[index].offset);
        const char *hash = field;

        switch (fields[index].type) {
        case FIELD_TEXT:
                text_copy_cut(ret, TEXT_SIZE, *(const char *const *)field);
                break;
        case FIELD_HASH:
                snprintf(ret, TEXT_SIZE, "%s%.12s", hash[0] ? "#" : "none", hash);
                break;
        case FIELD_NUMBER:
                snprintf(ret, TEXT_SIZE, "%" PRId64, *(const int64_t *)field);
                break;
        case FIELD_FLAG:
                text_copy_cut(ret, TEXT_SIZE, *(const bool *)field ? "yes" : "no");
                break;
        }
}

static bool field_equal(const struct pm2_app *before, const struct pm2_app *after, size_t index)
{
        const void *a = field_of(before, fields[index].offset), *b = field_of(after, fields[index].offset);

        switch (fields[index].type) {
        case FIELD_TEXT:
                return text_equal(*(const char *const *)a, *(const char *const *)b);
        case FIELD_HASH:
                return text_equal(a, b);
        case FIELD_NUMBER:
                return *(const int64_t *)a == *(const int64_t *)b;
        case FIELD_FLAG:
                return *(const bool *)a == *(const bool *)b;
        }
        return false;
}

bool pm2_app_same(const struct pm2_app *before, const struct pm2_app *after)
{
        if (!text_equal(before->name, after->name))
                return false;
        for (size_t i = 0; i < ELEMENTS(fields); i++)
                if (!field_equal(before, after, i))
                        return false;
        return true;
}

static struct pm2_difference *add(struct pm2_diff *diff, const struct pm2_app *app, const char *what)
{
        struct pm2_difference *item;

        /* Grows by powers of two; the count alone tells the room. */
        if ((diff->count & (diff->count - 1)) == 0) {
                struct pm2_difference *larger =
                        reallocarray(diff->items, diff->count ? diff->count * 2 : 1, sizeof(*larger));

                if (!larger)
                        return NULL;
                diff->items = larger;
        }
        item = &diff->items[diff->count++];
        *item = (struct pm2_difference){.pm_id = app->pm_id};
        text_copy_cut(item->name, sizeof(item->name), app->name);
        text_copy_cut(item->what, sizeof(item->what), what);
        return item;
}

static int add_texts(struct pm2_diff *diff, const struct pm2_app *app, const char *what, const char *before,
                     const char *after)
{
        struct pm2_difference *item = add(diff, app, what);

        if (!item)
                return -ENOMEM;
        text_copy_cut(item->before, sizeof(item->before), before);
        text_copy_cut(item->after, sizeof(item->after), after);
        return 0;
}

static bool same_status(const struct pm2_app *before, const struct pm2_app *after, unsigned flags)
{
        if (flags & PM2_DIFF_NO_STATUS || text_equal(before->status_text, after->status_text))
                return true;
        return flags & PM2_DIFF_RUNS && pm2_status_runs(before->status) && pm2_status_runs(after->status);
}

static int compare_apps(struct pm2_diff *diff, const struct pm2_app *before, const struct pm2_app *after,
                        unsigned flags)
{
        int r = 0;

        if (!same_status(before, after, flags))
                r = add_texts(diff, before, "status", before->status_text, after->status_text);
        if (r == 0 && before->instances != after->instances) {
                char from[16], to[16];

                snprintf(from, sizeof(from), "%u", before->instances);
                snprintf(to, sizeof(to), "%u", after->instances);
                r = add_texts(diff, before, "instances", from, to);
        }
        for (size_t i = 0; i < ELEMENTS(fields) && r == 0; i++) {
                char from[TEXT_SIZE], to[TEXT_SIZE];

                if (field_equal(before, after, i))
                        continue;
                field_text(before, i, from);
                field_text(after, i, to);
                r = add_texts(diff, before, fields[i].what, from, to);
        }
        return r;
}

/* Whether two apps are the same one, seen at two moments. PM2's dump has no ids: there the instance tells
 * those of one name apart. */
static bool counterparts(const struct pm2_app *before, const struct pm2_app *after, bool by_name)
{
        if (by_name ? before->instance != after->instance || !text_equal(before->space, after->space)
                    : before->pm_id != after->pm_id)
                return false;
        return text_equal(before->name, after->name);
}

#define UNPAIRED SIZE_MAX
#define LEFT_OUT (SIZE_MAX - 1)

/* Two lists while they are compared: for each app of before its counterpart in after, and whether one of
 * after is anybody's. */
struct pairs {
        size_t *of_before;
        bool *of_after;
};

static void pairs_clear(struct pairs *pairs)
{
        free(pairs->of_before);
        free(pairs->of_after);
}

/* An app has one counterpart at most: apps may have the same name and no instance. What PM2 does not write
 * into its dump is no difference to it. */
static int pair_up(struct pairs *ret, const struct pm2_list *before, const struct pm2_list *after)
{
        bool by_name = before->dump || after->dump;

        ret->of_before = calloc(before->count + 1, sizeof(*ret->of_before));
        ret->of_after = calloc(after->count + 1, sizeof(*ret->of_after));
        if (!ret->of_before || !ret->of_after)
                return -ENOMEM;
        for (size_t k = 0; k < after->count; k++)
                ret->of_after[k] = by_name && after->apps[k].module;
        for (size_t i = 0; i < before->count; i++) {
                ret->of_before[i] = by_name && before->apps[i].module ? LEFT_OUT : UNPAIRED;
                for (size_t k = 0; k < after->count && ret->of_before[i] == UNPAIRED; k++)
                        if (!ret->of_after[k] && counterparts(&before->apps[i], &after->apps[k], by_name)) {
                                ret->of_before[i] = k;
                                ret->of_after[k] = true;
                        }
        }
        return 0;
}

int pm2_diff_compute(struct pm2_diff *ret, const struct pm2_list *before, const struct pm2_list *after,
                     unsigned flags)
{
        cleanup_pm2_diff struct pm2_diff diff = {0};
        cleanup_with(pairs_clear) struct pairs pairs = {0};
        int r = pair_up(&pairs, before, after);

        for (size_t i = 0; i < before->count && r == 0; i++) {
                const struct pm2_app *app = &before->apps[i];
                size_t from = diff.count, other = pairs.of_before[i];

                if (other == LEFT_OUT)
                        continue;
                if (other == UNPAIRED)
                        r = add_texts(&diff, app, "missing", app->status_text, "");
                else
                        r = compare_apps(&diff, app, &after->apps[other], flags);
                diff.apps += diff.count > from;
                diff.fallen += pm2_status_runs(app->status) &&
                               (other == UNPAIRED || !pm2_status_runs(after->apps[other].status));
                for (; before->dump && from < diff.count; from++)
                        diff.items[from].pm_id = other == UNPAIRED ? -1 : after->apps[other].pm_id;
        }
        for (size_t k = 0; k < after->count && r == 0; k++) {
                if (pairs.of_after[k])
                        continue;
                r = add_texts(&diff, &after->apps[k], "extra", "", after->apps[k].status_text);
                if (r == 0 && after->dump)
                        diff.items[diff.count - 1].pm_id = -1;
                diff.apps++;
        }
        if (r < 0)
                return r;
        *ret = diff;
        diff = (struct pm2_diff){0};
        return 0;
}

void pm2_diff_clear(struct pm2_diff *diff)
{
        free(diff->items);
        *diff = (struct pm2_diff){0};
}

void pm2_difference_text(const struct pm2_difference *difference, char *ret, size_t size)
{
        char text[TEXT_SIZE * 4], id[24] = "";

        if (difference->pm_id >= 0)
                snprintf(id, sizeof(id), " (%" PRId64 ")", difference->pm_id);
        if (text_equal(difference->what, "missing") || text_equal(difference->what, "extra"))
                snprintf(text, sizeof(text), "%s%s: %s", difference->name, id, difference->what);
        else
                snprintf(text, sizeof(text), "%s%s: %s was %s, is %s", difference->name, id, difference->what,
                         difference->before[0] ? difference->before : "unset",
                         difference->after[0] ? difference->after : "unset");
        text_copy_cut(ret, size, text);
}
