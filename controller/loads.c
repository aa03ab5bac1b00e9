/* See loads.h. */
#include "controller/loads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/core/load_eta.h"

struct load {
        struct load_eta *eta; /* owned; NULL: it does not load, as far as known */
        bool own;             /* of its own files, so that it teaches something */
        bool silent;          /* no answer came to the newest question */
        char run_id[48];
};

struct loads {
        const struct fleet *fleet;
        store *store;
        struct load *items; /* by the fleet's service */
};

int loads_new(loads **ret, const struct fleet *fleet, store *store)
{
        cleanup_free loads *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (struct loads){.fleet = fleet,
                               .store = store,
                               .items = calloc(fleet->service_count + 1, sizeof(*self->items))};
        if (!self->items)
                return -ENOMEM;
        *ret = TAKE(self);
        return 0;
}

static void forget(struct load *load)
{
        free(load->eta);
        *load = (struct load){0};
}

loads *loads_free(loads *self)
{
        if (!self)
                return NULL;
        for (size_t i = 0; i < self->fleet->service_count; i++)
                forget(&self->items[i]);
        free(self->items);
        free(self);
        return NULL;
}

int loads_rate(store *store, const char *service, struct plan_rate *ret)
{
        struct store_rate rate = {0};
        int r = store_rate_get(store, service, &rate);

        if (r < 0)
                return r;
        *ret = (struct plan_rate){rate.base_bytes_per_s, rate.incremental_bytes_per_s, rate.loads, {0}};
        for (size_t i = 0; i < LOAD_COURSE; i++)
                ret->course[i] = rate.course[i];
        return load_rate_is_sound(ret) ? 0 : -ENOENT;
}

/* It has ended well. */
static int learn(loads *self, const char *service, const struct load *load)
{
        struct plan_rate rate = {0}, seen;
        struct store_rate stored;
        int r;

        if (!load->own || !load_eta_learn(load->eta, &seen))
                return 0;
        r = loads_rate(self->store, service, &rate);
        if (r < 0 && r != -ENOENT)
                return r;
        load_rate_add(&rate, &seen);
        stored = (struct store_rate){rate.base_bytes_per_s, rate.incremental_bytes_per_s, rate.loads, {0}};
        for (size_t i = 0; i < LOAD_COURSE; i++)
                stored.course[i] = rate.course[i];
        return store_rate_put(self->store, service, &stored);
}

static int begin(loads *self, struct load *load, const struct service_state *state)
{
        struct plan_rate rate = {0};
        int r = loads_rate(self->store, state->name, &rate);

        if (r < 0 && r != -ENOENT)
                return r;
        load->eta = malloc(sizeof(*load->eta));
        if (!load->eta)
                return -ENOMEM;
        load_eta_begin(load->eta, load_base(state), state->progress_total, &rate);
        load->own = load_is_own(state);
        text_copy_cut(load->run_id, sizeof(load->run_id), state->redis.run_id);
        return 0;
}

/* Whether what is said now cannot be the load that was followed. */
static bool is_another(const struct load *load, const struct service_state *state)
{
        const struct load_eta *eta = load->eta;

        if (!text_equal(load->run_id, state->redis.run_id))
                return true;
        return state->phase == PHASE_LOADING && state->progress_total && !load_is_received(state) &&
               (state->progress_total != eta->total_bytes || load_base(state) != eta->base_bytes ||
                (eta->count && state->progress_done < eta->samples[eta->count - 1].bytes));
}

static int observe(loads *self, struct load *load, const struct service_state *state, uint64_t now_us)
{
        int r = 0;

        /* A server may be silent for seconds while it loads: that ends nothing. If it has died, what comes
         * next is another process. */
        load->silent = state->kind == SERVICE_REDIS && !state->redis.answering;
        if (load->eta && load->silent && state->phase != PHASE_STOPPED)
                return 0;
        if (load->eta && is_another(load, state))
                forget(load);
        if (state->phase == PHASE_LOADING && !load_is_received(state)) {
                if (!state->progress_total) /* between two answers: it goes on, or has ended */
                        return 0;
                if (!load->eta)
                        r = begin(self, load, state);
                if (r == 0)
                        load_eta_sample(load->eta, now_us, state->progress_done);
                return r;
        }
        /* Ready, or loaded and something else amiss: a role, a link, what its master has to send. */
        if (load->eta &&
            (state->phase == PHASE_READY || state->phase == PHASE_DEGRADED || load_is_received(state)))
                r = learn(self, state->name, load);
        forget(load);
        return r;
}

int loads_observe(loads *self, size_t host, const struct agent_state *state, uint64_t now_us)
{
        int result = 0;

        for (size_t i = 0; i < self->fleet->service_count; i++) {
                const struct fleet_service *service = &self->fleet->services[i];
                const struct service_state *seen =
                        service->host == host ? agent_state_service(state, service->spec.name) : NULL;
                int r = seen ? observe(self, &self->items[i], seen, now_us) : 0;

                if (result == 0)
                        result = r;
        }
        return result;
}

void loads_forget(loads *self, size_t host)
{
        for (size_t i = 0; i < self->fleet->service_count; i++)
                if (self->fleet->services[i].host == host)
                        forget(&self->items[i]);
}

bool loads_view(const loads *self, size_t service, uint64_t now_us, struct load_view *ret)
{
        const struct load_eta *eta = self->items[service].eta;
        const struct load_point *last;
        struct load_left left;
        uint64_t age_us;

        *ret = (struct load_view){0};
        if (!eta || eta->count == 0 || self->items[service].silent)
                return false;
        last = &eta->samples[eta->count - 1];
        age_us = now_us > last->at_us ? now_us - last->at_us : 0;
        ret->bytes_per_s = load_eta_pace(eta);
        ret->is_base = last->bytes < eta->base_bytes;
        ret->learned_from = eta->rate.loads;
        ret->estimated = load_eta_left(eta, &left) == 0;
        ret->low_us = left.low_us > age_us ? left.low_us - age_us : 0;
        ret->high_us = left.high_us > age_us ? left.high_us - age_us : 0;
        return true;
}
