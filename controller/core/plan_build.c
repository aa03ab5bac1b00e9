/* From a fleet, a scope and what is known of it to a plan: the DAG of design.md's "What a restart does".
 *
 * Down: compact and save first, while all is up. A service is stopped when everything that needs it is; a
 * host is rebooted when everything on it is.
 *
 * Up: every service with a unit gets a unit.start, enabled or not. For a unit that came up with the host it
 * is a question with the answer "active"; for one that is not enabled it is what keeps the run from leaving a
 * service down; and there is one rule instead of two that depend on what enablement was when the plan was
 * made. A start comes after the gates of the service's own needs, a gate after the start: by the graph alone.
 *
 * Services outside the scope that something in it needs get a gate before anything is stopped: what could not
 * come back is not taken down.
 *
 * All of that once a batch: a batch is a whole plan of its own, for its hosts and for whatever stands on
 * their services elsewhere; see plan_batch.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/plan_estimate.h"
#include "controller/core/plan_internal.h"

#define EDGES_MAX     4000000u
#define STOP_SLACK_US (30 * USEC_PER_SEC)

static void builder_clear(struct builder *b)
{
        plan_free(b->plan);
        free(b->steps);
        free(b->touch);
        free(b->touches);
        free(b->saved);
        free(b->batch_of);
        free(b->disk_of);
        free(b->reboot);
        free(b->last_compact);
        free(b->order);
        free(b->dependants);
        free(b->first);
        free(b->seen);
        free(b->stack);
        free(b->marks);
}

/* --- making steps --------------------------------------------------------------------------------------- */

static int make_room(struct builder *b)
{
        size_t room = b->room ? b->room * 2 : 256;
        struct step *steps;
        unsigned *marks;

        if (b->plan->step_count < b->room)
                return 0;
        if (b->plan->step_count >= PLAN_STEPS_MAX)
                return error_set(b->error, -E2BIG,
                                 "the plan has more than %u steps; restart the fleet in parts, or in larger "
                                 "batches",
                                 PLAN_STEPS_MAX);
        steps = reallocarray(b->plan->steps, room, sizeof(*steps));
        if (!steps)
                return -ENOMEM;
        memset(steps + b->room, 0, (room - b->room) * sizeof(*steps));
        b->plan->steps = steps;
        marks = reallocarray(b->marks, room, sizeof(*marks));
        if (!marks)
                return -ENOMEM;
        memset(marks + b->room, 0, (room - b->room) * sizeof(*marks));
        b->marks = marks;
        b->room = room;
        return 0;
}

/* A new last step with its host and service; service -1: the host itself. */
static int add_step(struct builder *b, struct step **ret, enum plan_phase phase, size_t host, int service)
{
        struct step *step;
        int r = make_room(b);

        if (r < 0)
                return r;
        step = &b->plan->steps[b->plan->step_count++];
        step->batch = b->batch;
        step->phase = phase;
        text_copy_cut(step->host, sizeof(step->host), b->fleet->hosts[host].name);
        if (service >= 0) {
                const struct fleet_service *s = &b->fleet->services[service];

                step->service = s->spec;
                step->on_failure = s->on_failure;
                step->hold_us = s->hold_us;
                step->at_least = s->at_least;
        }
        b->mark++;
        *ret = step;
        return 0;
}

/* Nothing that fails in a canary is passed over: it is there to fail first. Nor is what has to be so before
 * anything is taken down: that a service which is needed is ready, and that what PM2 runs is saved. */
static bool may_continue(const struct builder *b, const struct step *step, unsigned kind)
{
        return !(b->plan->canary && b->batch == 1) && step->phase != PHASE_CHECK && policy_may_continue(kind);
}

/* What was written of this kind of step, of all services or of this one; see common/model/policy.h. */
static void take_policy(struct builder *b, struct step *step, int service)
{
        const struct step_policy *policies =
                service >= 0 ? b->fleet->services[service].policies : b->fleet->policies;
        unsigned kind =
                step->kind == STEP_GATE ? policy_kind_of_gate(step->service.kind) : (unsigned)step->operation;
        const struct step_policy *policy = &policies[kind];

        if (policy->set & POLICY_RETRIES)
                step->retries = policy->retries;
        step->backoff_us = policy->set & POLICY_BACKOFF ? policy->backoff_us : BACKOFF_USUAL_US;
        step->deadline_said = policy->set & POLICY_DEADLINE;
        if (step->deadline_said)
                step->deadline_us = policy->deadline_us;
        if (policy->set & POLICY_ON_FAILURE)
                step->on_failure = policy->on_failure;
        if (step->on_failure == ON_FAILURE_CONTINUE && !may_continue(b, step, kind))
                step->on_failure = ON_FAILURE_PAUSE;
}

