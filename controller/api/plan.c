/* Plan and Start. The plan that was shown is the plan that runs: Plan gives out a digest, Start builds the
 * plan anew and goes on only if it is still the same in all that matters. For both, all hosts in scope look
 * anew first: what was done a moment ago counts. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/api/look.h"
#include "controller/core/run.h"

#define DIGEST_SIZE crypto_hash_sha256_BYTES

static void plan_freep(struct plan **plan)
{
        plan_free(*plan);
}

/* --- the digest --- */

static void hash_text(crypto_hash_sha256_state *state, const char *text)
{
        crypto_hash_sha256_update(state, (const unsigned char *)text, strlen(text) + 1);
}

static void hash_number(crypto_hash_sha256_state *state, uint64_t number)
{
        uint8_t bytes[8];

        for (int i = 0; i < 8; i++)
                bytes[i] = (uint8_t)(number >> (8 * i));
        crypto_hash_sha256_update(state, bytes, sizeof(bytes));
}

/* What a person agreed to: what is done where, in which order, and what happens when it fails. Estimates,
 * what rests on them (deadlines) and warnings move with every second and are left out. */
static void plan_digest(const struct plan *plan, uint8_t ret[DIGEST_SIZE])
{
        crypto_hash_sha256_state state;

        crypto_hash_sha256_init(&state);
        hash_number(&state, (uint64_t)plan->kind);
        hash_text(&state, plan->fleet);
        hash_text(&state, plan->scope);
        hash_number(&state, plan->error_budget);
        hash_number(&state, plan->finish_by_us);
        hash_number(&state, plan->step_count);
        for (size_t i = 0; i < plan->step_count; i++) {
                const struct step *step = &plan->steps[i];

                hash_text(&state, step->name);
                hash_number(&state, step->batch);
                hash_number(&state, (uint64_t)step->phase);
                hash_number(&state, (uint64_t)step->kind);
                hash_text(&state, step->host);
                hash_text(&state, step->service.name);
                hash_text(&state, step->service.unit);
                hash_text(&state, step->service.home);
                hash_number(&state, (uint64_t)step->operation);
                hash_number(&state, step->after_count);
                for (size_t k = 0; k < step->after_count; k++)
                        hash_number(&state, step->after[k]);
                hash_number(&state, step->retries);
                hash_number(&state, step->backoff_us);
                hash_number(&state, (uint64_t)step->on_failure);
                hash_number(&state, (uint64_t)(step->at_least * 1e6));
                hash_number(&state, step->loads_most);
        }
        crypto_hash_sha256_final(&state, ret);
}

/* --- what blocks --- */

#define BLOCKERS_SHOWN 8u

struct blockers {
        char lines[BLOCKERS_SHOWN][TEXT_SIZE * 2]; /* the first ones, for people */
        size_t count;
};

/* Whether a finding is in the way of this kind of plan: units that do not start at boot, and who holds a
 * shutdown back, only matter to a boot. */
static bool is_blocker(const struct finding *finding, enum plan_kind kind)
{
        if (finding->severity != SEVERITY_BLOCKS)
                return false;
        return kind == PLAN_REBOOT ||
               (!text_equal(finding->id, "autostart") && !text_equal(finding->id, "agent-autostart") &&
                !text_equal(finding->id, "boot-constant") && !text_equal(finding->id, "inhibitors"));
}

/* 0 or a negative errno. */
static int find_blockers(const struct api_context *context, const struct scope *scope, enum plan_kind kind,
                         struct blockers *ret)
{
        cleanup_free struct finding *findings = NULL;
        size_t count = 0;
        int r = api_check_run(context, scope, NULL, NULL, &findings, &count);

        for (size_t i = 0; i < count && r == 0; i++) {
                const struct finding *finding = &findings[i];

                if (!is_blocker(finding, kind))
                        continue;
                if (ret->count < BLOCKERS_SHOWN)
                        snprintf(ret->lines[ret->count], sizeof(ret->lines[0]), "blocks: %s%s%s %s: %s",
                                 finding->host, finding->service[0] ? "/" : "", finding->service, finding->id,
                                 finding->evidence);
                ret->count++;
        }
        return r;
}

/* False: the call has been ended. */
static bool nothing_blocks(const struct api_context *context, rpc_call *call, const struct scope *scope,
                           enum plan_kind kind)
{
        struct blockers blockers = {0};
        int r = find_blockers(context, scope, kind, &blockers);

