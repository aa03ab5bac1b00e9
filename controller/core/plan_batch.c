/* Hosts in batches, a canary first. A batch is a whole plan of its own: it ends when all that it took down is
 * back, and only then the next one begins. Hosts come in the order of the fleet file.
 *
 * What stands on the services of a batch's hosts is stopped with them, wherever it is, and brought back with
 * them: a service may be stopped by several batches, and the plan says so. A replica is not: it serves on
 * while its master is away, and the batch ends when it is in sync again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "controller/core/plan_internal.h"

/* Whether the plan does something to the host itself, and not only to what stands on services elsewhere. */
static bool is_in_plan(const struct builder *b, size_t host)
{
        if (b->plan->kind == PLAN_REBOOT && b->scope->hosts[host])
                return true;
        for (size_t s = 0; s < b->fleet->service_count; s++)
                if (b->scope->services[s] && b->fleet->services[s].host == host)
                        return true;
        return false;
}

static int add_batch(struct builder *b)
{
        struct plan *plan = b->plan;
        char(*grown)[TEXT_SIZE] = reallocarray(plan->batches, plan->batch_count + 1, TEXT_SIZE);

        if (!grown)
                return -ENOMEM;
        plan->batches = grown;
        plan->batches[plan->batch_count++][0] = '\0';
        return 0;
}

#define AND_MORE ", …"

/* Into the newest batch. Its text names whole hosts, and says if there are more than fit. */
static void put_host(struct builder *b, size_t host)
{
        char *text = b->plan->batches[b->plan->batch_count - 1];
        const char *name = b->fleet->hosts[host].name;
        size_t used = strlen(text);

        b->batch_of[host] = (unsigned)b->plan->batch_count;
        if (text_ends(text, AND_MORE))
                return;
        if (used + strlen(", ") + strlen(name) + strlen(AND_MORE) < TEXT_SIZE)
                snprintf(text + used, TEXT_SIZE - used, "%s%s", used ? ", " : "", name);
        else
                snprintf(text + used, TEXT_SIZE - used, "%s", AND_MORE);
}

/* The hosts that go first: a named one, or so many of the first. */
static int divide_canary(struct builder *b)
{
        const struct rollout *rollout = &b->options->rollout;
        int named = rollout->canary_host[0] ? fleet_host_find(b->fleet, rollout->canary_host) : -1;
        size_t left = rollout->canary;
        int r;

        if (rollout->canary_host[0] && (named < 0 || !is_in_plan(b, (size_t)named))) {
                if (b->options->canary_asked)
                        return error_set(b->error, -EINVAL,
                                         "the canary '%s' is none of the hosts of this %s; name one of them, "
                                         "or how many",
                                         rollout->canary_host, plan_kind_name(b->plan->kind));
                return builder_warn(b, "the canary %s is not in scope: this %s has none",
                                    rollout->canary_host, plan_kind_name(b->plan->kind));
        }
        if (named < 0 && left == 0)
                return 0;
        r = add_batch(b);
        if (r < 0)
                return r;
        b->plan->canary = true;
        for (size_t h = 0; h < b->fleet->host_count; h++) {
                if (named >= 0 ? (size_t)named != h : (left == 0 || !is_in_plan(b, h)))
                        continue;
                put_host(b, h);
                left -= left > 0;
        }
        return 0;
}

int builder_divide(struct builder *b)
{
        size_t hosts = 0, size, filled;
        int r;

        for (size_t h = 0; h < b->fleet->host_count; h++)
                hosts += is_in_plan(b, h);
        size = rollout_batch_size(&b->options->rollout, hosts);
        r = divide_canary(b);
        filled = size;
        for (size_t h = 0; h < b->fleet->host_count && r >= 0; h++) {
                if (!is_in_plan(b, h) || b->batch_of[h])
                        continue;
                if (filled == size) {
                        r = add_batch(b);
                        filled = 0;
                }
                if (r >= 0)
                        put_host(b, h);
                filled++;
        }
        return r;
}

bool builder_touches(const struct builder *b, size_t service)
{
        return b->touch[service] == TOUCHED;
}

/* A service elsewhere that has to be down while the batch is: it can be stopped, or there is no plan. */
static int touch_elsewhere(struct builder *b, size_t service, size_t need)
{
        const struct fleet_service *s = &b->fleet->services[service], *n = &b->fleet->services[need];

        if (s->spec.kind == SERVICE_PM2 || s->spec.unit[0]) {
                b->touch[service] = TOUCHED;
                return 0;
        }
        return error_set(
                b->error, -EINVAL,
                "batch %u takes down %s on %s, and %s on %s, which needs it, has no unit to be stopped "
                "by; put both hosts into one batch, or give it a unit",
                b->batch, n->spec.name, b->fleet->hosts[n->host].name, s->spec.name,
                b->fleet->hosts[s->host].name);
}

/* What the batch does to a service, when it is known of all that the service needs. */
static int touch_service(struct builder *b, size_t service)
{
        const struct fleet_service *s = &b->fleet->services[service];

        b->touch[service] = UNTOUCHED;
        if (!b->scope->services[service])
                return 0;
        if (b->batch_of[s->host] == b->batch) {
                b->touch[service] = TOUCHED;
                return 0;
        }
        if (s->of >= 0 && b->touch[s->of] != UNTOUCHED)
                b->touch[service] = SYNCS;
        for (size_t i = 0; i < s->need_count; i++)
                if (b->touch[s->needs[i]] == TOUCHED)
                        return touch_elsewhere(b, service, s->needs[i]);
        if (s->same_as >= 0 && b->touch[s->same_as] == TOUCHED)
                return touch_elsewhere(b, service, (size_t)s->same_as);
        return 0;
}

int builder_next_batch(struct builder *b)
{
        int r = 0;

        b->batch++;
        for (size_t h = 0; h < b->fleet->host_count; h++)
                b->reboot[h] = b->last_compact[h] = -1;
        for (size_t o = 0; o < b->fleet->service_count && r >= 0; o++) {
                size_t s = b->order[o];

                b->steps[s] = (struct service_steps){-1, -1, -1, -1, -1, -1};
                r = touch_service(b, s);
                b->touches[s] += b->touch[s] == TOUCHED;
        }
        return r;
}

int builder_warn_of_batches(struct builder *b)
{
        int r = 0;

        for (size_t s = 0; s < b->fleet->service_count && r >= 0; s++)
                if (b->touches[s] > 1)
                        r = builder_warn(
                                b,
                                "%s/%s is stopped and brought back %u times: by each batch that takes "
                                "down what it needs",
                                b->fleet->hosts[b->fleet->services[s].host].name,
                                b->fleet->services[s].spec.name, b->touches[s]);
        return r;
}
