/* How many services may load from one disk at a time: a load reads as fast as its disk gives, and two that
 * share one take each as long as both in turn, so that neither is ready early.
 *
 * The limit is the host's (loads_per_disk of the fleet file), or that of plans of this kind. Disks are told
 * apart by what the agents say of where the data lies; where that is not known of all services of a host, all
 * of its loads count as from one disk.
 *
 * The run holds starts back. What systemd starts by itself at boot it cannot: such a service counts, and does
 * not wait. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/core/plan_internal.h"

static bool is_loader(const struct builder *b, size_t service)
{
        enum service_kind kind = b->fleet->services[service].spec.kind;

        return b->scope->services[service] && (kind == SERVICE_REDIS || kind == SERVICE_TILE38);
}

/* 0: there is no limit. */
static uint32_t limit_of(const struct builder *b, size_t host)
{
        const struct fleet_host *h = &b->fleet->hosts[host];

        return h->loads_said ? h->loads_per_disk : b->options->rollout.loads_per_disk;
}

/* "" if its agent has not said. */
static const char *disk_name(const struct builder *b, size_t service)
{
        const struct service_state *state = builder_fact(b, service);

        if (!state)
                return "";
        return state->kind == SERVICE_REDIS ? state->redis.disk : state->tile38.disk;
}

/* One number for all services of a host that share a disk. names: of the disks, a service; unknown: a host.
 */
static void number_disks(struct builder *b, const char *const *names, const bool *unknown)
{
        unsigned disks = 0;

        for (size_t s = 0; s < b->fleet->service_count; s++) {
                size_t host = b->fleet->services[s].host;

                if (!names[s] || !limit_of(b, host))
                        continue;
                for (size_t t = 0; t < s && !b->disk_of[s]; t++)
                        if (b->fleet->services[t].host == host && b->disk_of[t] &&
                            (unknown[host] || text_equal(names[s], names[t])))
                                b->disk_of[s] = b->disk_of[t];
                if (!b->disk_of[s])
                        b->disk_of[s] = ++disks;
        }
}

int builder_find_disks(struct builder *b)
{
        size_t services = b->fleet->service_count;
        cleanup_free bool *unknown = calloc(b->fleet->host_count + 1, sizeof(*unknown));
        cleanup_free const char **names = calloc(services + 1, sizeof(*names));

        b->disk_of = calloc(services + 1, sizeof(*b->disk_of));
        if (!unknown || !names || !b->disk_of)
                return -ENOMEM;
        for (size_t s = 0; s < services; s++) {
                names[s] = is_loader(b, s) ? disk_name(b, s) : NULL;
                if (names[s] && !names[s][0])
                        unknown[b->fleet->services[s].host] = true;
        }
        number_disks(b, names, unknown);
        return 0;
}

/* Whether systemd starts it when its host is booted in the present batch. */
static bool starts_at_boot(const struct builder *b, size_t service)
{
        const struct service_state *state = builder_fact(b, service);
        size_t host = b->fleet->services[service].host;

        return b->plan->kind == PLAN_REBOOT && b->scope->hosts[host] && b->batch_of[host] == b->batch &&
               state && text_equal(state->unit.unit_file_state, "enabled");
}

void builder_limit_load(const struct builder *b, struct step *step, size_t service)
{
        uint32_t limit = limit_of(b, b->fleet->services[service].host);
        char more[96];
        size_t used = strlen(step->basis);

        step->disk = b->disk_of[service];
        if (!step->disk || step->kind == STEP_GATE || starts_at_boot(b, service))
                return;
        step->loads_most = limit;
        snprintf(more, sizeof(more), "; %u load%s of its disk at a time", limit, limit == 1 ? "" : "s");
        text_copy_cut(step->basis + used, sizeof(step->basis) - used, more);
}

int builder_warn_of_loads(struct builder *b)
{
        int r = 0;

        for (size_t h = 0; h < b->fleet->host_count && r >= 0 && b->plan->kind == PLAN_REBOOT; h++) {
                size_t count = 0;

                b->batch = b->batch_of[h];
                for (size_t s = 0; s < b->fleet->service_count; s++)
                        count += b->fleet->services[s].host == h && b->disk_of[s] && starts_at_boot(b, s);
                if (count > limit_of(b, h) && limit_of(b, h))
                        r = builder_warn(
                                b,
                                "%s: loads_per_disk is %u, and systemd starts %zu services that load "
                                "by itself at boot: these are not held back",
                                b->fleet->hosts[h].name, limit_of(b, h), count);
        }
        return r;
}
