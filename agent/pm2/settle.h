/* Waiting until apps that are to run do so and have not restarted for a while. Used by restore and verify.
 *
 * An app is settled when it is online and its process is old enough, by the kernel's word: PM2 knows the
 * start only by the clock, which may have been set since. One that PM2 gave up on, that stopped by itself or
 * is gone has failed, once it was seen so for a moment. */
#pragma once

#include "agent/pm2/client.h"
#include "agent/pm2/scan.h"

typedef struct pm2_settle pm2_settle;

enum pm2_settled { PM2_UNSETTLED, PM2_SETTLED, PM2_FAILED };

struct pm2_settle_item {
        int64_t pm_id;
        enum pm2_settled state;
        char reason[TEXT_SIZE]; /* of one that is not settled */
        /* the settle's own */
        uint32_t first_restarts;
        uint64_t failed_since;
        bool seen;
};

typedef void (*pm2_settle_progress)(void *userdata, size_t settled, size_t total);
/* r 0: every item is settled, failed, or out of time (UNSETTLED, with a reason). list was read at the end;
 * the callee may move it out. Negative: PM2 could not be read. */
typedef void (*pm2_settle_done)(void *userdata, int r, struct pm2_list *list, const struct error *error);

/* Client and items are borrowed until it is freed; the client is to be freed first if that is before done.
 * settle_us: how long without a restart; limit_us: how long to wait in all. */
int pm2_settle_new(pm2_settle **ret, sd_event *event, pm2_client *client, struct pm2_settle_item *items,
                   size_t count, uint64_t settle_us, uint64_t limit_us, pm2_settle_progress progress,
                   pm2_settle_done done, void *userdata);
pm2_settle *pm2_settle_free(pm2_settle *self);

/* A limit that fits: several times as long as one app needs to settle. */
uint64_t pm2_settle_limit(uint64_t settle_us);

/* One reading of one item. app NULL: it is not in the list. age_us: of its process, 0 where there is none.
 * now_us is monotonic. Pure. */
void pm2_settle_look(struct pm2_settle_item *item, const struct pm2_brief *app, uint64_t age_us,
                     uint64_t settle_us, uint64_t now_us);
