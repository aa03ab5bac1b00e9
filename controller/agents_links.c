/* Links and states: which link is a host's, and what its agent says on it.
 *
 * A host has one key and one link. A newer link is the same machine, which lost the old one (after a power
 * cut the old one still waits for its heartbeat); or a second machine that was made from a copy of the first,
 * key and all. The boot tells them apart: the same boot is the same machine. Another boot may only be it if
 * the machine of before is silent: one that was up already while the other spoke, or that is up while the
 * other still answers, is another machine. It is kept out, and that is said: what is meant for one must never
 * be done to the other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/rpc/wire.h"
#include "controller/agents_internal.h"

/* How long a link may be up without saying how its host is. */
#define FIRST_STATE_US (60 * USEC_PER_SEC)
/* How long the machine of the old link has to answer; its link is given up for dead soon after. */
#define STILL_THERE_US (6 * USEC_PER_SEC)
/* How long what a machine said may have been on its way. */
#define WAY_US (20 * USEC_PER_SEC)

/* --- the stream of states --- */

/* Checked and complete, or nothing. */
static int read_state(struct agent_state *ret, const Muster__V1__AgentState *message)
{
        struct agent_state state = {0};
        int r;

        if (!message->host || message->n_services > FLEET_SERVICES_MAX)
                return -EBADMSG;
        state.services = calloc(message->n_services + 1, sizeof(*state.services));
        if (!state.services)
                return -ENOMEM;
        r = wire_read_host(&state.host, message->host);
        for (size_t i = 0; r == 0 && i < message->n_services; i++) {
                r = wire_read_service(&state.services[i], message->services[i]);
                if (r == 0)
                        state.service_count++;
        }
        if (r < 0) {
                agent_state_clear(&state);
                return r;
        }
        *ret = state;
        return 0;
}

/* --- whose link it is --- */

static void keep_out(struct agent *agent, rpc_peer *peer, const struct host_state *host, const char *why)
{
        bool is_news = !text_equal(agent->another_boot, host->boot_id);
        char up[48], line[2 * TEXT_SIZE];

        time_duration_text(up, sizeof(up), host->uptime_ms * USEC_PER_MSEC);
        snprintf(line, sizeof(line), "another machine has its key, at %s, on boot %.8s…, up for %s: %s",
                 rpc_peer_address(peer), host->boot_id, up, why);
        text_copy_clean(agent->another, sizeof(agent->another), line);
        TEXT_COPY(agent->another_boot, host->boot_id);
        agent->another_us = time_monotonic_us();
        if (is_news)
                log_error("host %s: %s; it is kept out", agent->host->name, agent->another);
        rpc_peer_close(peer, "another machine with this key is the host already");
}

/* On another boot than the one that was last heard of under the same key. */
static bool is_other_boot(const struct agent *agent, const rpc_peer *peer, const struct host_state *host)
{
        return agent->seen && agent->state.host.boot_id[0] && host->boot_id[0] &&
               !text_equal(agent->state.host.boot_id, host->boot_id) &&
               memcmp(agent->key, rpc_peer_key(peer), sizeof(agent->key)) == 0;
}

static bool was_up_meanwhile(const struct agent *agent, const struct host_state *host)
{
        return host->uptime_ms > (time_monotonic_us() - agent->came_us + WAY_US) / USEC_PER_MSEC;
}

static void forget_candidate(struct agent *agent)
{
        agent_state_clear(&agent->candidate_state);
        agent->candidate = NULL;
        agent->candidate_said = false;
}

/* Takes the state. */
static void accept_state(struct agent *agent, struct agent_state *state)
{
        agent_state_clear(&agent->state);
        agent->state = *state;
        *state = (struct agent_state){0};
        agent->seen = true;
        memcpy(agent->key, rpc_peer_key(agent->peer), sizeof(agent->key));
        agent->last_seen_us = agent->state_us = time_realtime_us();
        agent->came_us = time_monotonic_us();
        if (agent->connected) {
                agents_tell(agent, NEWS_CHANGED);
                return;
        }
        agent->connected = true;
        agent->patience = sd_event_source_disable_unref(agent->patience);
        log_info("host %s is up, boot %s", agent->host->name, agent->state.host.boot_id);
        agents_tell(agent, NEWS_UP);
}

