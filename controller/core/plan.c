/* Plans as values: making room, checking, forecasting. See plan.h; plan_build.c makes them. */
#include "controller/core/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/forecast.h"
#include "controller/core/plan_internal.h"

static const char *const phase_names[] = {"check",    "compact", "save",   "stop",    "reboot",
                                          "platform", "load",    "depend", "restore", "verify"};

const char *plan_kind_name(enum plan_kind kind)
{
        return kind == PLAN_REBOOT ? "reboot" : kind == PLAN_RESTART ? "restart" : "unknown";
}

const char *plan_phase_name(enum plan_phase phase)
{
        return (unsigned)phase < ELEMENTS(phase_names) ? phase_names[phase] : "unknown";
}

int plan_phase_parse(const char *word)
{
        for (unsigned i = 0; i < ELEMENTS(phase_names); i++)
                if (text_equal(word, phase_names[i]))
                        return (int)i;
        return -1;
}

struct plan *plan_free(struct plan *plan)
{
        if (!plan)
                return NULL;
        for (size_t i = 0; i < plan->step_count; i++)
                free(plan->steps[i].after);
        free(plan->steps);
        free(plan->warnings);
        free(plan->batches);
        free(plan);
        return NULL;
}

int plan_add_warning(struct plan *plan, const char *text)
{
        char(*grown)[TEXT_SIZE] = reallocarray(plan->warnings, plan->warning_count + 1, TEXT_SIZE);

        if (!grown)
                return -ENOMEM;
        plan->warnings = grown;
        text_copy_cut(plan->warnings[plan->warning_count++], TEXT_SIZE, text);
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        const struct step *const *left = a, *const *right = b;

        return strcmp((*left)->name, (*right)->name);
}

static int check_names(const struct plan *plan, struct error *error)
{
        cleanup_free const struct step **sorted = reallocarray(NULL, plan->step_count, sizeof(*sorted));

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < plan->step_count; i++)
                sorted[i] = &plan->steps[i];
        qsort(sorted, plan->step_count, sizeof(*sorted), compare_names);
        for (size_t i = 0; i + 1 < plan->step_count; i++)
                if (text_equal(sorted[i]->name, sorted[i + 1]->name))
                        return error_set(error, -EINVAL, "the plan has two steps named '%s'",
                                         sorted[i]->name);
        return 0;
}

static int check_step(const struct plan *plan, size_t index, struct error *error)
{
        const struct step *step = &plan->steps[index];
        const struct operation_type *type = operation_type(step->operation);

        if (!step->name[0] || !text_is_name(step->host))
                return error_set(error, -EINVAL, "step %zu of the plan has no sound name and host", index);
        if (step->batch < (index ? plan->steps[index - 1].batch : 1) || step->batch > plan->batch_count)
                return error_set(error, -EINVAL, "step '%s' is in batch %u, which is out of order",
                                 step->name, step->batch);
        for (size_t i = 0; i < step->after_count; i++)
                if (step->after[i] >= index || plan->steps[step->after[i]].batch != step->batch)
                        return error_set(error, -EINVAL,
                                         "step '%s' comes after step %u, which is not before it in its batch",
                                         step->name, step->after[i]);
        if (!plan_phase_is_known(step->phase) || step->deadline_us == 0 || step->low_us > step->high_us ||
            !(step->at_least >= 0 && step->at_least <= 1) || (unsigned)step->on_failure > ON_FAILURE_ABORT)
                return error_set(error, -EINVAL, "step '%s' has a figure that cannot be", step->name);
        if (step->soft && step->operation != OPERATION_HOST_REBOOT)
                return error_set(error, -EINVAL, "step '%s' cannot be soft", step->name);
        if (step->disk && step->operation != OPERATION_UNIT_START && step->kind != STEP_GATE)
                return error_set(error, -EINVAL, "step '%s' begins no load", step->name);
        if (step->service.kind != SERVICE_NONE && service_spec_check(&step->service) < 0)
                return error_set(error, -EINVAL, "the service of step '%s' is not sound", step->name);
        if (step->same_as[0] && (!text_is_name(step->same_as) || !text_is_name(step->same_as_host)))
                return error_set(error, -EINVAL, "step '%s' is compared with something unnamed", step->name);
        if (step->kind == STEP_GATE)
                return step->operation == OPERATION_NONE && step->service.kind != SERVICE_NONE
                               ? 0
                               : error_set(error, -EINVAL, "step '%s' is no sound gate", step->name);
        if (step->kind != STEP_OPERATION || !type)
                return error_set(error, -EINVAL, "step '%s' is neither an operation nor a gate", step->name);
        if (type->service_kinds ? !(type->service_kinds & (1u << step->service.kind))
                                : step->service.kind != SERVICE_NONE)
                return error_set(error, -EINVAL, "step '%s': %s cannot be done to a service of kind %s",
                                 step->name, type->name, service_kind_name(step->service.kind));
        return 0;
}

