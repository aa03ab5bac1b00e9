/* See scan.h. A cursor that never goes back; whatever is not asked for is skipped by its brackets. */
#include "agent/pm2/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

#define DEPTH_MAX 512
#define KEY_SIZE  64

struct cursor {
        const char *at, *end;
};

static void skip_space(struct cursor *cursor)
{
        while (cursor->at < cursor->end &&
               (*cursor->at == ' ' || *cursor->at == '\n' || *cursor->at == '\t' || *cursor->at == '\r'))
                cursor->at++;
}

/* Steps over c. */
static bool take(struct cursor *cursor, char c)
{
        skip_space(cursor);
        if (cursor->at == cursor->end || *cursor->at != c)
                return false;
        cursor->at++;
        return true;
}

static char peek(struct cursor *cursor)
{
        skip_space(cursor);
        return cursor->at < cursor->end ? *cursor->at : '\0';
}

/* At the opening quote. Leaves the cursor behind the closing one. */
static int skip_string(struct cursor *cursor)
{
        const char *at = cursor->at + 1;

        for (;;) {
                const char *quote = memchr(at, '"', (size_t)(cursor->end - at));
                size_t slashes = 0;

                if (!quote)
                        return -EBADMSG;
                while (quote - slashes > at && quote[-1 - (ssize_t)slashes] == '\\')
                        slashes++;
                at = quote + 1;
                if (slashes % 2 == 0)
                        break;
        }
        cursor->at = at;
        return 0;
}

static int unescape(const char **at, const char *end, char *ret)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/ \f\n\r\t";
        const char *found;

        if (*at == end)
                return -EBADMSG;
        if (**at == 'u') {
                /* Names with escapes beyond ASCII are rare (JSON.stringify writes UTF-8): shown as "?". */
                if (end - *at < 5)
                        return -EBADMSG;
                *at += 5;
                *ret = '?';
                return 0;
        }
        found = strchr(from, **at);
        if (!found || !*found)
                return -EBADMSG;
        (*at)++;
        *ret = to[found - from];
        return 0;
}

