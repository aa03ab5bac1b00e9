/* See take_off.h. All are asked for at once; PM2 works through them by itself. */
#include "agent/pm2/take_off.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/time.h"

/* A removal or a stop under way. */
struct one {
        pm2_take_off *self;
        int64_t pm_id;
};

struct pm2_take_off {
        pm2_client *client;
        struct one *all;
        size_t count, pending; /* asked for; not answered yet */
        struct pm2_refused *refused;
        uint64_t timeout_us;
        pm2_take_off_done done;
        void *userdata;
        bool over;
};

pm2_take_off *pm2_take_off_free(pm2_take_off *self)
{
        if (!self)
                return NULL;
        free(self->all);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_take_off *, pm2_take_off_free);

bool pm2_take_off_is_needed(const struct pm2_plan *plan, size_t app_count)
{
        for (size_t i = 0; i < app_count; i++)
                if (plan->actions[i] == PM2_STOP)
                        return true;
        return plan->removal_count > 0;
}

static void on_answer(void *userdata, int r, json_t *answer, const struct error *cause)
{
        struct one *one = userdata;
        pm2_take_off *self = one->self;

        self->pending--;
        if (pm2_refusal_of(r, cause) == PM2_REFUSAL_GONE)
                r = 0; /* somebody was quicker */
        else if (r == -EREMOTEIO)
                r = pm2_refused_add(self->refused, one->pm_id, cause);
        if (self->over || (r == 0 && self->pending > 0))
                return;
        self->over = true;
        self->done(self->userdata, r, cause); /* may free it */
}

static int take_off(pm2_take_off *self, const char *method, int64_t id, const struct pm2_app *app)
{
        uint64_t timeout_us = self->timeout_us + (app ? app->kill_timeout_ms * USEC_PER_MSEC : 0);
        struct one *one = &self->all[self->count++];
        int r;

        *one = (struct one){self, id};
        r = pm2_client_call(self->client, method, json_pack("[I]", (json_int_t)id), timeout_us, on_answer,
                            one);
        self->pending += r == 0;
        return r;
}

static int take_all_off(pm2_take_off *self, const struct pm2_plan *plan, const struct pm2_list *wanted,
                        const struct pm2_list *live)
{
        int r = 0;

        for (size_t i = 0; i < plan->removal_count && r == 0; i++) {
                json_int_t id = plan->removals[i];

                /* As PM2's own client does it: first its watcher, then the app. What is only stopped is
                 * watched on: to end that would take "watch" out of its settings. */
                r = pm2_client_tell(self->client, "stopWatch", json_pack("[s, I]", "deleteProcessId", id));
                if (r == 0)
                        r = take_off(self, "deleteProcessId", id, pm2_list_find(live, id));
        }
        for (size_t i = 0; i < wanted->count && r == 0; i++)
                if (plan->actions[i] == PM2_STOP)
                        r = take_off(self, "stopProcessId", wanted->apps[i].pm_id,
                                     pm2_list_find(live, wanted->apps[i].pm_id));
        return r;
}

int pm2_take_off_new(pm2_take_off **ret, pm2_client *client, const struct pm2_plan *plan,
                     const struct pm2_list *wanted, const struct pm2_list *live, struct pm2_refused *refused,
                     uint64_t timeout_us, pm2_take_off_done done, void *userdata)
{
        cleanup_with(pm2_take_off_freep) pm2_take_off *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        *self = (pm2_take_off){.client = client,
                               .refused = refused,
                               .timeout_us = timeout_us,
                               .done = done,
                               .userdata = userdata};
        self->all = calloc(plan->removal_count + plan->stop_count + 1, sizeof(*self->all));
        r = self->all ? take_all_off(self, plan, wanted, live) : -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE(self);
        return 0;
}
