/* "Did you mean": the nearest of some known words to one that is not known. */
#pragma once

#include <stddef.h>

#define SUGGEST_WORD_MAX 64u /* longer words are neither offered nor compared */

struct suggest {
        const char *word; /* borrowed */
        char best[SUGGEST_WORD_MAX];
        size_t distance; /* of best, in edits */
        char text[SUGGEST_WORD_MAX + 24];
};

/* Begins a search for the word. */
void suggest_begin(struct suggest *suggest, const char *word);
/* Offers a known word; of equally near ones the first is kept. */
void suggest_offer(struct suggest *suggest, const char *candidate);
/* "; did you mean 'x'?", or "" if nothing offered is near enough (a third of the word, at least one edit; an
 * edit inserts, removes or changes a character, or swaps two neighbours). Points into suggest. */
const char *suggest_text(struct suggest *suggest);
