/* The report of a run, from its plan and journal alone: the same run always gives the same report, also while
 * it is still going on (the report says so). */
#pragma once

#include "common/base/error.h"
#include "controller/store/store.h"

/* run "" is the newest. The caller frees *ret. -ENOENT: no such run; -EPROTO: its journal does not fit its
 * plan; both with a text. */
int report_markdown(store *store, const char *run, char **ret, struct error *error);
int report_html(store *store, const char *run, char **ret,
                struct error *error); /* one page, complete in itself */
int report_json(store *store, const char *run, char **ret, struct error *error);
