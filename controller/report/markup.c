/* Markdown and HTML. Each mark has its two spellings side by side; texts are escaped for the form, control
 * characters become spaces.
 */
#include "controller/report/markup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"

static const char style[] =
        "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;"
        "color:#222;background:#fff}"
        "h2{margin-top:2rem}"
        "table{border-collapse:collapse}"
        "th,td{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;"
        "border-bottom:1px solid #ddd;overflow-wrap:anywhere}";

static void put(struct markup *markup, const char *text)
{
        if (markup->result == 0)
                markup->result = buffer_append(&markup->buffer, text, strlen(text));
}

/* One of two spellings. */
static void mark(struct markup *markup, const char *markdown, const char *html)
{
        put(markup, markup->form == MARKUP_HTML ? html : markdown);
}

static const char *html_escape(char c)
{
        switch (c) {
        case '<':
                return "&lt;";
        case '>':
                return "&gt;";
        case '&':
                return "&amp;";
        case '"':
                return "&quot;";
        case '\'':
                return "&#39;";
        default:
                return NULL;
        }
}

static void put_escaped(struct markup *markup, const char *text)
{
        for (const char *c = text; *c; c++) {
                const char one[2] = {(unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c, '\0'};
                const char *escaped = markup->form == MARKUP_HTML ? html_escape(*c) : NULL;

                if (markup->form == MARKUP_MARKDOWN && strchr("|<`\\[*", *c))
                        put(markup, "\\");
                put(markup, escaped ? escaped : one);
        }
}

/* Returns whether there was anything to write. */
static bool put_format(struct markup *markup, const char *format, va_list arguments)
        __attribute__((format(printf, 2, 0)));
static bool put_format(struct markup *markup, const char *format, va_list arguments)
{
        cleanup_free char *text = NULL;

        if (vasprintf(&text, format, arguments) < 0) {
                text = NULL;
                markup->result = -ENOMEM;
                return false;
        }
        put_escaped(markup, text);
        return text[0] != '\0';
}

/* --- the document ----------------------------------------------------------------------------------------
 */

void markup_begin(struct markup *markup, const char *format, ...)
{
        va_list arguments;

        mark(markup, "# ", "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
        va_start(arguments, format);
        put_format(markup, format, arguments);
        va_end(arguments);
        if (markup->form == MARKUP_HTML) {
                put(markup, "</title>\n<style>");
                put(markup, style);
                put(markup, "</style>\n</head>\n<body>\n<h1>");
                va_start(arguments, format);
                put_format(markup, format, arguments);
                va_end(arguments);
        }
        mark(markup, "\n\n", "</h1>\n");
}

void markup_end(struct markup *markup)
{
        mark(markup, "", "</body>\n</html>\n");
}

void markup_heading(struct markup *markup, const char *text)
{
        mark(markup, "## ", "<h2>");
        put_escaped(markup, text);
        mark(markup, "\n\n", "</h2>\n");
}

/* --- texts -------------------------------------------------------------------------------------------------
 */

void markup_text(struct markup *markup, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        put_format(markup, format, arguments);
        va_end(arguments);
}

void markup_bold(struct markup *markup, const char *format, ...)
{
        va_list arguments;

        mark(markup, "**", "<b>");
        va_start(arguments, format);
        put_format(markup, format, arguments);
        va_end(arguments);
        mark(markup, "**", "</b>");
}

void markup_paragraph_begin(struct markup *markup)
{
        mark(markup, "", "<p>");
}

void markup_paragraph_end(struct markup *markup)
{
        mark(markup, "\n\n", "</p>\n");
}

void markup_paragraph(struct markup *markup, const char *format, ...)
{
        va_list arguments;

        markup_paragraph_begin(markup);
        va_start(arguments, format);
        put_format(markup, format, arguments);
        va_end(arguments);
        markup_paragraph_end(markup);
}

/* --- lists -------------------------------------------------------------------------------------------------
 */

void markup_list_begin(struct markup *markup)
{
        mark(markup, "", "<ul>\n");
}

void markup_item_begin(struct markup *markup)
{
        mark(markup, "- ", "<li>");
}

void markup_item_end(struct markup *markup)
{
        mark(markup, "\n", "</li>\n");
}

void markup_item(struct markup *markup, const char *format, ...)
{
        va_list arguments;

        markup_item_begin(markup);
        va_start(arguments, format);
        put_format(markup, format, arguments);
        va_end(arguments);
        markup_item_end(markup);
}

void markup_list_end(struct markup *markup)
{
        mark(markup, "\n", "</ul>\n");
}

/* --- tables ------------------------------------------------------------------------------------------------
 */

void markup_table_begin(struct markup *markup, const char *const *columns, unsigned count)
{
        mark(markup, "|", columns ? "<table>\n<tr>" : "<table>\n");
        for (unsigned i = 0; i < count; i++) {
                if (!columns) {
                        mark(markup, " |", "");
                        continue;
                }
                mark(markup, " ", "<th>");
                put_escaped(markup, columns[i]);
                mark(markup, " |", "</th>");
        }
        mark(markup, "\n|", columns ? "</tr>\n" : "");
        for (unsigned i = 0; i < count; i++)
                mark(markup, "---|", "");
        mark(markup, "\n", "");
}

void markup_row_begin(struct markup *markup)
{
        mark(markup, "|", "<tr>");
}

void markup_cell_begin(struct markup *markup)
{
        mark(markup, " ", "<td>");
}

void markup_cell_end(struct markup *markup)
{
        mark(markup, " |", "</td>");
}

void markup_cell(struct markup *markup, const char *format, ...)
{
        va_list arguments;
        bool any;

        markup_cell_begin(markup);
        va_start(arguments, format);
        any = put_format(markup, format, arguments);
        va_end(arguments);
        if (!any)
                put(markup, "-");
        markup_cell_end(markup);
}

void markup_row_end(struct markup *markup)
{
        mark(markup, "\n", "</tr>\n");
}

void markup_table_end(struct markup *markup)
{
        mark(markup, "\n", "</table>\n");
}
