/* What PM2 means where it refuses a call: it has no codes, only texts. Pure. */
#pragma once

#include "common/base/error.h"

enum pm2_refusal {
        PM2_REFUSAL_NONE,  /* r is not a refusal at all */
        PM2_REFUSAL_OTHER, /* the reason is in the text */
        PM2_REFUSAL_GONE,  /* it has no app of that id */
        PM2_REFUSAL_LIVES, /* the app's last process has not ended yet */
        PM2_REFUSAL_ENDS,  /* the daemon was told that it is being killed, and starts nothing any more */
};

/* r and error as a call ended with them (client.h); error may be NULL. */
enum pm2_refusal pm2_refusal_of(int r, const struct error *error);
