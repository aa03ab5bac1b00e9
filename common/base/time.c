/* See time.h. */
#include "common/base/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/text.h"

static uint64_t clock_us(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

uint64_t time_monotonic_us(void)
{
        return clock_us(CLOCK_BOOTTIME);
}

uint64_t time_realtime_us(void)
{
        return clock_us(CLOCK_REALTIME);
}

void time_text(char out[TIME_TEXT_SIZE], uint64_t realtime_us)
{
        time_t seconds = (time_t)(realtime_us / USEC_PER_SEC);
        struct tm broken;
        size_t n = 0;

        if (gmtime_r(&seconds, &broken))
                n = strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &broken);
        if (n == 0) {
                snprintf(out, TIME_TEXT_SIZE, "%" PRIu64 " us", realtime_us);
                return;
        }
        snprintf(out + n, TIME_TEXT_SIZE - n, ".%03uZ", (unsigned)(realtime_us / 1000 % 1000));
}

void time_duration_text(char *out, size_t size, uint64_t us)
{
        uint64_t seconds = (us + USEC_PER_SEC / 2) / USEC_PER_SEC;

        if (us < 999500)
                snprintf(out, size, "%" PRIu64 " ms", (us + 500) / 1000);
        else if (us < 59950000)
                snprintf(out, size, "%.1f s", (double)us / 1e6);
        else if (seconds < 3600)
                snprintf(out, size, "%" PRIu64 " min %02" PRIu64 " s", seconds / 60, seconds % 60);
        else
                snprintf(out, size, "%" PRIu64 " h %02" PRIu64 " min", seconds / 3600, seconds % 3600 / 60);
}

int time_duration_parse(const char *text, uint64_t *ret_us)
{
        static const struct {
                const char *suffix;
                uint64_t us;
        } units[] = {
                {"ms", 1000},    {"min", 60000000}, {"s", 1000000},
                {"m", 60000000}, {"h", 3600000000}, {"", 1000000},
        };

        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                char digits[32];
                uint64_t value;
                size_t n;
                int r;

                if (!text_ends(text, units[i].suffix))
                        continue;
                n = strlen(text) - strlen(units[i].suffix);
                if (n == 0 || n >= sizeof(digits))
                        return -EINVAL;
                memcpy(digits, text, n);
                digits[n] = '\0';
                r = text_to_u64(digits, &value);
                if (r < 0)
                        return r;
                if (__builtin_mul_overflow(value, units[i].us, &value))
                        return -ERANGE;
                *ret_us = value;
                return 0;
        }
        return -EINVAL;
}
