/* Errors: an int says what kind of failure (0 fine, negative errno), a struct error says it to a person.
 *
 * Functions that a person may see fail take a struct error as their last argument; NULL is allowed. The
 * text says what happened, to what, and what to do. Libraries fill it; only programs log or print it. */
#pragma once

#include <errno.h>
#include <stdarg.h>

#define ERROR_TEXT_SIZE 768

struct error {
        char text[ERROR_TEXT_SIZE];
};

/* Writes the text (cut at its size) and returns code unchanged, so that a failure is one line:
 * return error_set(error, -EINVAL, "…"). error may be NULL. code is a negative errno. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text that is there (or before strerror(-code) if there is none). */
int error_prefix(struct error *error, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The text, or strerror(-code) if nothing was written. Points into error or to static memory. */
const char *error_text(const struct error *error, int code);