/* The candidate's link is the host's from now on; the old one ends. */
static void take_over(struct agent *agent)
{
        rpc_peer *old = agent->peer, *peer = agent->candidate;
        struct agent_state state = agent->candidate_state;

        agent->candidate_state = (struct agent_state){0};
        forget_candidate(agent);
        agents_peer_down(agent->agents, old);
        rpc_peer_close(old, "the host connected again");
        agent->peer = peer;
        accept_state(agent, &state);
}

static void on_still_there(size_t host, enum rpc_status code, void *userdata)
{
        agents *agents = userdata;
        struct agent *agent = &agents->list[host];

        agent->asked = false;
        if (!agent->candidate || !agent->candidate_said)
                return;
        if (code == RPC_OK && is_other_boot(agent, agent->candidate, &agent->candidate_state.host))
                keep_out(agent, agent->candidate, &agent->candidate_state.host,
                         "the one known still answers");
        else
                take_over(agent);
}

/* The newest link has said how its host is, for the first time; takes the state. */
static void hear_candidate(struct agent *agent, struct agent_state *state)
{
        bool is_other = is_other_boot(agent, agent->candidate, &state->host);

        agent->patience = sd_event_source_disable_unref(agent->patience);
        agent_state_clear(&agent->candidate_state);
        agent->candidate_state = *state;
        *state = (struct agent_state){0};
        agent->candidate_said = true;
        if (is_other && was_up_meanwhile(agent, &agent->candidate_state.host))
                keep_out(agent, agent->candidate, &agent->candidate_state.host,
                         "it was up already while the one known spoke");
        else if (!is_other)
                take_over(agent);
        else if (!agent->asked)
                agent->asked = agents_look(agent->agents, agent->index, STILL_THERE_US, on_still_there,
                                           agent->agents) >= 0;
}

void agents_take_state(struct agent *agent, rpc_call *call, const ProtobufCMessage *message)
{
        rpc_peer *peer = rpc_call_peer(call);
        struct agent_state state;
        int r;

        if (!peer || (peer != agent->peer && peer != agent->candidate))
                return; /* a link that was replaced by a newer one */
        r = read_state(&state, (const Muster__V1__AgentState *)message);
        if (r < 0) {
                log_warning("host %s sent a state that cannot be read (%s); its link is closed",
                            agent->host->name, strerror(-r));
                rpc_peer_close(peer, "unreadable state");
                return;
        }
        if (peer == agent->candidate)
                hear_candidate(agent, &state);
        else if (!agent->connected && is_other_boot(agent, peer, &state.host) &&
                 was_up_meanwhile(agent, &state.host))
                keep_out(agent, peer, &state.host, "it was up already while the one known spoke");
        else
                accept_state(agent, &state);
        agent_state_clear(&state);
}

static void on_state(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        agents_take_state(userdata, call, message);
}

static void on_watch_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct agent *agent = userdata;
        rpc_peer *peer = rpc_call_peer(call);

        if (!peer || (peer != agent->peer && peer != agent->candidate) || code == RPC_UNAVAILABLE)
                return; /* the link went down: agents_peer_down says so */
        if (code == RPC_UNIMPLEMENTED)
                return; /* it is only joining: its agent comes on a link of its own */
        log_warning("host %s stopped reporting: %s: %s; its link is closed", agent->host->name,
                    rpc_status_name(code), text);
        rpc_peer_close(peer, "its reports ended");
}