/* "db1/bds redis.rewrite"; what a batch does beyond its own hosts has the batch behind it, so that no two
 * steps have one name. */
static void name_step(struct builder *b, struct step *step, size_t host, const char *what)
{
        bool is_beyond = step->phase == PHASE_CHECK || b->batch_of[host] != b->batch;
        char more[32] = "";

        if (is_beyond && b->plan->batch_count > 1)
                snprintf(more, sizeof(more), " (batch %u)", b->batch);
        snprintf(step->name, sizeof(step->name), "%s%s%s %s%s", step->host, step->service.name[0] ? "/" : "",
                 step->service.name, what, more);
}

/* The newest step comes after another one; -1 is none, and twice is once. */
static int add_after(struct builder *b, int before)
{
        struct step *step = &b->plan->steps[b->plan->step_count - 1];

        if (before < 0 || b->marks[before] == b->mark)
                return 0;
        if (++b->edges > EDGES_MAX)
                return error_set(b->error, -E2BIG,
                                 "the plan has more than %u dependencies; restart the fleet in parts",
                                 EDGES_MAX);
        if ((step->after_count & (step->after_count - 1)) == 0) {
                size_t room = step->after_count ? step->after_count * 2 : 1;
                unsigned *grown = reallocarray(step->after, room, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                step->after = grown;
        }
        step->after[step->after_count++] = (unsigned)before;
        b->marks[before] = b->mark;
        return 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

/* A unit's own time-out with room above it; a unit without one gets four times what is usual. */
static uint64_t above_unit(uint64_t usual_us, uint64_t unit_us)
{
        return unit_us == UINT64_MAX ? usual_us * 4 : larger(usual_us, unit_us + STOP_SLACK_US);
}

static int add_operation(struct builder *b, enum plan_phase phase, size_t host, int service,
                         enum operation_kind kind)
{
        const struct operation_type *type = operation_type(kind);
        uint64_t usual_us =
                operation_deadline_us(kind, service >= 0 ? b->fleet->services[service].hold_us : 0);
        const struct service_state *state = service >= 0 ? builder_fact(b, (size_t)service) : NULL;
        struct step *step;
        int r = add_step(b, &step, phase, host, service);

        if (r < 0)
                return r;
        step->kind = STEP_OPERATION;
        step->operation = kind;
        step->retries = type->retries;
        step->deadline_us = usual_us;
        step->soft = kind == OPERATION_HOST_REBOOT && b->options->soft;
        name_step(b, step, host, step->soft ? "host.reboot (soft)" : type->name);
        plan_estimate_operation(step, state);
        if (kind == OPERATION_UNIT_START)
                builder_limit_load(b, step, (size_t)service);
        if (kind == OPERATION_HOST_REBOOT && !step->soft)
                plan_estimate_reboot(step, &b->facts->hosts[host]);
        if (kind == OPERATION_UNIT_STOP && state)
                step->deadline_us = above_unit(usual_us, state->unit.timeout_stop_us);
        else if (kind == OPERATION_UNIT_START && state)
                step->deadline_us = above_unit(usual_us, state->unit.timeout_start_us);
        step->deadline_us = larger(step->deadline_us, step->high_us * 2);
        take_policy(b, step, service);
        return (int)b->plan->step_count - 1;
}

static int add_gate(struct builder *b, enum plan_phase phase, size_t service)
{
        const struct fleet_service *s = &b->fleet->services[service];
        const struct plan_rate *rate = b->facts->rates ? &b->facts->rates[service] : NULL;
        struct step *step;
        int r = add_step(b, &step, phase, s->host, (int)service);

        if (r < 0)
                return r;
        step->kind = STEP_GATE;
        step->deadline_us = larger(larger(s->start_limit_us, USEC_PER_SEC),
                                   plan_estimate_resync(&s->spec, builder_fact(b, service)));
        name_step(b, step, s->host, phase == PHASE_CHECK ? "is ready" : "ready");
        role_text(step->role_before, builder_fact(b, service));
        step->max_lag = s->of >= 0 ? s->max_lag : 0;
        if (s->same_as >= 0 || s->of >= 0) {
                const struct fleet_service *seen = &b->fleet->services[s->same_as >= 0 ? s->same_as : s->of];

                text_copy_cut(step->same_as, sizeof(step->same_as), seen->spec.name);
                text_copy_cut(step->same_as_host, sizeof(step->same_as_host),
                              b->fleet->hosts[seen->host].name);
        }
        plan_estimate_gate(step, builder_fact(b, service), rate, b->steps[service].compact >= 0);
        if (phase == PHASE_LOAD)
                builder_limit_load(b, step, service);
        take_policy(b, step, (int)service);
        return (int)b->plan->step_count - 1;
}

/* --- the way down --------------------------------------------------------------------------------------- */

static int build_checks(struct builder *b)
{
        for (size_t o = 0; o < b->fleet->service_count; o++) {
                size_t needs[NEEDS_ALL_MAX], count = builder_needs(b, b->order[o], needs);

                for (size_t i = 0; i < count && builder_touches(b, b->order[o]); i++) {
                        struct service_steps *steps = &b->steps[needs[i]];

                        if (b->touch[needs[i]] != UNTOUCHED || steps->check >= 0)
                                continue;
                        steps->check = add_gate(b, PHASE_CHECK, needs[i]);
                        if (steps->check < 0)
                                return steps->check;
                        steps->up = steps->check;
                }
        }
        return 0;
}

/* Rewriting needs a server that is up, and is worth it where the AOF is what will be loaded; of tile38, which
 * does not say what a shrink would gain, only where it is much. */
static enum operation_kind compaction_of(const struct builder *b, size_t service)
{
        const struct service_spec *spec = &b->fleet->services[service].spec;
        const struct service_state *state = builder_fact(b, service);

        if (!state || state->phase != PHASE_READY)
                return OPERATION_NONE;
        if (spec->kind == SERVICE_REDIS && state->redis.aof_enabled &&
            (spec->role == REDIS_MASTER ||
             (spec->role == REDIS_ANY_ROLE && text_equal(state->redis.role, "master"))))
                return OPERATION_REDIS_REWRITE;
        if (spec->kind == SERVICE_TILE38 && tile38_worth_shrinking(&state->tile38))
                return OPERATION_TILE38_SHRINK;
        return OPERATION_NONE;
}

static int build_compact(struct builder *b)
{
        for (size_t s = 0; s < b->fleet->service_count; s++) {
                size_t host = b->fleet->services[s].host;
                enum operation_kind kind = builder_touches(b, s) ? compaction_of(b, s) : OPERATION_NONE;
                int r;

                if (kind == OPERATION_NONE)
                        continue;
                b->steps[s].compact = add_operation(b, PHASE_COMPACT, host, (int)s, kind);
                if (b->steps[s].compact < 0)
                        return b->steps[s].compact;
                r = add_after(b, b->last_compact[host]);
                if (r < 0)
                        return r;
                b->last_compact[host] = b->steps[s].compact;
        }
        return 0;
}

/* Once a run: what a later batch brings back is what was there before the first one. */
static int build_save(struct builder *b)
{
        for (size_t s = 0; s < b->fleet->service_count; s++) {
                if (!builder_touches(b, s) || b->fleet->services[s].spec.kind != SERVICE_PM2 || b->saved[s])
                        continue;
                b->saved[s] = 1;
                b->steps[s].save =
                        add_operation(b, PHASE_SAVE, b->fleet->services[s].host, (int)s, OPERATION_PM2_SAVE);
                if (b->steps[s].save < 0)
                        return b->steps[s].save;
        }
        return 0;
}

/* The newest step comes after the stops of all that need the service; where one of them cannot be stopped,
 * of all that need that one. */
static int after_dependants(struct builder *b, size_t service, bool *ret_any)
{
        size_t depth = 0;

        memset(b->seen, 0, b->fleet->service_count);
        b->stack[depth++] = service;
        while (depth > 0) {
                size_t at = b->stack[--depth];

                for (size_t i = b->first[at]; i < b->first[at + 1]; i++) {
                        size_t d = b->dependants[i];
                        int r;

                        if (!builder_touches(b, d) || b->seen[d])
                                continue;
                        b->seen[d] = 1;
                        if (b->steps[d].stop < 0) {
                                b->stack[depth++] = d;
                                continue;
                        }
                        *ret_any = true;
                        r = add_after(b, b->steps[d].stop);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* A service that nothing needs is stopped first of all: only when everything that it stands on has been
 * prepared, on its own host and below it. */
static int after_preparations(struct builder *b, size_t service)
{
        size_t depth = 0;

        memset(b->seen, 0, b->fleet->service_count);
        b->stack[depth++] = service;
        b->seen[service] = 1;
        while (depth > 0) {
                size_t at = b->stack[--depth], needs[NEEDS_ALL_MAX], count = builder_needs(b, at, needs);
                int r = add_after(b, b->steps[at].check);

                if (r >= 0 && builder_touches(b, at))
                        r = add_after(b, b->last_compact[b->fleet->services[at].host]);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < count; i++)
                        if (!b->seen[needs[i]]) {
                                b->seen[needs[i]] = 1;
                                b->stack[depth++] = needs[i];
                        }
        }
        return 0;
}

static int build_stop(struct builder *b)
{
        for (size_t o = b->fleet->service_count; o-- > 0;) {
                size_t s = b->order[o];
                const struct fleet_service *service = &b->fleet->services[s];
                bool is_pm2 = service->spec.kind == SERVICE_PM2, any = false;
                int r;

                if (!builder_touches(b, s) || (!is_pm2 && !service->spec.unit[0]))
                        continue;
                b->steps[s].stop = add_operation(b, PHASE_STOP, service->host, (int)s,
                                                 is_pm2 ? OPERATION_PM2_STOP : OPERATION_UNIT_STOP);
                if (b->steps[s].stop < 0)
                        return b->steps[s].stop;
                r = add_after(b, b->steps[s].save);
                if (r >= 0)
                        r = add_after(b, b->steps[s].compact);
                if (r >= 0)
                        r = after_dependants(b, s, &any);
                if (r >= 0 && !any)
                        r = after_preparations(b, s);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int build_reboot(struct builder *b)
{
        for (size_t h = 0; h < b->fleet->host_count && b->plan->kind == PLAN_REBOOT; h++) {
                int r;

                if (!b->scope->hosts[h] || b->batch_of[h] != b->batch)
                        continue;
                b->reboot[h] = add_operation(b, PHASE_REBOOT, h, -1, OPERATION_HOST_REBOOT);
                if (b->reboot[h] < 0)
                        return b->reboot[h];
                r = add_after(b, b->last_compact[h]);
                for (size_t s = 0; s < b->fleet->service_count && r >= 0; s++) {
                        bool any = false;

                        if (b->fleet->services[s].host != h || !builder_touches(b, s))
                                continue;
                        r = b->steps[s].stop >= 0 ? add_after(b, b->steps[s].stop)
                                                  : after_dependants(b, s, &any);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- the way up ----------------------------------------------------------------------------------------- */

/* The newest step comes after the boot (or stop) of its service and after all that the service needs. */
static int after_needs(struct builder *b, size_t service)
{
        size_t needs[NEEDS_ALL_MAX], count = builder_needs(b, service, needs);
        int r = add_after(b, b->reboot[b->fleet->services[service].host]);

        if (r >= 0)
                r = add_after(b, b->steps[service].stop);
        for (size_t i = 0; i < count && r >= 0; i++)
                r = add_after(b, b->steps[needs[i]].up);
        return r;
}

static int build_up_pm2(struct builder *b, size_t service)
{
        size_t host = b->fleet->services[service].host;
        int restore = add_operation(b, PHASE_RESTORE, host, (int)service, OPERATION_PM2_RESTORE);
        int r = restore < 0 ? restore : after_needs(b, service);

        if (r < 0)
                return r;
        b->steps[service].up = add_operation(b, PHASE_VERIFY, host, (int)service, OPERATION_PM2_VERIFY);
        return b->steps[service].up < 0 ? b->steps[service].up : add_after(b, restore);
}

static int build_up_unit(struct builder *b, size_t service)
{
        const struct fleet_service *s = &b->fleet->services[service];
        enum plan_phase phase = s->spec.kind != SERVICE_UNIT ? PHASE_LOAD
                                : s->spec.probe_port         ? PHASE_DEPEND
                                                             : PHASE_PLATFORM;
        int r = 0;

        if (s->spec.unit[0]) {
                b->steps[service].start =
                        add_operation(b, PHASE_PLATFORM, s->host, (int)service, OPERATION_UNIT_START);
                r = b->steps[service].start < 0 ? b->steps[service].start : after_needs(b, service);
        }
        if (r < 0)
                return r;
        b->steps[service].up = add_gate(b, phase, service);
        if (b->steps[service].up < 0)
                return b->steps[service].up;
        r = add_after(b, b->steps[service].start);
        return r < 0 ? r : after_needs(b, service);
}

/* A replica that stays up while its master is down: the batch ends when it is in sync again. */
static int build_sync(struct builder *b, size_t service)
{
        b->steps[service].up = add_gate(b, PHASE_LOAD, service);
        return b->steps[service].up < 0 ? b->steps[service].up : after_needs(b, service);
}

static int build_up(struct builder *b)
{
        for (size_t o = 0; o < b->fleet->service_count; o++) {
                size_t s = b->order[o];
                int r;

                if (b->touch[s] == UNTOUCHED)
                        continue;
                if (b->touch[s] == SYNCS)
                        r = build_sync(b, s);
                else
                        r = b->fleet->services[s].spec.kind == SERVICE_PM2 ? build_up_pm2(b, s)
                                                                           : build_up_unit(b, s);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- all of it ------------------------------------------------------------------------------------------ */

static int builder_init(struct builder *b, enum plan_kind kind, const char *scope_text)
{
        size_t services = b->fleet->service_count, hosts = b->fleet->host_count;

        b->plan = calloc(1, sizeof(*b->plan));
        b->steps = calloc(services + 1, sizeof(*b->steps));
        b->touch = calloc(services + 1, 1);
        b->touches = calloc(services + 1, sizeof(*b->touches));
        b->saved = calloc(services + 1, 1);
        b->batch_of = calloc(hosts + 1, sizeof(*b->batch_of));
        b->reboot = calloc(hosts + 1, sizeof(*b->reboot));
        b->last_compact = calloc(hosts + 1, sizeof(*b->last_compact));
        b->order = calloc(services + 1, sizeof(*b->order));
        b->seen = calloc(services + 1, 1);
        b->stack = calloc(services + 1, sizeof(*b->stack));
        if (!b->seen || !b->stack || !b->plan || !b->steps || !b->reboot || !b->last_compact || !b->order ||
            !b->touch || !b->touches || !b->saved || !b->batch_of)
                return -ENOMEM;
        b->plan->kind = kind;
        text_copy_cut(b->plan->fleet, sizeof(b->plan->fleet), b->fleet->name);
        text_copy_cut(b->plan->scope, sizeof(b->plan->scope), scope_text);
        return 0;
}

static int build_batches(struct builder *b)
{
        static int (*const parts[])(struct builder *) = {
                builder_next_batch, build_checks, build_compact, build_save,
                build_stop,         build_reboot, build_up,
        };
        int r = 0;

        while (b->batch < b->plan->batch_count && r >= 0)
                for (size_t i = 0; i < ELEMENTS(parts) && r >= 0; i++)
                        r = parts[i](b);
        return r;
}

int plan_build(struct plan **ret, enum plan_kind kind, const struct fleet *fleet, const struct scope *scope,
               const char *scope_text, const struct plan_options *options, const struct plan_facts *facts,
               struct error *error)
{
        static int (*const parts[])(struct builder *) = {
                builder_sort,  builder_check_facts,  builder_find_disks,      builder_divide,
                build_batches, builder_add_warnings, builder_warn_of_batches, builder_warn_of_loads,
        };
        static const struct plan_options all_at_once;
        cleanup_with(builder_clear) struct builder b = {
                .fleet = fleet,
                .scope = scope,
                .options = options ? options : &all_at_once,
                .facts = facts,
                .error = error,
        };
        struct step *fitted;
        int r = builder_init(&b, kind, scope_text);

        for (size_t i = 0; i < ELEMENTS(parts) && r >= 0; i++)
                r = parts[i](&b);
        if (r < 0)
                return r;
        b.plan->finish_by_us = b.options->finish_by_us;
        b.plan->error_budget = rollout_budget_size(&b.options->rollout, b.plan->step_count);
        r = plan_check(b.plan, error);
        if (r < 0)
                return r;
        fitted = reallocarray(b.plan->steps, b.plan->step_count, sizeof(*fitted));
        if (fitted)
                b.plan->steps = fitted;
        *ret = TAKE(b.plan);
        return 0;
}
