/* Plans as JSON: how a run keeps its plan in the store. Reading trusts nothing: a plan that was read has
 * passed plan_check. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/core/json.h"
#include "controller/core/load_eta.h"
#include "controller/core/plan_internal.h"

static json_t *service_to_json(const struct service_spec *spec, int *result)
{
        json_t *object = json_object();

        if (!object)
                *result = -ENOMEM;
        json_put_text(object, "name", spec->name, result);
        json_put_text(object, "kind", service_kind_name(spec->kind), result);
        json_put_text(object, "unit", spec->unit, result);
        json_put_text(object, "address", spec->address, result);
        json_put_number(object, "port", spec->port, result);
        json_put_text(object, "socket", spec->socket, result);
        json_put_number(object, "role", (uint64_t)spec->role, result);
        json_put_text(object, "user", spec->user, result);
        json_put_text(object, "home", spec->home, result);
        json_put_number(object, "probe_port", spec->probe_port, result);
        json_put_text(object, "probe_address", spec->probe_address, result);
        json_put_text(object, "probe_run_id", spec->probe_run_id, result);
        return object;
}

static json_t *after_to_json(const struct step *step, int *result)
{
        json_t *array = json_array();

        if (!array)
                *result = -ENOMEM;
        for (size_t i = 0; i < step->after_count && *result >= 0; i++)
                if (json_array_append_new(array, json_integer(step->after[i])) < 0)
                        *result = -ENOMEM;
        return array;
}

static json_t *rate_to_json(const struct plan_rate *rate, int *result)
{
        json_t *object = json_object(), *course = json_array();

        for (size_t i = 0; i < LOAD_COURSE; i++)
                if (json_array_append_new(course, json_real(rate->course[i])) < 0)
                        *result = -ENOMEM;
        json_put(object, "base", json_real(rate->base_bytes_per_s), result);
        json_put(object, "incremental", json_real(rate->incremental_bytes_per_s), result);
        json_put_number(object, "loads", rate->loads, result);
        json_put(object, "course", course, result);
        return object;
}

static json_t *step_to_json(const struct step *step, int *result)
{
        const struct operation_type *type = operation_type(step->operation);
        json_t *object = json_object();

        if (!object)
                *result = -ENOMEM;
        json_put_text(object, "name", step->name, result);
        json_put_number(object, "batch", step->batch, result);
        json_put_text(object, "phase", plan_phase_name(step->phase), result);
        json_put_text(object, "host", step->host, result);
        if (step->service.kind != SERVICE_NONE)
                json_put(object, "service", service_to_json(&step->service, result), result);
        if (step->kind == STEP_OPERATION && type)
                json_put_text(object, "operation", type->name, result);
        if (step->soft)
                json_put_bool(object, "soft", true, result);
        json_put(object, "after", after_to_json(step, result), result);
        json_put_number(object, "deadline_us", step->deadline_us, result);
        json_put_number(object, "hold_us", step->hold_us, result);
        json_put_number(object, "retries", step->retries, result);
        json_put_number(object, "backoff_us", step->backoff_us, result);
        json_put_text(object, "on_failure", failure_policy_name(step->on_failure), result);
        json_put(object, "at_least", json_real(step->at_least), result);
        json_put_text(object, "same_as", step->same_as, result);
        json_put_text(object, "same_as_host", step->same_as_host, result);
        json_put_number(object, "max_lag", step->max_lag, result);
        json_put_text(object, "role_before", step->role_before, result);
        json_put_number(object, "low_us", step->low_us, result);
        json_put_number(object, "high_us", step->high_us, result);
        json_put_text(object, "basis", step->basis, result);
        json_put_number(object, "disk", step->disk, result);
        json_put_number(object, "loads_most", step->loads_most, result);
        if (step->rate.loads)
                json_put(object, "rate", rate_to_json(&step->rate, result), result);
        return object;
}

static json_t *texts_to_json(char (*texts)[TEXT_SIZE], size_t count, int *result)
{
        json_t *array = json_array();

        for (size_t i = 0; i < count && *result >= 0; i++)
                if (json_array_append_new(array, json_string(texts[i])) < 0)
                        *result = -ENOMEM;
        return array;
}

int plan_to_json(const struct plan *plan, char **ret)
{
        cleanup_json json_t *object = json_object();
        json_t *steps = json_array();
        int r = object ? 0 : -ENOMEM;
        char *text;

        for (size_t i = 0; i < plan->step_count && r >= 0; i++)
                if (json_array_append_new(steps, step_to_json(&plan->steps[i], &r)) < 0)
                        r = -ENOMEM;
        json_put(object, "kind", json_string(plan_kind_name(plan->kind)), &r);
        json_put_text(object, "fleet", plan->fleet, &r);
        json_put_text(object, "scope", plan->scope, &r);
        json_put(object, "steps", steps, &r);
        json_put(object, "batches", texts_to_json(plan->batches, plan->batch_count, &r), &r);
        json_put_bool(object, "canary", plan->canary, &r);
        if (plan->finish_by_us)
                json_put_number(object, "finish_by_us", plan->finish_by_us, &r);
        if (plan->error_budget != UINT32_MAX)
                json_put(object, "error_budget", json_integer(plan->error_budget), &r);
        json_put(object, "warnings", texts_to_json(plan->warnings, plan->warning_count, &r), &r);
        if (r < 0)
                return r;
        text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17));
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

/* A number with an upper end. */
static uint64_t take_bounded(struct json_reader *reader, const char *key, uint64_t limit)
{
        uint64_t value = 0;

        json_take_number(reader, key, &value);
        if (value > limit && reader->result >= 0)
                reader->result =
                        error_set(reader->error, -EINVAL, "%s: '%s' is too large", reader->what, key);
        return value > limit ? 0 : value;
}

