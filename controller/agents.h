/* The agents of the fleet as the controller sees them: connected or not, newest state, calls to them.
 * Host names come from the store's keys, never from a message. */
#pragma once

#include <systemd/sd-event.h>

#include "common/model/fleet.h"
#include "common/model/operation.h"
#include "common/model/state.h"
#include "common/rpc/rpc.h"

typedef struct agents agents;

struct agent_view {
        const char *name;
        bool connected;                  /* a link is up and its first state has come */
        uint64_t last_seen_us;           /* realtime, 0 never */
        uint64_t came_us;                /* when state came; monotonic */
        const struct agent_state *state; /* NULL if never seen; the newest, perhaps of before a reboot */
        uint64_t state_us;               /* realtime, when that state came */
        const char *another;             /* a machine with the same key that was kept out of late; "" none */
        rpc_peer *peer;                  /* NULL unless connected */
};

/* Told of what happens to agents; a few listeners (the runner, the API's watchers) may subscribe. */
struct agents_listener {
        void (*up)(const struct agent_view *agent, void *userdata); /* connected, with a fresh state */
        void (*down)(const struct agent_view *agent, void *userdata);
        void (*changed)(const struct agent_view *agent, void *userdata); /* a newer state */
        void *userdata;
};

/* fleet is borrowed. */
int agents_new(agents **ret, sd_event *event, const struct fleet *fleet);
agents *agents_free(agents *agents);
/* The listener is borrowed until agents_free. -ENOSPC above eight. */
int agents_listen(agents *agents, const struct agents_listener *listener);

/* From the node's events. */
void agents_peer_up(agents *agents, rpc_peer *peer);
void agents_peer_down(agents *agents, rpc_peer *peer);
/* Closes the host's link, if it has one, also one whose first state has not come yet. */
void agents_close(agents *agents, const char *host, const char *reason);

size_t agents_count(const agents *agents); /* = the fleet's hosts, same order */
void agents_view(const agents *agents, size_t index, struct agent_view *ret);
/* -1 if the fleet has no such host. */
int agents_find(const agents *agents, const char *host);

/* Operate: on_update for progress and, with report set, the result; then on_end exactly once (code RPC_OK
 * after a report; anything else: no report came, the operation's fate is unknown). -ENOTCONN: nothing was
 * sent. */
struct agents_operate {
        void (*on_update)(uint64_t done, uint64_t total, const char *text,
                          const struct operation_report *report, void *userdata);
        void (*on_end)(enum rpc_status code, const char *text, void *userdata);
        void *userdata;
};
int agents_operate_start(agents *agents, const char *host, const struct operation_request *request,
                         const struct agents_operate *callbacks);

/* Has the host look at everything anew; its newer state is known (and the listeners told) when looked comes
 * with RPC_OK; it comes exactly once, never from within. -ENOTCONN: nothing was sent. */
typedef void (*agents_looked)(size_t host, enum rpc_status code, void *userdata);
int agents_look(agents *agents, size_t host, uint64_t deadline_us, agents_looked looked, void *userdata);

/* The ledger's entries for these ids (missing ids: never accepted). on_end exactly once; reports only with
 * RPC_OK, and at most as many as ids: an agent that says more is not believed. */
int agents_ledger(agents *agents, const char *host, const char (*ids)[ID_SIZE], size_t count,
                  void (*on_end)(enum rpc_status code, const struct operation_report *reports, size_t count,
                                 void *userdata),
                  void *userdata);
