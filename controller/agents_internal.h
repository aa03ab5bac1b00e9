/* What the files of agents*.c share. */
#pragma once

#include "common/base/log.h"
#include "controller/agents.h"

#define LISTENERS_MOST 8u

struct agent {
        agents *agents;
        const struct fleet_host *host;
        size_t index;
        rpc_peer *peer;
        rpc_peer *candidate;       /* a newer link, which is not yet known to be this host's */
        sd_event_source *patience; /* owned; while the first state of the newest link is awaited */
        bool connected;
        uint64_t last_seen_us;
        uint64_t came_us; /* when state came; monotonic */
        struct agent_state state;
        uint64_t state_us; /* realtime, when it came */
        bool seen;
        uint8_t key[32]; /* of the link that state came on */
        /* The candidate's first state came; asked: whether the machine of the link that is still answers. */
        bool candidate_said, asked;
        struct agent_state candidate_state;
        char another[TEXT_SIZE];         /* the machine that was kept out last; "" none */
        char another_boot[BOOT_ID_SIZE]; /* its boot */
        uint64_t another_us;             /* when; monotonic */
};

struct agents {
        sd_event *event;
        const struct fleet *fleet;
        struct agent *list; /* one a host of the fleet, same order */
        struct agents_listener listeners[LISTENERS_MOST];
        size_t listener_count;
};

enum agents_news { NEWS_UP, NEWS_DOWN, NEWS_CHANGED };

/* --- agents.c --- */
void agents_tell(const struct agent *agent, enum agents_news news);

/* --- agents_links.c --- */
/* A state on any of the agent's links. */
void agents_take_state(struct agent *agent, rpc_call *call, const ProtobufCMessage *message);
