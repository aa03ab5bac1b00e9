/* JSON as PM2 speaks it: a tolerant reader, a canonical form, and hashes over it. Pure. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/base/cleanup.h"
#include "common/base/error.h"

#define cleanup_json cleanup_with(json_decrefp)

/* Text to values: NUL in strings is allowed, numbers beyond 64 bits become reals, unpaired surrogates (which
 * JavaScript lets through) become U+FFFD. -EBADMSG for anything else that is not JSON. */
int pm2_json_parse(json_t **ret, const char *text, size_t size, struct error *error);

#define JSON_HASH_SIZE 65

/* SHA-256 in hex over the canonical form: keys sorted by bytes, no spaces, whole numbers without a fraction
 * whatever their type. In an object, keys for which skip answers true are left out (its own level only;
 * skip may be NULL). */
typedef int (*json_skip)(const char *key, const json_t *value, const void *userdata);
int json_hash(const json_t *value, json_skip skip, const void *userdata, char ret[JSON_HASH_SIZE]);

/* The canonical form as text, cut at size; for values that people compare ("[\"--port\",\"80\"]"). A plain
 * string stands without quotes; absent, null, false and the empty string or array give "". */
void json_brief(const json_t *value, char *ret, size_t size);

/* What JavaScript takes for true. */
int json_truthy(const json_t *value);

/* A member as a whole number; fallback where it is absent or something else. Texts of digits count, as PM2
 * has them where they came from a command line. */
json_int_t json_number(const json_t *object, const char *key, json_int_t fallback);
/* A member's text, borrowed; "" where it is absent or not a text. */
const char *json_text(const json_t *object, const char *key);
