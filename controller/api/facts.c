/* What is known now: agents' newest states and the rates that were learned; see handlers.h. */
#include <stdlib.h>

#include "controller/api/handlers.h"

/* A host that was never rebooted under these eyes has taught nothing. */
static int take_reboot(const struct api_context *context, const char *host, struct plan_host_fact *fact)
{
        struct store_reboot reboot;
        int r = store_reboot_get(context->store, host, &reboot);

        if (r == -ENOENT)
                return 0;
        if (r == 0) {
                fact->reboot_us = reboot.mean_us;
                fact->reboot_spread_us = reboot.spread_us;
                fact->reboots = reboot.reboots;
        }
        return r;
}

int api_facts_get(const struct api_context *context, struct api_facts *ret)
{
        const struct fleet *fleet = context->fleet;
        struct api_facts facts = {
                .hosts = calloc(fleet->host_count + 1, sizeof(*facts.hosts)),
                .rates = calloc(fleet->service_count + 1, sizeof(*facts.rates)),
        };

        if (!facts.hosts || !facts.rates) {
                api_facts_clear(&facts);
                return -ENOMEM;
        }
        for (size_t i = 0; i < fleet->host_count; i++) {
                struct agent_view view;
                int r;

                agents_view(context->agents, i, &view);
                facts.hosts[i] = (struct plan_host_fact){.connected = view.connected,
                                                         .state = view.state,
                                                         .state_us = view.state_us,
                                                         .another = view.another};
                r = take_reboot(context, view.name, &facts.hosts[i]);
                if (r == 0)
                        r = store_lock_holder(context->store, view.name, facts.hosts[i].run);
                if (r < 0 && r != -ENOENT) {
                        api_facts_clear(&facts);
                        return r;
                }
        }
        for (size_t i = 0; i < fleet->service_count; i++) {
                int r = loads_rate(context->store, fleet->services[i].spec.name, &facts.rates[i]);

                if (r < 0 && r != -ENOENT) {
                        api_facts_clear(&facts);
                        return r;
                }
        }
        facts.facts = (struct plan_facts){.hosts = facts.hosts, .rates = facts.rates};
        *ret = facts;
        return 0;
}

void api_facts_clear(struct api_facts *facts)
{
        free(facts->hosts);
        free(facts->rates);
        *facts = (struct api_facts){0};
}