        if (r < 0) {
                api_fail(call, "the checks cannot be run", r);
                return false;
        }
        if (blockers.count == 0)
                return true;
        rpc_call_end(call, RPC_FAILED_PRECONDITION,
                     "%zu findings block this %s, the first: %s; see 'muster check', repair with 'muster "
                     "check --fix', "
                     "or go on in spite of them with --force",
                     blockers.count, plan_kind_name(kind), blockers.lines[0] + strlen("blocks: "));
        return false;
}

/* What is in the way of being finished in time: the upper end of the forecast from now on. */
static bool is_in_time(const struct plan *plan, char *why, size_t size)
{
        uint64_t now_us = time_realtime_us(), low_us, high_us;
        char by[TIME_TEXT_SIZE], end[TIME_TEXT_SIZE];

        plan_forecast(plan, &low_us, &high_us);
        if (!plan->finish_by_us || now_us + high_us <= plan->finish_by_us)
                return true;
        time_text(by, plan->finish_by_us);
        time_text(end, now_us + high_us);
        snprintf(why, size, "begun now it may last until %s, and it is to be finished by %s", end, by);
        return false;
}

/* --- building --- */

/* All hosts that have to be there and are not: one text names them all. */
static bool all_connected(const struct api_context *context, rpc_call *call, const struct scope *scope)
{
        char names[512] = "";
        size_t used = 0, count = 0;

        for (size_t i = 0; i < context->fleet->host_count; i++) {
                struct agent_view view;

                agents_view(context->agents, i, &view);
                if (!scope->hosts[i] || view.connected)
                        continue;
                if (used < sizeof(names))
                        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                                 count ? ", " : "", view.name);
                count++;
        }
        if (count == 0)
                return true;
        rpc_call_end(
                call, RPC_UNAVAILABLE,
                "no plan without all of its hosts; not connected: %s (start muster-agent there, join it with "
                "'muster host invite', or leave it out with '!NAME')",
                names);
        return false;
}

/* Ends the call for a plan that cannot be made. A run that is at work on a host is likely why. */
static void refuse(const struct api_context *context, rpc_call *call, const struct scope *scope, int code,
                   const struct error *error)
{
        struct error held = {0};

        for (size_t i = 0; i < context->fleet->host_count; i++)
                if (scope->hosts[i] &&
                    runner_host_free(context->runner, context->fleet->hosts[i].name, &held) == -EBUSY) {
                        rpc_call_end(call, RPC_FAILED_PRECONDITION, "%s; meanwhile: %s", held.text,
                                     error_text(error, code));
                        return;
                }
        rpc_call_end(call, code == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_FAILED_PRECONDITION, "%s",
                     error_text(error, code));
}

/* What the fleet file says of this kind of plan, but for what the request says otherwise. False: the call has
 * been ended. */
static bool read_options(const struct api_context *context, rpc_call *call, unsigned kind,
                         const Muster__V1__PlanOptions *asked, struct plan_options *ret)
{
        *ret = (struct plan_options){
                .rollout = kind == PLAN_REBOOT ? context->fleet->reboot : context->fleet->restart,
        };
        if (asked && asked->batch[0] && rollout_batch_parse(&ret->rollout, asked->batch) < 0) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "the batch '%s' is not %s", asked->batch,
                             ROLLOUT_BATCH_EXPECTED);
                return false;
        }
        if (asked && asked->canary[0] && rollout_canary_parse(&ret->rollout, asked->canary) < 0) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "the canary '%s' is not %s", asked->canary,
                             ROLLOUT_CANARY_EXPECTED);
                return false;
        }
        ret->canary_asked = asked && asked->canary[0];
        ret->finish_by_us = asked ? asked->finish_by_us : 0;
        ret->soft = asked && asked->soft;
        return true;
}

/* NULL: the call has been ended. */
static struct plan *build(const struct api_context *context, rpc_call *call, unsigned kind,
                          const struct scope *scope, const char *text, const Muster__V1__PlanOptions *asked)
{
        struct plan_options options;
        struct api_facts facts = {0};
        struct error error = {0};
        struct plan *plan = NULL;
        int r;

        if (kind != PLAN_REBOOT && kind != PLAN_RESTART) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "a plan is of a reboot or of a restart");
                return NULL;
        }
        if (!read_options(context, call, kind, asked, &options) || !all_connected(context, call, scope))
                return NULL;
        /* A reboot takes all of a host down: one that is only there through a service was not asked for. */
        r = kind == PLAN_REBOOT ? scope_check_whole_hosts(scope, context->fleet, &error) : 0;
        if (r < 0) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT, "%s", error_text(&error, r));
                return NULL;
        }
        r = api_facts_get(context, &facts);
        if (r < 0) {
                api_fail(call, "what is known of the fleet cannot be read", r);
                return NULL;
        }
        r = plan_build(&plan, (enum plan_kind)kind, context->fleet, scope, text, &options, &facts.facts,
                       &error);
        api_facts_clear(&facts);
        if (r < 0) {
                refuse(context, call, scope, r, &error);
                return NULL;
        }
        return plan;
}

