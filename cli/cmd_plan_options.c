/* See cmd_plan_options.h. */
#include "cli/cmd_plan_options.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "common/base/text.h"
#include "common/base/time.h"

/* Exactly so many digits. */
static int read_digits(const char **text, size_t count, int low, int high, int *ret)
{
        int value = 0;

        for (size_t i = 0; i < count; i++) {
                if ((*text)[i] < '0' || (*text)[i] > '9')
                        return -EINVAL;
                value = value * 10 + ((*text)[i] - '0');
        }
        if (value < low || value > high)
                return -EINVAL;
        *text += count;
        *ret = value;
        return 0;
}

static int read_character(const char **text, char wanted)
{
        return *(*text)++ == wanted ? 0 : -EINVAL;
}

/* "06:00" or "06:00:30". */
static int read_clock(const char **text, struct tm *tm)
{
        if (read_digits(text, 2, 0, 23, &tm->tm_hour) < 0 || read_character(text, ':') < 0 ||
            read_digits(text, 2, 0, 59, &tm->tm_min) < 0)
                return -EINVAL;
        if (**text != ':')
                return 0;
        (*text)++;
        return read_digits(text, 2, 0, 59, &tm->tm_sec);
}

/* What stands behind a time: nothing is here, "Z" is UTC, "+01:00" east of it. */
static int read_zone(const char *text, bool *ret_here, int *ret_offset_s)
{
        int sign = *text == '-' ? -1 : 1, hours = 0, minutes = 0;

        *ret_offset_s = 0;
        *ret_here = !*text;
        if (!*text || text_equal(text, "Z"))
                return 0;
        if (*text != '+' && *text != '-')
                return -EINVAL;
        text++;
        if (read_digits(&text, 2, 0, 14, &hours) < 0 || read_character(&text, ':') < 0 ||
            read_digits(&text, 2, 0, 59, &minutes) < 0 || *text)
                return -EINVAL;
        *ret_offset_s = sign * (hours * 3600 + minutes * 60);
        return 0;
}

int finish_by_parse(const char *text, uint64_t now_us, uint64_t *ret_us)
{
        time_t now = (time_t)(now_us / USEC_PER_SEC), at;
        struct tm tm = {0};
        bool here = true, has_day = strlen(text) >= 10 && text[4] == '-';
        int offset_s = 0, year = 0, month = 0;

        if (has_day && (read_digits(&text, 4, 1970, 9999, &year) < 0 || read_character(&text, '-') < 0 ||
                        read_digits(&text, 2, 1, 12, &month) < 0 || read_character(&text, '-') < 0 ||
                        read_digits(&text, 2, 1, 31, &tm.tm_mday) < 0 || read_character(&text, 'T') < 0))
                return -EINVAL;
        if (read_clock(&text, &tm) < 0 || read_zone(text, &here, &offset_s) < 0)
                return -EINVAL;
        if (has_day) {
                tm.tm_year = year - 1900;
                tm.tm_mon = month - 1;
        } else {
                time_t there = now + offset_s;
                struct tm today;

                if (here)
                        localtime_r(&now, &today);
                else
                        gmtime_r(&there, &today);
                tm.tm_year = today.tm_year;
                tm.tm_mon = today.tm_mon;
                tm.tm_mday = today.tm_mday;
        }
        for (int day = tm.tm_mday;; tm.tm_mday = ++day) {
                struct tm wanted = tm;

                wanted.tm_isdst = -1;
                at = here ? mktime(&wanted) : timegm(&wanted) - offset_s;
                if (at < 0)
                        return -EINVAL;
                if (has_day && (wanted.tm_mday != tm.tm_mday)) /* the 31st of a month of 30 days */
                        return -EINVAL;
                if (has_day || at > now)
                        break;
        }
        *ret_us = (uint64_t)at * USEC_PER_SEC;
        return 0;
}

bool plan_options_read(struct plan_asked *asked, const char *command, int *ret_exit)
{
        if (!asked->finish_by ||
            finish_by_parse(asked->finish_by, time_realtime_us(), &asked->finish_by_us) == 0)
                return true;
        *ret_exit = cli_fail(
                CLI_USAGE,
                "%s: --finish-by '%s' is no time; write 06:00, or 2026-11-24T06:00 with or without Z "
                "or +01:00",
                command, asked->finish_by);
        return false;
}

void plan_options_fill(Muster__V1__PlanOptions *ret, const struct plan_asked *asked)
{
        muster__v1__plan_options__init(ret);
        ret->batch = (char *)(asked->batch ? asked->batch : "");
        ret->canary = (char *)(asked->canary ? asked->canary : "");
        ret->finish_by_us = asked->finish_by_us;
        ret->soft = asked->soft;
}
