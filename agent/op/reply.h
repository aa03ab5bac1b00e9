/* Answers of a Redis or tile38, made fit to be shown: they come from outside and may hold anything. */
#pragma once

#include <hiredis/hiredis.h>
#include <stddef.h>

/* Copies what is printable ASCII of text (NULL counts as ""), the rest as '?'; cut at size. */
void printable_copy(char *out, size_t size, const char *text);

/* The text of an error, status or string reply, printable; for others the kind of reply. */
void reply_text(char *out, size_t size, const redisReply *reply);
