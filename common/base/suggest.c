/* See suggest.h. */
#include "common/base/suggest.h"

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

void suggest_begin(struct suggest *suggest, const char *word)
{
        *suggest = (struct suggest){.word = word, .distance = SIZE_MAX};
}

static size_t smaller(size_t a, size_t b)
{
        return a < b ? a : b;
}

static char lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* Edits between a and b, both shorter than SUGGEST_WORD_MAX: Levenshtein's table, three rows of it, with
 * swaps of neighbours. Upper and lower case count as equal. */
static size_t edits(const char *a, const char *b)
{
        size_t rows[3][SUGGEST_WORD_MAX + 1], n = strlen(a), m = strlen(b);

        for (size_t j = 0; j <= m; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= n; i++) {
                size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];

                row[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        char x = lower(a[i - 1]), y = lower(b[j - 1]);

                        row[j] = smaller(above[j - 1] + (x != y), smaller(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
                                row[j] = smaller(row[j], two_above[j - 2] + 1);
                }
        }
        return rows[n % 3][m];
}

void suggest_offer(struct suggest *suggest, const char *candidate)
{
        size_t distance;

        if (strlen(suggest->word) >= SUGGEST_WORD_MAX || strlen(candidate) >= SUGGEST_WORD_MAX)
                return;
        distance = edits(suggest->word, candidate);
        if (distance >= suggest->distance)
                return;
        suggest->distance = distance;
        TEXT_COPY(suggest->best, candidate);
}

const char *suggest_text(struct suggest *suggest)
{
        size_t near = strlen(suggest->word) / 3;

        suggest->text[0] = '\0';
        if (suggest->best[0] && suggest->distance <= (near ? near : 1))
                snprintf(suggest->text, sizeof(suggest->text), "; did you mean '%s'?", suggest->best);
        return suggest->text;
}