static int service_from_json(struct service_spec *spec, json_t *object, const char *what, struct error *error)
{
        struct json_reader reader = json_reader_begin(object, what, error);
        char kind[NAME_SIZE] = "";

        json_take_text(&reader, "name", spec->name, sizeof(spec->name));
        json_take_text(&reader, "kind", kind, sizeof(kind));
        json_take_text(&reader, "unit", spec->unit, sizeof(spec->unit));
        json_take_text(&reader, "address", spec->address, sizeof(spec->address));
        spec->port = (uint16_t)take_bounded(&reader, "port", UINT16_MAX);
        json_take_text(&reader, "socket", spec->socket, sizeof(spec->socket));
        spec->role = (enum redis_role)take_bounded(&reader, "role", REDIS_REPLICA);
        json_take_text(&reader, "user", spec->user, sizeof(spec->user));
        json_take_text(&reader, "home", spec->home, sizeof(spec->home));
        spec->probe_port = (uint16_t)take_bounded(&reader, "probe_port", UINT16_MAX);
        json_take_text(&reader, "probe_address", spec->probe_address, sizeof(spec->probe_address));
        json_take_text(&reader, "probe_run_id", spec->probe_run_id, sizeof(spec->probe_run_id));
        spec->kind = service_kind_parse(kind);
        return json_reader_end(&reader);
}

static int rate_from_json(struct plan_rate *rate, json_t *object, const char *what, struct error *error)
{
        struct json_reader reader = json_reader_begin(object, what, error);
        json_t *course;
        int r;

        json_take_real(&reader, "base", &rate->base_bytes_per_s);
        json_take_real(&reader, "incremental", &rate->incremental_bytes_per_s);
        rate->loads = (unsigned)take_bounded(&reader, "loads", UINT32_MAX);
        course = json_take(&reader, "course", JSON_ARRAY);
        r = json_reader_end(&reader);
        for (size_t i = 0; i < LOAD_COURSE && r >= 0; i++)
                rate->course[i] = json_real_value(json_array_get(course, i));
        return r >= 0 && !load_rate_is_sound(rate)
                       ? error_set(error, -EINVAL, "%s: 'rate' holds what no load could teach", what)
                       : r;
}

static int after_from_json(struct step *step, json_t *array, const char *what, struct error *error)
{
        size_t count = json_array_size(array);

        step->after = count ? reallocarray(NULL, count, sizeof(*step->after)) : NULL;
        if (count && !step->after)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                json_t *value = json_array_get(array, i);

                if (!json_is_integer(value) || json_integer_value(value) < 0 ||
                    json_integer_value(value) > PLAN_STEPS_MAX)
                        return error_set(error, -EINVAL, "%s: 'after' holds something that is no step", what);
                step->after[step->after_count++] = (unsigned)json_integer_value(value);
        }
        return 0;
}

static int policy_from_name(enum failure_policy *ret, const char *name)
{
        for (int policy = ON_FAILURE_PAUSE; policy <= ON_FAILURE_ABORT; policy++)
                if (text_equal(name, failure_policy_name((enum failure_policy)policy))) {
                        *ret = (enum failure_policy)policy;
                        return 0;
                }
        return -EINVAL;
}

