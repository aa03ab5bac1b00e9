/* Comparing a live PM2 with a snapshot after it has settled; changes nothing. */
#pragma once

#include <systemd/sd-event.h>

#include "agent/pm2/outcome.h"

typedef struct pm2_verify pm2_verify;

struct pm2_verify_options {
        bool start_errored; /* errored apps are expected online; else stopped, or errored still */
        uint64_t settle_us; /* no restart for so long; 0: ten seconds */
};

typedef void (*pm2_verify_progress)(void *userdata, uint64_t done, uint64_t total, const char *text);
/* r 0: compared; outcome (borrowed) says what it came to. Negative: it could not be. Once, from the loop. */
typedef void (*pm2_verify_done)(void *userdata, int r, const struct pm2_outcome *outcome,
                                const struct error *error);

/* snapshot is borrowed until it is freed. */
int pm2_verify_new(pm2_verify **ret, sd_event *event, const struct pm2_home *home,
                   const struct pm2_snapshot *snapshot, const struct pm2_verify_options *options,
                   pm2_verify_progress progress, pm2_verify_done done, void *userdata, struct error *error);
pm2_verify *pm2_verify_free(pm2_verify *self);
