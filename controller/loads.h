/* The loads of the fleet, in a run or not: every one that an agent speaks of is followed, from its first
 * bytes to its end. While it lasts, what is left of it can be asked; when it has ended well, what it taught
 * is put into the store. */
#pragma once

#include "common/model/fleet.h"
#include "common/model/state.h"
#include "controller/core/plan.h"
#include "controller/store/store.h"

typedef struct loads loads;

/* fleet and store are borrowed. */
int loads_new(loads **ret, const struct fleet *fleet, store *store);
loads *loads_free(loads *loads);

/* What a host's agent said at now_us (monotonic). A negative result is the store's or -ENOMEM; what was
 * observed stands. */
int loads_observe(loads *loads, size_t host, const struct agent_state *state, uint64_t now_us);
/* The host is out of sight: its loads' ends will not have been seen. */
void loads_forget(loads *loads, size_t host);

struct load_view {
        double bytes_per_s; /* of late; 0: not known yet */
        bool is_base;       /* the base is being loaded; else the incremental files */
        bool estimated;     /* then: how long it still takes */
        uint64_t low_us, high_us;
        unsigned learned_from; /* loads watched before */
};
/* false: the service does not load now. */
bool loads_view(const loads *loads, size_t service, uint64_t now_us, struct load_view *ret);

/* The learned rate of a service of that name: 0, -ENOENT or the store's error. */
int loads_rate(store *store, const char *service, struct plan_rate *ret);
