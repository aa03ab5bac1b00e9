/* Strict reading of JSON objects on jansson: every key is taken with its type and range, and what nobody took
 * is an error. The first thing wrong is kept; after it nothing more is read. */
#pragma once

#include <jansson.h>

#include "common/base/error.h"
#include "common/model/service.h"

struct json_reader {
        json_t *object;   /* borrowed */
        const char *what; /* for error texts: "step 3" */
        size_t taken;
        int result; /* 0, or the first error */
        struct error *error;
};

struct json_reader json_reader_begin(json_t *object, const char *what, struct error *error);
/* An absent key leaves the target as it is. */
void json_take_text(struct json_reader *reader, const char *key, char *target, size_t size);
void json_take_number(struct json_reader *reader, const char *key, uint64_t *target);
void json_take_real(struct json_reader *reader, const char *key, double *target);
void json_take_bool(struct json_reader *reader, const char *key, bool *target);
/* NULL if absent. */
json_t *json_take(struct json_reader *reader, const char *key, json_type type);
/* 0, or -EINVAL if something was wrong or is left over. */
int json_reader_end(struct json_reader *reader);

/* Writing: a negative result sticks; "" and 0 are left out. Bytes that are no UTF-8 become question marks: a
 * peer's odd text must not keep an event out of the journal. */
json_t *json_text(const char *value);
void json_put_text(json_t *object, const char *key, const char *value, int *result);
void json_put_number(json_t *object, const char *key, uint64_t value, int *result);
void json_put_bool(json_t *object, const char *key, bool value, int *result);
/* Steals value, also when it fails. */
void json_put(json_t *object, const char *key, json_t *value, int *result);

#define cleanup_json __attribute__((cleanup(json_decrefp)))
