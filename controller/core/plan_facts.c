/* What is known of the fleet, held against what a plan would do: refusals and warnings. */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/text.h"
#include "controller/core/plan_internal.h"

const struct service_state *builder_fact(const struct builder *b, size_t service)
{
        const struct fleet_service *s = &b->fleet->services[service];
        const struct agent_state *state = b->facts->hosts[s->host].state;

        return state ? agent_state_service(state, s->spec.name) : NULL;
}

int builder_warn(struct builder *b, const char *format, ...)
{
        char text[TEXT_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        return plan_add_warning(b->plan, text);
}

static int check_host(const struct builder *b, size_t host)
{
        const struct plan_host_fact *fact = &b->facts->hosts[host];
        const char *name = b->fleet->hosts[host].name;

        if (!fact->state)
                return error_set(
                        b->error, -EINVAL,
                        "host '%s' has never been seen; join it ('muster host invite %s'), or leave it "
                        "out with '!%s'",
                        name, name, name);
        if (!fact->connected)
                return error_set(b->error, -EINVAL,
                                 "host '%s' is not connected; start muster-agent there, or leave it out with "
                                 "'!%s'",
                                 name, name);
        if (!fact->state->host.boot_id[0])
                return error_set(
                        b->error, -EINVAL,
                        "the boot id of host '%s' cannot be read (%s), so no reboot could be proven; "
                        "repair that first",
                        name,
                        fact->state->host.boot_error[0] ? fact->state->host.boot_error : "no reason given");
        if (fact->state->host.stopping)
                return error_set(b->error, -EINVAL,
                                 "host '%s' is shutting down already; wait until it is back", name);
        return 0;
}

static int check_service(struct builder *b, size_t service)
{
        const struct fleet_service *s = &b->fleet->services[service];
        const struct service_state *state = builder_fact(b, service);
        const char *host = b->fleet->hosts[s->host].name, *name = s->spec.name;
        enum plan_kind kind = b->plan->kind;

        if (!state)
                return error_set(
                        b->error, -EINVAL,
                        "the agent of '%s' says nothing of service '%s'; it may not have been told of "
                        "it yet: try again in a few seconds",
                        host, name);
        if (state->phase == PHASE_LOADING)
                return error_set(
                        b->error, -EINVAL,
                        "service '%s' on '%s' is loading its data (%.120s), and would begin anew; wait "
                        "until it is ready (muster %s), or leave '%s' out with '!%s'",
                        name, host, state->detail,
                        s->spec.kind == SERVICE_REDIS ? "redis watch" : "status --watch", name, name);
        if (s->spec.kind == SERVICE_PM2 && !state->pm2.reachable)
                return error_set(
                        b->error, -EINVAL,
                        "PM2 of service '%s' on '%s' does not answer (%s), so its state could not be "
                        "saved; start it, or leave '%s' out with '!%s'",
                        name, host, state->pm2.error[0] ? state->pm2.error : "no reason given", name, name);
        if (s->spec.kind == SERVICE_PM2)
                return 0;
        if (!s->spec.unit[0] && kind == PLAN_RESTART)
                return error_set(
                        b->error, -EINVAL,
                        "service '%s' on '%s' has no unit in the fleet file, so it cannot be stopped "
                        "and started; give it one, or leave it out with '!%s'",
                        name, host, name);
        if (s->spec.unit[0] && (!state->unit.present || text_equal(state->unit.load_state, "masked")))
                return error_set(b->error, -EINVAL,
                                 "systemd on '%s' %s unit '%s' of service '%s', so it could not be started "
                                 "again; repair the unit or the fleet file",
                                 host, state->unit.present ? "has masked" : "does not know", s->spec.unit,
                                 name);
        return 0;
}

#define SOFT_SINCE 254 /* systemd */

/* Each host that it cannot be done on, and why. */
static int check_soft(const struct builder *b)
{
        char lines[ERROR_TEXT_SIZE - 128] = "";
        size_t used = 0;

        if (b->plan->kind != PLAN_REBOOT)
                return error_set(b->error, -EINVAL, "only a reboot can be soft; leave --soft out");
        for (size_t h = 0; h < b->fleet->host_count && used < sizeof(lines); h++) {
                const struct agent_state *state = b->facts->hosts[h].state;
                unsigned version = 0;

                if (!b->scope->hosts[h] || !state)
                        continue; /* that it was never seen is said of any reboot */
                (void)sscanf(state->host.systemd, "%u", &version);
                if (version >= SOFT_SINCE && state->host.tells_soft)
                        continue;
                used += (size_t)snprintf(
                        lines + used, sizeof(lines) - used, "%s%s has systemd %s, %s", used ? "; " : "",
                        b->fleet->hosts[h].name, state->host.systemd[0] ? state->host.systemd : "?",
                        version >= SOFT_SINCE ? "which offers it, but its agent could not prove it"
                                              : "soft reboots came with 254");
        }
        return used ? error_set(b->error, -EINVAL, "no soft reboot: %s; leave --soft out", lines) : 0;
}

/* Hosts that steps will work on, and those that only have to answer for what is needed. */
int builder_check_facts(struct builder *b)
{
        bool any = false;
        int r = b->options->soft ? check_soft(b) : 0;

        for (size_t h = 0; h < b->fleet->host_count && r >= 0; h++)
                if (b->plan->kind == PLAN_REBOOT && b->scope->hosts[h]) {
                        any = true;
                        r = check_host(b, h);
                }
        for (size_t s = 0; s < b->fleet->service_count && r >= 0; s++) {
                size_t needs[NEEDS_ALL_MAX], count;

                if (!b->scope->services[s])
                        continue;
                any = true;
                r = check_host(b, b->fleet->services[s].host);
                if (r >= 0)
                        r = check_service(b, s);
                count = builder_needs(b, s, needs);
                for (size_t i = 0; i < count && r >= 0; i++)
                        if (!b->scope->services[needs[i]]) {
                                r = check_host(b, b->fleet->services[needs[i]].host);
                                if (r < 0)
                                        error_prefix(b->error, r, "'%s' needs '%s'",
                                                     b->fleet->services[s].spec.name,
                                                     b->fleet->services[needs[i]].spec.name);
                        }
        }
        if (r >= 0 && !any)
                return error_set(b->error, -EINVAL, "there is nothing in this scope to %s",
                                 plan_kind_name(b->plan->kind));
        return r;
}

int builder_add_warnings(struct builder *b)
{
        int r = 0;

        for (size_t s = 0; s < b->fleet->service_count && r >= 0; s++) {
                const struct fleet_service *service = &b->fleet->services[s];
                const struct service_state *state = builder_fact(b, s);
                const char *host = b->fleet->hosts[service->host].name, *name = service->spec.name;
                size_t needs[NEEDS_ALL_MAX], count = builder_needs(b, s, needs);

                for (size_t i = 0; i < count && r >= 0 && !b->scope->services[s]; i++)
                        if (b->scope->services[needs[i]])
                                r = builder_warn(
                                        b, "%s/%s needs %s and is not in scope: it stays up while %s is down",
                                        host, name, b->fleet->services[needs[i]].spec.name,
                                        b->fleet->services[needs[i]].spec.name);
                if (r < 0 || !b->scope->services[s] || !state)
                        continue;
                if (service->spec.kind == SERVICE_PM2) {
                        if (state->pm2.boot_unit[0] && b->plan->kind == PLAN_REBOOT)
                                r = builder_warn(
                                        b,
                                        "%s/%s: %s would start its apps at boot, before what they need is "
                                        "ready: it is disabled from the stop to the restore",
                                        host, name, state->pm2.boot_unit);
                        if (state->pm2.errored && r >= 0)
                                r = builder_warn(
                                        b, "%s/%s: %u apps are errored now; they will be restored as stopped",
                                        host, name, state->pm2.errored);
                } else if (state->phase != PHASE_READY) {
                        r = builder_warn(b, "%s/%s is %s now; the run will start it", host, name,
                                         service_phase_name(state->phase));
                }
                if (!service->spec.unit[0] && service->spec.kind != SERVICE_PM2 && r >= 0)
                        r = builder_warn(
                                b,
                                "%s/%s has no unit: the shutdown stops it, and it has to come back by itself",
                                host, name);
        }
        return r;
}
