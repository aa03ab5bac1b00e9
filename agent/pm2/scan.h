/* Names and states out of getMonitorData's text without building it as values: what is read all day long is
 * a megabyte of environments that nobody needs. Pure; takes hostile text. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "agent/pm2/state.h"

struct pm2_brief {
        char name[TEXT_SIZE];
        int64_t pm_id;
        enum pm2_status status;
        char status_text[32];
        uint32_t restarts;
        int64_t exit_code;  /* of its last end; -1: none */
        uint64_t uptime_us; /* realtime of its last start; 0: never */
        pid_t pid;
        bool module;
};

/* text is the array, as pm2_client_call_raw passes it. -EBADMSG for what is not that, -E2BIG beyond
 * PM2_APPS_MAX, -ENOMEM. In the order of the text. The caller frees *ret. */
int pm2_scan(const char *text, size_t size, struct pm2_brief **ret, size_t *ret_count);

/* The app with the id, or NULL. */
const struct pm2_brief *pm2_brief_find(const struct pm2_brief *apps, size_t count, int64_t pm_id);
