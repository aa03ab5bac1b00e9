/* See error.h. */
#include "common/base/error.h"

#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
        va_list arguments;

        if (!error)
                return code;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
        return code;
}

int error_prefix(struct error *error, int code, const char *format, ...)
{
        char context[ERROR_TEXT_SIZE], rest[ERROR_TEXT_SIZE];
        va_list arguments;

        if (!error)
                return code;
        va_start(arguments, format);
        vsnprintf(context, sizeof(context), format, arguments);
        va_end(arguments);
        snprintf(rest, sizeof(rest), "%s", error_text(error, code));
        if (snprintf(error->text, sizeof(error->text), "%s: %s", context, rest) >= (int)sizeof(error->text))
                error->text[sizeof(error->text) - 1] = '\0';
        return code;
}

const char *error_text(const struct error *error, int code)
{
        if (error && error->text[0])
                return error->text;
        return strerror(code < 0 ? -code : code);
}
