/* What PM2 means where it refuses a call (it has no codes, only texts), and which apps it refused something
 * for: these are left as they are, and the others go on. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/model/service.h"

enum pm2_refusal {
        PM2_REFUSAL_NONE,  /* r is not a refusal at all */
        PM2_REFUSAL_OTHER, /* the reason is in the text */
        PM2_REFUSAL_GONE,  /* it has no app of that id */
        PM2_REFUSAL_LIVES, /* the app's last process has not ended yet */
        PM2_REFUSAL_ENDS,  /* the daemon was told that it is being killed, and starts nothing any more */
};

/* r and error as a call ended with them (client.h); error may be NULL. */
enum pm2_refusal pm2_refusal_of(int r, const struct error *error);

struct pm2_refused {
        struct pm2_refused_app {
                int64_t pm_id;
                char reason[TEXT_SIZE];
        } * apps; /* owned */
        size_t count;
};

/* Once for each app; a second reason is not taken. 0 or -ENOMEM. */
int pm2_refused_add(struct pm2_refused *refused, int64_t pm_id, const struct error *error);
/* NULL: nothing was refused for it. refused may be NULL. */
const char *pm2_refused_reason(const struct pm2_refused *refused, int64_t pm_id);
void pm2_refused_clear(struct pm2_refused *refused);