static Muster__V1__PlanStep *step_message(struct wire_arena *arena, const struct step *step, size_t index)
{
        Muster__V1__PlanStep *message = wire_alloc(arena, sizeof(*message));
        char policy[TEXT_SIZE];

        if (!message)
                return NULL;
        muster__v1__plan_step__init(message);
        plan_policy_text(step, policy, sizeof(policy));
        message->policy = wire_text(arena, policy);
        message->index = (uint32_t)index;
        message->name = wire_text(arena, step->name);
        message->phase = wire_text(arena, plan_phase_name(step->phase));
        message->host = wire_text(arena, step->host);
        message->service = wire_text(arena, step->service.name);
        message->batch = step->batch;
        message->estimate_low_ms = step->low_us / 1000;
        message->estimate_high_ms = step->high_us / 1000;
        message->estimate_basis = wire_text(arena, step->basis);
        message->after = wire_alloc(arena, (step->after_count + 1) * sizeof(*message->after));
        if (!message->after)
                return NULL;
        for (size_t i = 0; i < step->after_count; i++)
                message->after[message->n_after++] = step->after[i];
        return message;
}

/* A plan may be looked at while another run is at it; it could not be started then. */
static int find_holders(const struct api_context *context, const struct plan *plan, struct blockers *ret)
{
        cleanup_free const char **hosts = NULL;
        size_t count = 0;
        int r = plan_hosts(plan, &hosts, &count);

        for (size_t i = 0; i < count && r == 0; i++) {
                struct error held = {0};

                r = runner_host_free(context->runner, hosts[i], &held);
                if (r != -EBUSY)
                        continue;
                if (ret->count < BLOCKERS_SHOWN)
                        snprintf(ret->lines[ret->count], sizeof(ret->lines[0]), "blocks: %.480s", held.text);
                ret->count++;
                r = 0;
        }
        return r;
}

static Muster__V1__PlanReply *plan_message(struct wire_arena *arena, const struct plan *plan,
                                           const struct blockers *blockers)
{
        Muster__V1__PlanReply *message = wire_alloc(arena, sizeof(*message));
        uint64_t low, high;

        if (!message)
                return NULL;
        muster__v1__plan_reply__init(message);
        plan_forecast(plan, &low, &high);
        message->kind = (Muster__V1__PlanKind)plan->kind;
        message->estimate_low_ms = low / 1000;
        message->estimate_high_ms = high / 1000;
        message->steps = wire_alloc(arena, (plan->step_count + 1) * sizeof(*message->steps));
        message->warnings =
                wire_alloc(arena, (BLOCKERS_SHOWN + plan->warning_count) * sizeof(*message->warnings));
        message->digest.data = wire_alloc(arena, DIGEST_SIZE);
        message->batches = wire_alloc(arena, (plan->batch_count + 1) * sizeof(*message->batches));
        if (!message->steps || !message->warnings || !message->digest.data || !message->batches)
                return NULL;
        message->canary = plan->canary;
        message->error_budget = plan->error_budget;
        message->finish_by_us = plan->finish_by_us;
        for (size_t i = 0; i < plan->batch_count; i++)
                message->batches[message->n_batches++] = wire_text(arena, plan->batches[i]);
        message->digest.len = DIGEST_SIZE;
        plan_digest(plan, message->digest.data);
        for (size_t i = 0; i < plan->step_count; i++) {
                message->steps[i] = step_message(arena, &plan->steps[i], i);
                if (!message->steps[i])
                        return NULL;
                message->n_steps++;
        }
        for (size_t i = 0; i < blockers->count && i < BLOCKERS_SHOWN; i++)
                message->warnings[message->n_warnings++] = wire_text(arena, blockers->lines[i]);
        for (size_t i = 0; i < plan->warning_count; i++)
                message->warnings[message->n_warnings++] = wire_text(arena, plan->warnings[i]);
        return message;
}

/* --- the two calls --- */

