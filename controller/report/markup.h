/* The two forms in which a report is written for people, Markdown and HTML, behind one set of words. What is
 * written is text: nothing in it becomes markup or ends its line, whoever said it. For controller/report
 * only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum markup_form {
        MARKUP_MARKDOWN,
        MARKUP_HTML, /* one page that needs nothing else: no script, no other file */
};

/* Zeroed but for form. Errors stay in result (0 or -ENOMEM) and make all that follows do nothing. */
struct markup {
        enum markup_form form;
        struct buffer buffer;
        int result;
};

#define MARKUP_PRINTF __attribute__((format(printf, 2, 3)))

/* Begins the document, with its title, and ends it. */
void markup_begin(struct markup *markup, const char *format, ...) MARKUP_PRINTF;
void markup_end(struct markup *markup);

void markup_heading(struct markup *markup, const char *text);

/* A paragraph, a table's cell and a list's item are begun, filled by any number of texts, and ended. */
void markup_text(struct markup *markup, const char *format, ...) MARKUP_PRINTF;
void markup_bold(struct markup *markup, const char *format, ...) MARKUP_PRINTF;
void markup_paragraph_begin(struct markup *markup);
void markup_paragraph_end(struct markup *markup);

void markup_list_begin(struct markup *markup);
void markup_item_begin(struct markup *markup);
void markup_item_end(struct markup *markup);
void markup_list_end(struct markup *markup);

/* columns: count names, or NULL for a table without heads. A row is begun, has count cells, and is ended. */
void markup_table_begin(struct markup *markup, const char *const *columns, unsigned count);
void markup_row_begin(struct markup *markup);
void markup_cell_begin(struct markup *markup);
void markup_cell_end(struct markup *markup);
void markup_row_end(struct markup *markup);
void markup_table_end(struct markup *markup);

/* Each in one. An empty cell has a dash. */
void markup_paragraph(struct markup *markup, const char *format, ...) MARKUP_PRINTF;
void markup_item(struct markup *markup, const char *format, ...) MARKUP_PRINTF;
void markup_cell(struct markup *markup, const char *format, ...) MARKUP_PRINTF;
