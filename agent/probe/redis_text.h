/* What Redis says of itself in text, read into the model; pure. */
#pragma once

#include <stddef.h>

#include "common/model/state.h"

/* INFO's text ("key:value" lines; NUL-terminated). Fields that are missing or no numbers stay as they are.
 * While it loads, Redis says aof_enabled:0 and an aof_base_size of 0, whatever its configuration. */
void redis_text_info(struct redis_state *state, const char *text);

/* An AOF manifest ("file NAME seq N type b|i|h"): the base file's name ("" if none) and, through size_of, the
 * bytes of base and incremental files. size_of returns 0 for what is not there. The name is as it stands
 * there, without a slash. -EBADMSG: not a manifest, nothing was changed. */
int redis_text_manifest(struct redis_state *state, const char *text,
                        uint64_t (*size_of)(const char *name, void *userdata), void *userdata);
