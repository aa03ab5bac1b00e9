/* See op.h. */
#include "agent/op/op.h"

#include <stdio.h>

#include "common/base/text.h"

void op_progress(struct op *op, uint64_t done, uint64_t total, const char *format, ...)
{
        char text[TEXT_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        op->on_progress(op, done, total, text);
}

void op_figure(struct op *op, const char *name, const char *format, ...)
{
        struct figure *figure;
        va_list arguments;

        if (op->figure_count == FIGURE_MAX)
                return;
        figure = &op->figures[op->figure_count++];
        text_copy_cut(figure->name, sizeof(figure->name), name);
        va_start(arguments, format);
        vsnprintf(figure->value, sizeof(figure->value), format, arguments);
        va_end(arguments);
}

void op_finish(struct op *op, int result, const char *format, ...)
{
        char text[TEXT_SIZE * 2];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        op->on_finish(op, result, text);
}
