/* Links: ordered while they live; what is under way when one is cut is lost; the controller learns of it when
 * its heartbeats fail, and an agent that comes back replaces the old link by a new one. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define SLOW_MOST_US  (12 * USEC_PER_SEC)
#define HEARTBEATS_US (15 * USEC_PER_SEC)

struct parcel {
        uint64_t link;
        struct message message;
};

static void arrives(struct sim *sim, size_t index, uint64_t to_agent, void *data)
{
        const struct parcel *parcel = data;
        struct sim_host *host = &sim->hosts[index];

        if (parcel->link != host->link || (!host->link_alive && !(to_agent && host->link_drains)))
                return;
        if (host->link_alive && (to_agent ? host->deaf : host->dumb))
                return;
        if (!to_agent)
                calls_take(sim, index, &parcel->message);
        else if (host->agent_up)
                agent_take(sim, index, &parcel->message);
}

static void post(struct sim *sim, size_t index, const struct message *message, bool to_agent)
{
        struct sim_host *host = &sim->hosts[index];
        uint64_t *last_us = to_agent ? &host->last_to_agent_us : &host->last_from_agent_us;
        uint64_t at_us = sim->now_us + sim_between(sim, 100, sim_random(sim, 50) ? 5000 : 2 * USEC_PER_SEC);
        struct parcel *parcel;

        if (!host->link_alive)
                return;
        if (sim->now_us < host->slow_until_us)
                at_us += sim_random(sim, SLOW_MOST_US);
        parcel = malloc(sizeof(*parcel));
        if (!parcel)
                abort();
        parcel->link = host->link;
        parcel->message = *message;
        if (at_us < *last_us)
                at_us = *last_us;
        *last_us = at_us;
        sim_later(sim, at_us - sim->now_us, arrives, index, to_agent, parcel);
}

void link_to_agent(struct sim *sim, size_t host, const struct message *message)
{
        post(sim, host, message, true);
}

void link_from_agent(struct sim *sim, size_t host, const struct message *message)
{
        post(sim, host, message, false);
}

static void try_to_dial(struct sim *sim, size_t index, uint64_t link, void *data)
{
        struct sim_host *host = &sim->hosts[index];

        if (host->link == link && !host->link_alive && host->agent_up)
                link_open(sim, index);
}

void link_open(struct sim *sim, size_t index)
{
        struct sim_host *host = &sim->hosts[index];

        if (!sim->controller.alive) {
                sim_later(sim, sim_between(sim, USEC_PER_SEC / 10, 30 * USEC_PER_SEC), try_to_dial, index,
                          host->link, NULL);
                return;
        }
        if (host->link_open)
                calls_lost_link(sim, index); /* the newer link wins */
        host->link++;
        host->link_alive = host->link_open = true;
        host->introduced = host->link_drains = host->deaf = host->dumb = false;
        agent_tell_state(sim, index);
}

static void noticed(struct sim *sim, size_t index, uint64_t link, void *data)
{
        if (sim->hosts[index].link == link && sim->hosts[index].link_open)
                calls_lost_link(sim, index);
}

void link_cut(struct sim *sim, size_t index, uint64_t notice_us)
{
        struct sim_host *host = &sim->hosts[index];

        if (!host->link_alive)
                return;
        host->link_alive = false;
        sim_later(sim, notice_us, noticed, index, host->link, NULL);
        sim_later(sim, sim_between(sim, USEC_PER_SEC / 10, 45 * USEC_PER_SEC), try_to_dial, index, host->link,
                  NULL);
}

static void heartbeats_fail(struct sim *sim, size_t index, uint64_t link, void *data)
{
        if (sim->hosts[index].link == link)
                link_cut(sim, index, sim_between(sim, 0, HEARTBEATS_US));
}

void link_cut_one_way(struct sim *sim, size_t index)
{
        struct sim_host *host = &sim->hosts[index];
        bool to_agent = sim_random(sim, 2);

        sim_say(sim, "! the link of h%zu is cut one way: nothing comes %s it", index,
                to_agent ? "to" : "from");
        if (to_agent)
                host->deaf = true;
        else
                host->dumb = true;
        sim_later(sim, sim_between(sim, 0, HEARTBEATS_US), heartbeats_fail, index, host->link, NULL);
}
