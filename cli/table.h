/* Aligned plain tables: a head line, rows, two spaces between columns, nothing else.
 *
 * On a terminal the last column is cut (…) to the terminal's width; elsewhere nothing is ever cut, so that
 * what is piped is whole. Cells are cleaned (terminal.h). */
#pragma once

#include "cli/terminal.h"

typedef struct table table;

/* heads: count of them, borrowed until the table is freed. A head that begins with '>' aligns right. */
int table_new(table **ret, const char *const *heads, size_t count);
table *table_free(table *table);

/* The next cell, row by row from the left. A failure is remembered: table_print then says -ENOMEM. */
void table_cell(table *table, enum style style, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Trailing empty columns take no space. 0, or -ENOMEM and nothing was printed. */
int table_print(const table *table, FILE *file, const struct terminal *terminal);

static inline void table_freep(table **t)
{
        table_free(*t);
}
