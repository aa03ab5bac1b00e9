/* See op.h. */
#include "agent/op/op.h"

#include <stdio.h>

#include "common/base/text.h"

#define DRAFT_SIZE                                                                                           \
        2048 /* what is cut or odd in it is made sound when it is copied: texts are recorded and sent */

void op_progress(struct op *op, uint64_t done, uint64_t total, const char *format, ...)
{
        char draft[DRAFT_SIZE], text[TEXT_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(draft, sizeof(draft), format, arguments);
        va_end(arguments);
        text_copy_clean(text, sizeof(text), draft);
        op->on_progress(op, done, total, text);
}

void op_figure(struct op *op, const char *name, const char *format, ...)
{
        char draft[DRAFT_SIZE];
        struct figure *figure;
        va_list arguments;

        if (op->figure_count == FIGURE_MAX)
                return;
        figure = &op->figures[op->figure_count++];
        text_copy_clean(figure->name, sizeof(figure->name), name);
        va_start(arguments, format);
        vsnprintf(draft, sizeof(draft), format, arguments);
        va_end(arguments);
        text_copy_clean(figure->value, sizeof(figure->value), draft);
}

void op_finish(struct op *op, int result, const char *format, ...)
{
        char draft[DRAFT_SIZE], text[TEXT_SIZE * 2];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(draft, sizeof(draft), format, arguments);
        va_end(arguments);
        text_copy_clean(text, sizeof(text), draft);
        op->on_finish(op, result, text);
}