/* At the opening quote: the string, cut at size, without control bytes. */
static int read_string(struct cursor *cursor, char *ret, size_t size)
{
        const char *at = cursor->at + 1, *end;
        size_t used = 0;
        int r = skip_string(cursor);

        if (r < 0)
                return r;
        end = cursor->at - 1;
        while (at < end) {
                char c = *at++;

                if (c == '\\') {
                        r = unescape(&at, end, &c);
                        if (r < 0)
                                return r;
                }
                if (used + 1 < size)
                        ret[used++] = (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c;
        }
        while (used > 0 && !text_is_utf8(ret, used))
                used--;
        ret[used] = '\0';
        return 0;
}

/* Any value. Brackets are counted, not matched by kind: PM2 writes what JSON.stringify gives. */
static int skip_value(struct cursor *cursor)
{
        unsigned depth = 0;

        skip_space(cursor);
        while (cursor->at < cursor->end) {
                char c = *cursor->at;
                int r;

                if (c == '"') {
                        r = skip_string(cursor);
                        if (r < 0)
                                return r;
                        if (depth == 0)
                                return 0;
                        continue;
                }
                if (depth == 0 && (c == ',' || c == '}' || c == ']'))
                        return 0;
                cursor->at++;
                if (c == '{' || c == '[') {
                        if (++depth > DEPTH_MAX)
                                return -EBADMSG;
                } else if (c == '}' || c == ']') {
                        if (--depth == 0)
                                return 0;
                }
        }
        return depth == 0 ? 0 : -EBADMSG;
}

/* A whole number; anything else counts as absent. */
static int read_number(struct cursor *cursor, int64_t *ret)
{
        char digits[24];
        const char *start;
        uint64_t value;
        size_t length;
        int r;

        skip_space(cursor);
        start = cursor->at;
        r = skip_value(cursor);
        if (r < 0)
                return r;
        length = (size_t)(cursor->at - start);
        if (length >= sizeof(digits))
                return 0;
        memcpy(digits, start, length);
        digits[length] = '\0';
        if (text_to_u64(digits, &value) == 0 && value <= INT64_MAX)
                *ret = (int64_t)value;
        return 0;
}

/* Goes through an object's members: 1 and the key when the cursor stands before a value, 0 at the end. */
static int next_member(struct cursor *cursor, bool *first, char key[KEY_SIZE])
{
        int r;

        if (take(cursor, '}'))
                return 0;
        if (!*first && !take(cursor, ','))
                return -EBADMSG;
        *first = false;
        if (peek(cursor) != '"')
                return -EBADMSG;
        r = read_string(cursor, key, KEY_SIZE);
        if (r < 0)
                return r;
        return take(cursor, ':') ? 1 : -EBADMSG;
}

static uint32_t small(int64_t value)
{
        return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int scan_text(struct cursor *cursor, char *ret, size_t size)
{
        return peek(cursor) == '"' ? read_string(cursor, ret, size) : skip_value(cursor);
}

/* As PM2 asks: false, or the text "false". */
static int scan_false(struct cursor *cursor, bool *ret)
{
        char word[8] = "";
        int r;

        *ret = peek(cursor) == 'f';
        if (peek(cursor) != '"')
                return skip_value(cursor);
        r = read_string(cursor, word, sizeof(word));
        *ret = text_equal(word, "false");
        return r;
}

static int scan_env(struct cursor *cursor, struct pm2_brief *app)
{
        bool first = true, given_up = false, ends = false;
        int64_t restarts = 0, uptime = 0;
        char key[KEY_SIZE];
        int r;

        if (!take(cursor, '{'))
                return -EBADMSG;
        while ((r = next_member(cursor, &first, key)) > 0) {
                if (text_equal(key, "name")) {
                        r = scan_text(cursor, app->name, sizeof(app->name));
                } else if (text_equal(key, "status")) {
                        r = scan_text(cursor, app->status_text, sizeof(app->status_text));
                } else if (text_equal(key, "pm_id")) {
                        r = read_number(cursor, &app->pm_id);
                } else if (text_equal(key, "restart_time")) {
                        r = read_number(cursor, &restarts);
                } else if (text_equal(key, "pm_uptime")) {
                        r = read_number(cursor, &uptime);
                } else if (text_equal(key, "exit_code")) {
                        r = read_number(cursor, &app->exit_code);
                } else if (text_equal(key, "autorestart")) {
                        r = scan_false(cursor, &ends);
                } else {
                        app->module = app->module || (text_equal(key, "pmx_module") && peek(cursor) == 't');
                        given_up = given_up || (text_equal(key, "created_at") && peek(cursor) == 'n');
                        r = skip_value(cursor);
                }
                if (r < 0)
                        return r;
        }
        app->status = pm2_status_judge(pm2_status_parse(app->status_text), given_up, ends);
        if (app->status != PM2_OTHER)
                text_copy_cut(app->status_text, sizeof(app->status_text), pm2_status_name(app->status));
        app->restarts = small(restarts);
        app->uptime_us = uptime > 0 && uptime < INT64_MAX / 1000 ? (uint64_t)uptime * 1000 : 0;
        return r;
}

static int scan_app(struct cursor *cursor, struct pm2_brief *app)
{
        bool first = true, seen = false;
        char key[KEY_SIZE];
        int64_t pid = 0;
        int r;

        *app = (struct pm2_brief){.pm_id = -1, .exit_code = -1};
        if (!take(cursor, '{'))
                return -EBADMSG;
        while ((r = next_member(cursor, &first, key)) > 0) {
                if (text_equal(key, "pm2_env")) {
                        r = scan_env(cursor, app);
                        seen = true;
                } else if (text_equal(key, "pid")) {
                        r = read_number(cursor, &pid);
                } else {
                        r = skip_value(cursor);
                }
                if (r < 0)
                        return r;
        }
        app->pid = pid <= INT32_MAX ? (pid_t)pid : (pid_t)0;
        if (r == 0 && (!seen || app->pm_id < 0 || app->pm_id > PM2_ID_MAX))
                return -EBADMSG;
        return r;
}

int pm2_scan(const char *text, size_t size, struct pm2_brief **ret, size_t *ret_count)
{
        struct cursor cursor = {.at = text, .end = text + size};
        cleanup_free struct pm2_brief *apps = NULL;
        size_t count = 0, room = 0;

        if (!take(&cursor, '['))
                return -EBADMSG;
        while (!take(&cursor, ']')) {
                int r;

                if (count && !take(&cursor, ','))
                        return -EBADMSG;
                if (count == PM2_APPS_MAX)
                        return -E2BIG;
                if (count == room) {
                        struct pm2_brief *larger = reallocarray(apps, room ? room * 2 : 16, sizeof(*apps));

                        if (!larger)
                                return -ENOMEM;
                        apps = larger;
                        room = room ? room * 2 : 16;
                }
                r = scan_app(&cursor, &apps[count]);
                if (r < 0)
                        return r;
                count++;
        }
        if (peek(&cursor))
                return -EBADMSG;
        *ret = TAKE(apps);
        *ret_count = count;
        return 0;
}

const struct pm2_brief *pm2_brief_find(const struct pm2_brief *apps, size_t count, int64_t pm_id)
{
        for (size_t i = 0; i < count; i++)
                if (apps[i].pm_id == pm_id)
                        return &apps[i];
        return NULL;
}