static int watch(struct agent *agent, rpc_peer *peer)
{
        const struct fleet *fleet = agent->agents->fleet;
        Muster__V1__WatchRequest request = MUSTER__V1__WATCH_REQUEST__INIT;
        struct wire_arena arena = {0};
        int r = -ENOMEM;

        request.services = wire_alloc(&arena, fleet->service_count * sizeof(*request.services));
        for (size_t i = 0; request.services && i < fleet->service_count; i++)
                if (fleet->services[i].host == agent->index)
                        request.services[request.n_services++] = wire_spec(&arena, &fleet->services[i].spec);
        if (!arena.failed)
                r = rpc_call_start(NULL, peer, &muster__v1__agent__descriptor, "Watch", &request.base, 0,
                                   on_state, on_watch_end, agent);
        wire_arena_clear(&arena);
        return r;
}

static int on_impatience(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        rpc_peer *peer = agent->candidate ? agent->candidate : agent->peer;

        agent->patience = sd_event_source_disable_unref(agent->patience);
        log_warning("host %s has not said how it is within a minute of connecting; its link is closed",
                    agent->host->name);
        if (peer)
                rpc_peer_close(peer, "no state came within a minute");
        return 0;
}

/* The newest link is the one that is asked; one that is in use goes on until the newest has proven itself. */
static void put_link(struct agent *agent, rpc_peer *peer)
{
        rpc_peer *old = agent->connected ? agent->candidate : agent->peer;

        if (old) {
                agents_peer_down(agent->agents, old);
                rpc_peer_close(old, "the host connected again");
        }
        agent->patience = sd_event_source_disable_unref(agent->patience);
        if (agent->connected)
                agent->candidate = peer;
        else
                agent->peer = peer;
        rpc_peer_set_data(peer, agent);
}

void agents_peer_up(agents *agents, rpc_peer *peer)
{
        int index = agents_find(agents, rpc_peer_name(peer));
        struct agent *agent;
        int r;

        if (index < 0) {
                log_warning("host %s is not in the fleet file; its link is closed", rpc_peer_name(peer));
                rpc_peer_close(peer, "not in the fleet file");
                return;
        }
        agent = &agents->list[index];
        put_link(agent, peer);
        r = sd_event_add_time_relative(agents->event, &agent->patience, CLOCK_BOOTTIME, FIRST_STATE_US,
                                       USEC_PER_SEC, on_impatience, agent);
        if (r >= 0)
                r = watch(agent, peer);
        if (r < 0) {
                log_warning("host %s cannot be watched: %s", agent->host->name, strerror(-r));
                rpc_peer_close(peer, "cannot be watched");
        }
}

static void candidate_down(struct agent *agent)
{
        agent->patience = sd_event_source_disable_unref(agent->patience);
        forget_candidate(agent);
}

/* The link that was in use is gone: the newer one, if there is one, has nobody to stand against any more. */
static void promote_candidate(struct agent *agent)
{
        struct agent_state state = agent->candidate_state;
        bool said = agent->candidate_said;

        if (!agent->candidate)
                return;
        agent->peer = agent->candidate;
        agent->candidate_state = (struct agent_state){0};
        forget_candidate(agent);
        if (said)
                accept_state(agent, &state);
}

void agents_peer_down(agents *agents, rpc_peer *peer)
{
        struct agent *agent = rpc_peer_data(peer);
        bool was_connected;

        if (!agent || (agent->peer != peer && agent->candidate != peer))
                return;
        if (agent->candidate == peer) {
                candidate_down(agent);
                return;
        }
        was_connected = agent->connected;
        if (was_connected)
                agent->last_seen_us = time_realtime_us();
        agent->peer = NULL;
        agent->connected = false;
        if (!agent->candidate)
                agent->patience = sd_event_source_disable_unref(agent->patience);
        if (was_connected) {
                log_info("host %s is down", agent->host->name);
                agents_tell(agent, NEWS_DOWN);
        }
        promote_candidate(agent);
}

void agents_close(agents *agents, const char *host, const char *reason)
{
        int index = agents_find(agents, host);

        if (index < 0)
                return;
        if (agents->list[index].candidate)
                rpc_peer_close(agents->list[index].candidate, reason);
        if (agents->list[index].peer)
                rpc_peer_close(agents->list[index].peer, reason);
}
