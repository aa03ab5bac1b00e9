/* Arguments of one command: words, options and, for some, what follows "--". Strict: whatever is not in the
 * command's list is an error that names what is allowed. Options and words may come in any order. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct option {
        const char *name;       /* "json": given as --json */
        bool *flag;             /* set when given: an option without a value … */
        const char **value;     /* … or its value: --format md, --format=md. One of the two is NULL. */
        const char *value_name; /* "FORMAT", for the help */
        const char *help;
};

struct options {
        const char *command; /* "run show" */
        const char *words;   /* "[RUN]", for usage texts; "" none */
        const struct option *list;
        size_t count;
        size_t words_min, words_max; /* at most ARGUMENT_WORDS_MAX */
        bool rest;                   /* "-- COMMAND…" has to follow */
};

#define ARGUMENT_WORDS_MAX 16

struct arguments {
        const char *words[ARGUMENT_WORDS_MAX]; /* NULL where not given; borrowed from argv */
        size_t word_count;
        char **rest; /* what follows "--", borrowed */
        size_t rest_count;
};

/* argv[0] is skipped. 0; 1 if --help was given (nothing else was judged); -EINVAL with one line. */
int options_parse(const struct options *options, int argc, char **argv, struct arguments *ret,
                  struct error *error);

/* For commands: parses, prints help on stdout or the error on stderr. True: go on; false: return *ret_exit.
 */
bool options_read(const struct options *options, int argc, char **argv, struct arguments *ret, int *ret_exit);
/* Words from first on as one SCOPE, joined by commas ("" if there are none); the same way. */
bool arguments_scope(const struct arguments *arguments, size_t first, char *ret, size_t size, int *ret_exit);
/* A number from 1 to most; text NULL leaves *value as it is. what: "run ls: --limit", for the error on
 * stderr. */
bool option_number(const char *what, const char *text, uint32_t most, uint32_t *value, int *ret_exit);
