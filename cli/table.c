/* See table.h. */
#include "cli/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct cell {
        char *text; /* owned, clean */
        enum style style;
        size_t columns;
};

struct table {
        const char *const *heads;
        size_t width; /* cells in a row */
        struct cell *cells;
        size_t count, room;
        bool failed;
};

int table_new(table **ret, const char *const *heads, size_t count)
{
        table *made = calloc(1, sizeof(*made));

        if (!made)
                return -ENOMEM;
        made->heads = heads;
        made->width = count;
        *ret = made;
        return 0;
}

table *table_free(table *table)
{
        if (!table)
                return NULL;
        for (size_t i = 0; i < table->count; i++)
                free(table->cells[i].text);
        free(table->cells);
        free(table);
        return NULL;
}

void table_cell(table *table, enum style style, const char *format, ...)
{
        va_list arguments;
        char *text = NULL;
        int r;

        if (table->count == table->room) {
                size_t room = table->room ? table->room * 2 : 64;
                struct cell *larger = reallocarray(table->cells, room, sizeof(*larger));

                if (!larger) {
                        table->failed = true;
                        return;
                }
                table->cells = larger;
                table->room = room;
        }
        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (r < 0) {
                table->failed = true;
                return;
        }
        clean_text(text);
        table->cells[table->count++] =
                (struct cell){.text = text, .style = style, .columns = text_columns(text)};
}

static const char *head_text(const char *head)
{
        return head[0] == '>' ? head + 1 : head;
}

static void pad(FILE *file, size_t columns)
{
        fprintf(file, "%*s", (int)columns, "");
}

/* One cell; room 0 is no limit. The last cell of a line is not padded. */
static void print_cell(FILE *file, const struct terminal *terminal, const struct cell *cell, bool right,
                       size_t column_width, size_t room, bool last)
{
        size_t missing = column_width > cell->columns ? column_width - cell->columns : 0;
        bool cut = room && cell->columns > room;
        int bytes = (int)(cut ? text_fit(cell->text, room - 1) : strlen(cell->text));

        if (right)
                pad(file, missing);
        fprintf(file, "%s%.*s%s%s", style_begin(terminal, cell->style), bytes, cell->text, cut ? "…" : "",
                style_end(terminal, cell->style));
        if (!right && !last)
                pad(file, missing);
}

static void print_line(const table *table, FILE *file, const struct terminal *terminal,
                       const struct cell *cells, const size_t *widths, size_t used)
{
        size_t last = 0, at = 0;

        for (size_t i = 0; i < used; i++)
                if (cells[i].text[0])
                        last = i;
        for (size_t i = 0; i <= last; i++) {
                size_t room = 0;

                if (terminal->width && i + 1 == used)
                        room = terminal->width > at + 8 ? terminal->width - at : 8;
                print_cell(file, terminal, &cells[i], table->heads[i][0] == '>', widths[i], room, i == last);
                if (i < last)
                        fputs("  ", file);
                at += widths[i] + 2;
        }
        fputc('\n', file);
}

static void print_heads(const table *table, FILE *file, const struct terminal *terminal, const size_t *widths,
                        size_t used)
{
        for (size_t i = 0; i < used; i++) {
                struct cell cell = {.text = (char *)head_text(table->heads[i]), .style = STYLE_DIM};

                cell.columns = text_columns(cell.text);
                print_cell(file, terminal, &cell, table->heads[i][0] == '>', widths[i], 0, i + 1 == used);
                if (i + 1 < used)
                        fputs("  ", file);
        }
        fputc('\n', file);
}

int table_print(const table *table, FILE *file, const struct terminal *terminal)
{
        size_t rows = table->count / table->width, used = 1;
        size_t *widths;

        if (table->failed)
                return -ENOMEM;
        widths = calloc(table->width, sizeof(*widths));
        if (!widths)
                return -ENOMEM;
        for (size_t i = 0; i < table->width; i++)
                widths[i] = text_columns(head_text(table->heads[i]));
        for (size_t i = 0; i < rows * table->width; i++) {
                size_t column = i % table->width;

                if (table->cells[i].columns > widths[column])
                        widths[column] = table->cells[i].columns;
                if (table->cells[i].text[0] && column >= used)
                        used = column + 1;
        }
        print_heads(table, file, terminal, widths, used);
        for (size_t row = 0; row < rows; row++)
                print_line(table, file, terminal, &table->cells[row * table->width], widths, used);
        free(widths);
        return 0;
}
