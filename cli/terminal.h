/* What is printed, and where: width, colour, and texts from outside made harmless.
 *
 * Whatever a peer sent may hold bytes that a terminal obeys. It is printed only after clean_text() or
 * clean_bytes(): one '?' for each control character, malformed byte, or character that reorders text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum style {
        STYLE_PLAIN,
        STYLE_GOOD,
        STYLE_WARN,
        STYLE_BAD,
        STYLE_DIM,
        STYLE_BOLD,
};

struct terminal {
        bool tty;
        bool colour;    /* a tty, TERM is not dumb, NO_COLOR is not set */
        unsigned width; /* columns; 0: not a tty, lines are never cut */
};

/* Once, at start: the character set is UTF-8, whatever the environment says. */
void terminal_init(void);
void terminal_read(struct terminal *ret, FILE *file);

/* The escape sequences around styled text; "" without colour. */
const char *style_begin(const struct terminal *terminal, enum style style);
const char *style_end(const struct terminal *terminal, enum style style);

/* A line over the one before it, cut to the width, until line_over(terminal, NULL) takes it away. Nothing
 * where it is not a terminal. text is clean. */
void line_over(const struct terminal *terminal, const char *text);

/* In place; never grows. Tabs and line ends become spaces. */
void clean_text(char *text);
/* The same for size bytes, in place: tabs stay, line ends stay where lines is true. Returns the new size. */
size_t clean_bytes(char *bytes, size_t size, bool lines);

/* Columns that text takes, and how many of its bytes fit into columns. */
size_t text_columns(const char *text);
size_t text_fit(const char *text, size_t columns);