static int step_from_json(struct step *step, json_t *object, const char *what, struct error *error)
{
        struct json_reader reader = json_reader_begin(object, what, error);
        char phase[NAME_SIZE] = "", operation[NAME_SIZE] = "", policy[NAME_SIZE] = "";
        const struct operation_type *type;
        json_t *service, *after, *rate;
        int r;

        json_take_text(&reader, "name", step->name, sizeof(step->name));
        step->batch = (unsigned)take_bounded(&reader, "batch", FLEET_HOSTS_MAX);
        json_take_text(&reader, "phase", phase, sizeof(phase));
        json_take_text(&reader, "host", step->host, sizeof(step->host));
        service = json_take(&reader, "service", JSON_OBJECT);
        json_take_text(&reader, "operation", operation, sizeof(operation));
        json_take_bool(&reader, "soft", &step->soft);
        after = json_take(&reader, "after", JSON_ARRAY);
        json_take_number(&reader, "deadline_us", &step->deadline_us);
        json_take_number(&reader, "hold_us", &step->hold_us);
        step->retries = (uint32_t)take_bounded(&reader, "retries", 1000);
        json_take_number(&reader, "backoff_us", &step->backoff_us);
        json_take_text(&reader, "on_failure", policy, sizeof(policy));
        json_take_real(&reader, "at_least", &step->at_least);
        json_take_text(&reader, "same_as", step->same_as, sizeof(step->same_as));
        json_take_text(&reader, "same_as_host", step->same_as_host, sizeof(step->same_as_host));
        json_take_number(&reader, "max_lag", &step->max_lag);
        json_take_text(&reader, "role_before", step->role_before, sizeof(step->role_before));
        json_take_number(&reader, "low_us", &step->low_us);
        json_take_number(&reader, "high_us", &step->high_us);
        json_take_text(&reader, "basis", step->basis, sizeof(step->basis));
        step->disk = (unsigned)take_bounded(&reader, "disk", FLEET_SERVICES_MAX);
        step->loads_most = (uint32_t)take_bounded(&reader, "loads_most", FLEET_SERVICES_MAX);
        rate = json_take(&reader, "rate", JSON_OBJECT);
        r = json_reader_end(&reader);
        if (r >= 0 && (plan_phase_parse(phase) < 0 || policy_from_name(&step->on_failure, policy) < 0))
                r = error_set(error, -EINVAL, "%s has a phase or a policy that is not known", what);
        if (r >= 0 && service)
                r = service_from_json(&step->service, service, what, error);
        if (r >= 0 && after)
                r = after_from_json(step, after, what, error);
        if (r >= 0 && rate)
                r = rate_from_json(&step->rate, rate, what, error);
        if (r < 0)
                return r;
        type = operation_type_named(operation);
        if (operation[0] && !type)
                return error_set(error, -EINVAL, "%s: operation '%s' is not known", what, operation);
        step->phase = (enum plan_phase)plan_phase_parse(phase);
        step->kind = type ? STEP_OPERATION : STEP_GATE;
        step->operation = type ? type->kind : OPERATION_NONE;
        return 0;
}

static int texts_from_json(char (**ret)[TEXT_SIZE], size_t *ret_count, json_t *array, const char *what,
                           struct error *error)
{
        size_t count = json_array_size(array);

        *ret = count ? calloc(count, TEXT_SIZE) : NULL;
        if (count && !*ret)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                const char *text = json_string_value(json_array_get(array, i));

                if (!text)
                        return error_set(error, -EINVAL, "a %s of the plan is not a text", what);
                text_copy_cut((*ret)[(*ret_count)++], TEXT_SIZE, text);
        }
        return 0;
}

static int steps_from_json(struct plan *plan, json_t *steps, struct error *error)
{
        size_t count = json_array_size(steps);

        if (count == 0 || count > PLAN_STEPS_MAX)
                return error_set(error, -EINVAL, "the plan has %zu steps", count);
        plan->steps = calloc(count, sizeof(*plan->steps));
        if (!plan->steps)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                char what[64];
                int r;

                snprintf(what, sizeof(what), "step %zu of the plan", i);
                plan->step_count++;
                r = step_from_json(&plan->steps[i], json_array_get(steps, i), what, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

DEFINE_CLEANUP(struct plan *, plan_free);

int plan_from_json(struct plan **ret, const char *json, struct error *error)
{
        cleanup_json json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
        struct json_reader reader = json_reader_begin(object, "the plan", error);
        cleanup_with(plan_freep) struct plan *plan = calloc(1, sizeof(*plan));
        char kind[NAME_SIZE] = "";
        json_t *steps, *batches, *warnings;
        uint64_t budget = UINT32_MAX;
        int r;

        if (!plan)
                return -ENOMEM;
        json_take_text(&reader, "kind", kind, sizeof(kind));
        json_take_text(&reader, "fleet", plan->fleet, sizeof(plan->fleet));
        json_take_text(&reader, "scope", plan->scope, sizeof(plan->scope));
        steps = json_take(&reader, "steps", JSON_ARRAY);
        batches = json_take(&reader, "batches", JSON_ARRAY);
        json_take_bool(&reader, "canary", &plan->canary);
        json_take_number(&reader, "error_budget", &budget);
        json_take_number(&reader, "finish_by_us", &plan->finish_by_us);
        warnings = json_take(&reader, "warnings", JSON_ARRAY);
        r = json_reader_end(&reader);
        if (r >= 0)
                r = texts_from_json(&plan->batches, &plan->batch_count, batches, "batch", error);
        if (r >= 0)
                r = texts_from_json(&plan->warnings, &plan->warning_count, warnings, "warning", error);
        if (r >= 0)
                r = steps_from_json(plan, steps, error);
        if (r < 0)
                return r;
        plan->error_budget = budget > UINT32_MAX ? UINT32_MAX : (uint32_t)budget;
        for (int k = PLAN_REBOOT; k <= PLAN_RESTART; k++)
                if (text_equal(kind, plan_kind_name((enum plan_kind)k)))
                        plan->kind = (enum plan_kind)k;
        r = plan_check(plan, error);
        if (r < 0)
                return r;
        *ret = TAKE(plan);
        return 0;
}
