/* See log.h. */
#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int log_level = LOG_INFO;

void log_set_level(int level)
{
        log_level = level;
}

void log_write(int level, const char *format, ...)
{
        static const char *const names[] = {"emergency", "alert",  "critical", "error",
                                            "warning",   "notice", "info",     "debug"};
        char text[2048], line[2200];
        va_list arguments;
        int length;

        if (level > log_level)
                return;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        for (char *c = text; *c; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = ' ';
        if (getenv("JOURNAL_STREAM"))
                length = snprintf(line, sizeof(line), "<%d>%s\n", level, text);
        else
                length = snprintf(line, sizeof(line), "%s: %s\n", names[level & 7], text);
        /* One write a line: lines of two processes on one pipe stay whole. Nobody could be told of a failure.
         */
        if (write(STDERR_FILENO, line, (size_t)length) < 0)
                return;
}