/* The names of those who did not look in time: they are planned by what was known of them. */
static void name_late(const struct api_context *context, const bool *late, char *ret, size_t size)
{
        size_t used = 0;

        ret[0] = '\0';
        for (size_t i = 0; i < context->fleet->host_count && used < size; i++)
                if (late[i])
                        used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? ", " : "",
                                                 context->fleet->hosts[i].name);
}

static void answer_plan(struct api_looked *looked)
{
        const Muster__V1__PlanRequest *wanted = (const Muster__V1__PlanRequest *)looked->request;
        const struct api_context *context = looked->context;
        rpc_call *call = looked->call;
        cleanup_with(plan_freep) struct plan *plan =
                build(context, call, (unsigned)wanted->kind, &looked->scope, wanted->scope, wanted->options);
        struct blockers blockers = {0};
        struct wire_arena arena = {0};
        Muster__V1__PlanReply *message;
        char why[TEXT_SIZE], names[TEXT_SIZE];
        int r;

        if (!plan)
                return;
        name_late(context, looked->late, names, sizeof(names));
        if (names[0])
                snprintf(blockers.lines[blockers.count++], sizeof(blockers.lines[0]),
                         "%s did not look anew in time: the plan rests on what was said last", names);
        if (!is_in_time(plan, why, sizeof(why)))
                snprintf(blockers.lines[blockers.count++], sizeof(blockers.lines[0]), "blocks: %s", why);
        r = find_holders(context, plan, &blockers);
        if (r == 0)
                r = find_blockers(context, &looked->scope, plan->kind, &blockers);
        if (r < 0) {
                api_fail(call, "the checks cannot be run", r);
                return;
        }
        message = plan_message(&arena, plan, &blockers);
        api_reply(call, &arena, message ? &message->base : NULL);
}

void api_plan(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        static const struct api_looking how = {.failure = "no plan can be made", .go_on = answer_plan};

        api_look_first(userdata, call, request, ((const Muster__V1__PlanRequest *)request)->scope, &how);
}

static void answer_start(struct api_looked *looked)
{
        const Muster__V1__StartRequest *wanted = (const Muster__V1__StartRequest *)looked->request;
        const struct api_context *context = looked->context;
        rpc_call *call = looked->call;
        const char *user = rpc_peer_name(rpc_call_peer(call));
        Muster__V1__StartReply reply = MUSTER__V1__START_REPLY__INIT;
        cleanup_with(plan_freep) struct plan *plan = NULL;
        uint8_t digest[DIGEST_SIZE];
        char run[NAME_SIZE], why[TEXT_SIZE], names[TEXT_SIZE];
        struct error error = {0};
        const char *kind;
        int r;

        plan = build(context, call, (unsigned)wanted->kind, &looked->scope, wanted->scope, wanted->options);
        if (!plan)
                return;
        kind = plan_kind_name(plan->kind);
        plan_digest(plan, digest);
        if (wanted->digest.len != DIGEST_SIZE || memcmp(wanted->digest.data, digest, DIGEST_SIZE) != 0) {
                rpc_call_end(call, RPC_FAILED_PRECONDITION,
                             "the fleet changed since the plan was shown; look at the plan again");
                return;
        }
        if (!is_in_time(plan, why, sizeof(why))) {
                rpc_call_end(call, RPC_FAILED_PRECONDITION,
                             "%s; make the scope smaller, or give it more time with --finish-by", why);
                return;
        }
        if (!wanted->force && !nothing_blocks(context, call, &looked->scope, plan->kind))
                return;
        r = runner_start(context->runner, &plan, user, run, &error);
        if (r < 0) {
                rpc_call_end(call, r == -EBUSY ? RPC_FAILED_PRECONDITION : RPC_INTERNAL, "%s",
                             error_text(&error, r));
                return;
        }
        log_info("run %s: %s of %s, started by %s", run, kind, api_scope_name(wanted->scope), user);
        name_late(context, looked->late, names, sizeof(names));
        if (!api_record(context, call, "start", "run %s: %s of %s%s%s%s", run, kind,
                        api_scope_name(wanted->scope), wanted->force ? ", forced" : "",
                        names[0] ? ", not looked at anew: " : "", names))
                return;
        reply.run = run;
        rpc_call_reply(call, &reply.base);
}

void api_start_run(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        static const struct api_looking how = {.failure = "no plan can be made", .go_on = answer_start};

        api_look_first(userdata, call, request, ((const Muster__V1__StartRequest *)request)->scope, &how);
}
