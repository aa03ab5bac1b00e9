/* Any message as JSON, from protobuf-c's own descriptors, so that --json of every command has the names of
 * proto/ and no list of fields can be forgotten.
 *
 * Enums are their lower-case words without the type's name ("ready"), bytes are hex, 64-bit numbers above
 * INT64_MAX (no limit) are null, absent messages are null. Texts are as the peer sent them: JSON escapes
 * control characters. */
#pragma once

#include <stdbool.h>

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* NULL if memory is out. The caller owns the reference. */
json_t *json_message(const ProtobufCMessage *message);

/* Prints the message as JSON: indented, or on one line (for streams: one object a line). 0 or -ENOMEM. */
int json_print(const ProtobufCMessage *message, bool one_line);