bool plan_phase_is_known(enum plan_phase phase)
{
        return (unsigned)phase < ELEMENTS(phase_names);
}

int plan_check(const struct plan *plan, struct error *error)
{
        if (plan->kind != PLAN_REBOOT && plan->kind != PLAN_RESTART)
                return error_set(error, -EINVAL, "the plan is of no known kind");
        if (plan->step_count == 0)
                return error_set(error, -EINVAL, "the plan has no steps");
        for (size_t i = 0; i < plan->step_count; i++) {
                int r = check_step(plan, i, error);

                if (r < 0)
                        return r;
        }
        return check_names(plan, error);
}

void plan_policy_text(const struct step *step, char *out, size_t size)
{
        const struct operation_type *type = operation_type(step->operation);
        uint32_t usual = type ? type->retries : 0;
        char span[64], line[TEXT_SIZE] = "";
        size_t used = 0;

        out[0] = '\0';
        time_duration_text(span, sizeof(span), step->backoff_us);
        if (step->retries != usual)
                used += (size_t)snprintf(line, sizeof(line), "%u tr%s", step->retries + 1,
                                         step->retries ? "ies" : "y");
        if (step->retries > 0 && step->backoff_us != BACKOFF_USUAL_US)
                used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s apart or more",
                                         used ? ", " : "", span);
        time_duration_text(span, sizeof(span), step->deadline_us);
        if (step->deadline_said)
                used += (size_t)snprintf(line + used, sizeof(line) - used, "%sdeadline %s", used ? ", " : "",
                                         span);
        if (step->on_failure != ON_FAILURE_PAUSE)
                snprintf(line + used, sizeof(line) - used, "%s%s", used ? ", then " : "",
                         failure_policy_name(step->on_failure));
        text_copy_cut(out, size, line);
}

void plan_forecast(const struct plan *plan, uint64_t *ret_low_us, uint64_t *ret_high_us)
{
        cleanup_free struct step_span *spans = calloc(plan->step_count + 1, sizeof(*spans));

        *ret_low_us = *ret_high_us = 0;
        for (size_t i = 0; spans && i < plan->step_count; i++)
                spans[i] = (struct step_span){plan->steps[i].low_us, plan->steps[i].high_us, false};
        if (spans)
                (void)forecast_span(plan, spans, ret_low_us, ret_high_us);
}

int plan_hosts(const struct plan *plan, const char ***ret, size_t *ret_count)
{
        cleanup_free const char **hosts = reallocarray(NULL, plan->step_count + 1, sizeof(*hosts));
        size_t count = 0;

        if (!hosts)
                return -ENOMEM;
        for (size_t i = 0; i < plan->step_count; i++) {
                bool known = plan->steps[i].kind != STEP_OPERATION;

                for (size_t j = 0; j < count && !known; j++)
                        known = text_equal(hosts[j], plan->steps[i].host);
                if (!known)
                        hosts[count++] = plan->steps[i].host;
        }
        *ret = TAKE(hosts);
        *ret_count = count;
        return 0;
}

void role_text(char out[ROLE_SIZE], const struct service_state *state)
{
        const struct redis_state *redis = state && state->kind == SERVICE_REDIS ? &state->redis : NULL;

        out[0] = '\0';
        if (redis && text_equal(redis->role, "slave"))
                snprintf(out, ROLE_SIZE, "replica%s%s", redis->master_address[0] ? " of " : "",
                         redis->master_address);
        else if (redis)
                text_copy_cut(out, ROLE_SIZE, redis->role);
}
