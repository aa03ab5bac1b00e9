/* Strings: bounded copies, checks of outside text, hex, small parsers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool text_equal(const char *a, const char *b)
{
        return a && b ? __builtin_strcmp(a, b) == 0 : a == b;
}
static inline bool text_starts(const char *text, const char *prefix)
{
        return __builtin_strncmp(text, prefix, __builtin_strlen(prefix)) == 0;
}
bool text_ends(const char *text, const char *suffix);

/* Copies source (NULL counts as "") into a fixed array. Returns 0, or -ENAMETOOLONG with target set to "". */
int text_copy(char *target, size_t size, const char *source);
#define TEXT_COPY(array, source) text_copy((array), sizeof(array), (source))

/* Copies as much as fits, never cutting a UTF-8 sequence in two; for texts that people read. */
void text_copy_cut(char *target, size_t size, const char *source);

/* The same for a text from outside: what is not well-formed UTF-8 becomes '?', and so do control characters.
 */
void text_copy_clean(char *target, size_t size, const char *source);

/* Whether size bytes are well-formed UTF-8 (RFC 3629) without a NUL byte. */
bool text_is_utf8(const void *bytes, size_t size);

/* Whether text is a name: 1 to 63 of a-z A-Z 0-9 . _ -, starting with a letter or digit. */
bool text_is_name(const char *text);

/* Lower-case hex. out needs 2*size+1 bytes. */
void text_hex(char *out, const void *bytes, size_t size);
/* Exactly 2*size hex digits, no more. Returns 0 or -EINVAL (bytes untouched). */
int text_unhex(void *bytes, size_t size, const char *hex);

/* A whole non-negative decimal number and nothing else. Returns 0, -EINVAL or -ERANGE (value untouched). */
int text_to_u64(const char *text, uint64_t *ret_value);

/* Allocating printf. Returns 0 or -ENOMEM. The caller frees *ret. */
int text_format(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sizes for people: "512 B", "14.1 MB" (decimal, as Redis operators count). Writes at most size bytes. */
void text_bytes(char *out, size_t size, uint64_t bytes);
