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

static void add_figure(struct figure figures[FIGURE_MAX], size_t *count, const char *name, const char *format,
                       va_list arguments) __attribute__((format(printf, 4, 0)));
static void add_figure(struct figure figures[FIGURE_MAX], size_t *count, const char *name, const char *format,
                       va_list arguments)
{
        char draft[DRAFT_SIZE];
        struct figure *figure;

        if (*count == FIGURE_MAX)
                return;
        figure = &figures[(*count)++];
        text_copy_clean(figure->name, sizeof(figure->name), name);
        vsnprintf(draft, sizeof(draft), format, arguments);
        text_copy_clean(figure->value, sizeof(figure->value), draft);
}

void op_figure(struct op *op, const char *name, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        add_figure(op->figures, &op->figure_count, name, format, arguments);
        va_end(arguments);
}

void op_note(struct op *op, const char *name, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        add_figure(op->noted, &op->noted_count, name, format, arguments);
        va_end(arguments);
}

int op_commit_notes(struct op *op, struct error *error)
{
        return op->on_noted(op, error);
}

const char *op_noted(const struct op *op, const char *name)
{
        for (size_t i = 0; i < op->noted_count; i++)
                if (text_equal(op->noted[i].name, name))
                        return op->noted[i].value;
        return NULL;
}

uint64_t op_noted_number(const struct op *op, const char *name)
{
        const char *text = op_noted(op, name);
        uint64_t number = 0;

        if (text)
                (void)text_to_u64(text, &number);
        return number;
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
