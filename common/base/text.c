/* See text.h. */
#include "common/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool text_ends(const char *text, const char *suffix)
{
        size_t n = strlen(text), m = strlen(suffix);

        return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

int text_copy(char *target, size_t size, const char *source)
{
        size_t length = source ? strlen(source) : 0;

        if (length >= size) {
                target[0] = '\0';
                return -ENAMETOOLONG;
        }
        if (length)
                memcpy(target, source, length);
        target[length] = '\0';
        return 0;
}

void text_copy_cut(char *target, size_t size, const char *source)
{
        size_t length = source ? strlen(source) : 0;

        if (length >= size) {
                length = size - 1;
                while (length > 0 && ((unsigned char)source[length] & 0xc0) == 0x80)
                        length--;
        }
        if (length)
                memcpy(target, source, length);
        target[length] = '\0';
}

/* The length of the well-formed sequence at p, or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
        static const struct {
                unsigned char first_min, first_max, second_min, second_max, length;
        } shapes[] = {
                {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
        };

        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
                if (p[0] < shapes[i].first_min || p[0] > shapes[i].first_max)
                        continue;
                if (shapes[i].length > left)
                        return 0;
                if (shapes[i].length > 1 && (p[1] < shapes[i].second_min || p[1] > shapes[i].second_max))
                        return 0;
                for (size_t k = 2; k < shapes[i].length; k++)
                        if ((p[k] & 0xc0) != 0x80)
                                return 0;
                return shapes[i].length;
        }
        return 0;
}

void text_copy_clean(char *target, size_t size, const char *source)
{
        const unsigned char *from = (const unsigned char *)(source ? source : "");
        size_t left = strlen((const char *)from), used = 0;

        while (left > 0) {
                size_t length = utf8_sequence(from, left);
                /* U+0000 to U+001F, U+007F to U+009F */
                bool control = length == 1   ? from[0] < 0x20 || from[0] == 0x7f
                               : length == 2 ? from[0] == 0xc2 && from[1] < 0xa0
                                             : length == 0;

                if (used + (control ? 1 : length) >= size)
                        break;
                if (control)
                        target[used++] = '?';
                else
                        used = (size_t)((char *)mempcpy(target + used, from, length) - target);
                from += length ? length : 1;
                left -= length ? length : 1;
        }
        target[used] = '\0';
}

bool text_is_utf8(const void *bytes, size_t size)
{
        const unsigned char *p = bytes;

        while (size > 0) {
                size_t n = utf8_sequence(p, size);

                if (n == 0)
                        return false;
                p += n;
                size -= n;
        }
        return true;
}

static bool is_alphanumeric(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool text_is_name(const char *text)
{
        size_t length = text ? strlen(text) : 0;

        if (length < 1 || length > 63 || !is_alphanumeric(text[0]))
                return false;
        for (size_t i = 1; i < length; i++)
                if (!is_alphanumeric(text[i]) && !strchr("._-", text[i]))
                        return false;
        return true;
}

void text_hex(char *out, const void *bytes, size_t size)
{
        const unsigned char *p = bytes;

        for (size_t i = 0; i < size; i++) {
                out[2 * i] = "0123456789abcdef"[p[i] >> 4];
                out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
        }
        out[2 * size] = '\0';
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

int text_unhex(void *bytes, size_t size, const char *hex)
{
        unsigned char *p = bytes;

        if (strlen(hex) != 2 * size)
                return -EINVAL;
        for (size_t i = 0; i < 2 * size; i++)
                if (hex_digit(hex[i]) < 0)
                        return -EINVAL;
        for (size_t i = 0; i < size; i++)
                p[i] = (unsigned char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
        return 0;
}

int text_to_u64(const char *text, uint64_t *ret_value)
{
        uint64_t value = 0;

        if (!text || !*text)
                return -EINVAL;
        for (const char *c = text; *c; c++) {
                if (*c < '0' || *c > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(value, 10u, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
                        return -ERANGE;
        }
        *ret_value = value;
        return 0;
}

int text_format(char **ret, const char *format, ...)
{
        va_list arguments;
        char *text;
        int r;

        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (r < 0)
                return -ENOMEM;
        *ret = text;
        return 0;
}

void text_bytes(char *out, size_t size, uint64_t bytes)
{
        static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
        double value = (double)bytes;
        size_t unit = 0;

        if (bytes < 1000) {
                snprintf(out, size, "%" PRIu64 " B", bytes);
                return;
        }
        for (value /= 1000; value >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
                value /= 1000;
        snprintf(out, size, "%.1f %s", value, units[unit]);
}
