/* A ledger entry as a JSON object, and back. */
#pragma once

#include "common/model/operation.h"

/* One line, no newline in it. The caller frees *ret. 0 or -ENOMEM. */
int ledger_json_write(char **ret, const struct operation_report *report);
/* Strict: every field there, of its type, fitting. 0, -EBADMSG or -ENOMEM. */
int ledger_json_read(struct operation_report *ret, const char *json, size_t size);
