/* See terminal.h. */
#include "cli/terminal.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "common/base/text.h"

void terminal_init(void)
{
        setlocale(LC_CTYPE, "C.UTF-8");
}

void terminal_read(struct terminal *ret, FILE *file)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
        struct winsize size = {0};

        *ret = (struct terminal){0};
        if (!isatty(fileno(file)))
                return;
        ret->tty = true;
        ret->colour = !(no_color && no_color[0]) && term && !text_equal(term, "dumb");
        ret->width = ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
}

const char *style_begin(const struct terminal *terminal, enum style style)
{
        static const char *const codes[] = {
                [STYLE_PLAIN] = "",         [STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m",
                [STYLE_BAD] = "\033[1;31m", [STYLE_DIM] = "\033[2m",   [STYLE_BOLD] = "\033[1m",
        };

        return terminal->colour ? codes[style] : "";
}

const char *style_end(const struct terminal *terminal, enum style style)
{
        return terminal->colour && style != STYLE_PLAIN ? "\033[0m" : "";
}

/* Characters that would change how the text around them is shown. */
static bool reorders(wchar_t c)
{
        return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
               c == 0xfeff;
}

/* The character at p (1 to left bytes): its size, and what it is; a malformed byte is L'\0' of size 1. */
static size_t next_character(const char *p, size_t left, wchar_t *ret)
{
        mbstate_t state = {0};
        size_t n = mbrtowc(ret, p, left, &state);

        if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
                *ret = L'\0';
                return 1;
        }
        return n;
}

size_t clean_bytes(char *bytes, size_t size, bool lines)
{
        size_t out = 0;

        for (size_t in = 0; in < size;) {
                wchar_t c;
                size_t n = next_character(bytes + in, size - in, &c);

                if (c == L'\t' || (c == L'\n' && lines) || (c != L'\0' && wcwidth(c) >= 0 && !reorders(c))) {
                        memmove(bytes + out, bytes + in, n);
                        out += n;
                } else {
                        bytes[out++] = '?';
                }
                in += n;
        }
        return out;
}

void line_over(const struct terminal *terminal, const char *text)
{
        if (!terminal->tty)
                return;
        fputs("\r\033[K", stdout);
        if (!text)
                return;
        printf("%.*s", (int)text_fit(text, terminal->width), text);
        fflush(stdout);
}

void clean_text(char *text)
{
        for (char *c = text; *c; c++)
                if (*c == '\t' || *c == '\n' || *c == '\r')
                        *c = ' ';
        text[clean_bytes(text, strlen(text), false)] = '\0';
}

static size_t character_columns(wchar_t c)
{
        int width = wcwidth(c);

        return width < 0 ? 1 : (size_t)width;
}

size_t text_columns(const char *text)
{
        size_t columns = 0, left = strlen(text);

        while (left > 0) {
                wchar_t c;
                size_t n = next_character(text, left, &c);

                columns += c == L'\0' ? 1 : character_columns(c);
                text += n;
                left -= n;
        }
        return columns;
}

size_t text_fit(const char *text, size_t columns)
{
        size_t used = 0, at = 0, size = strlen(text);

        while (at < size) {
                wchar_t c;
                size_t n = next_character(text + at, size - at, &c);

                used += c == L'\0' ? 1 : character_columns(c);
                if (used > columns)
                        break;
                at += n;
        }
        return at;
}
