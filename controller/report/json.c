/* A run as JSON, for programs: the facts of the Markdown report under stable names; times in microseconds. */
#include <jansson.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/core/json.h"
#include "controller/report/facts.h"

static json_t *figures_json(const struct report_event *event, int *result)
{
        json_t *array = json_array();

        for (size_t i = 0; event && i < event->figure_count; i++) {
                json_t *one = json_object();

                json_put(one, "name", json_text(event->figures[i].name), result);
                json_put(one, "value", json_text(event->figures[i].value), result);
                if (json_array_append_new(array, one) < 0)
                        *result = -ENOMEM;
        }
        return array;
}

static json_t *step_json(const struct report_facts *facts, size_t index, int *result)
{
        const struct step *plan = &facts->plan->steps[index];
        const struct report_step *step = &facts->steps[index];
        json_t *object = json_object();

        json_put(object, "name", json_text(plan->name), result);
        json_put(object, "phase", json_text(plan_phase_name(plan->phase)), result);
        json_put(object, "host", json_text(plan->host), result);
        json_put(object, "service", json_text(plan->service.name), result);
        json_put(object, "state", json_text(step_state_name(step->view.state)), result);
        json_put(object, "text", json_text(step->view.text), result);
        json_put(object, "attempts", json_integer(step->tries), result);
        json_put(object, "began_us", json_integer((json_int_t)step->begun_us), result);
        json_put(object, "done_us", json_integer((json_int_t)step->done_us), result);
        json_put(object, "took_us", json_integer((json_int_t)report_step_took(step)), result);
        json_put(object, "estimate_low_us", json_integer((json_int_t)plan->low_us), result);
        json_put(object, "estimate_high_us", json_integer((json_int_t)plan->high_us), result);
        if (plan->operation == OPERATION_HOST_REBOOT) {
                json_put(object, "soft", json_boolean(plan->soft), result);
                json_put(object, "boot_id_before", json_text(step->boot_from), result);
                json_put(object, "boot_id_after", json_text(step->boot_to), result);
        }
        json_put(object, "figures", figures_json(step->result, result), result);
        return object;
}

static json_t *steps_json(const struct report_facts *facts, int *result)
{
        json_t *array = json_array();

        for (size_t i = 0; i < facts->plan->step_count; i++)
                if (json_array_append_new(array, step_json(facts, i, result)) < 0)
                        *result = -ENOMEM;
        return array;
}

static json_t *score_json(const struct report_facts *facts, int *result)
{
        json_t *object = json_object(), *parts = json_array();
        struct score score;

        report_score(&score, facts);
        json_put(object, "points", json_integer(score.points), result);
        for (size_t i = 0; i < score.part_count; i++) {
                json_t *part = json_object();

                json_put(part, "points", json_integer(score.parts[i].points), result);
                json_put(part, "why", json_text(score.parts[i].why), result);
                if (json_array_append_new(parts, part) < 0)
                        *result = -ENOMEM;
        }
        json_put(object, "taken_off", parts, result);
        return object;
}

static int add_line(const char *line, void *userdata)
{
        return json_array_append_new(userdata, json_text(line)) < 0 ? -ENOMEM : 0;
}

static json_t *lines_json(const struct report_facts *facts,
                          int (*list)(const struct report_facts *, report_line, void *), int *result)
{
        json_t *array = json_array();
        int r = list(facts, add_line, array);

        if (r < 0)
                *result = r;
        return array;
}

static json_t *facts_json(const struct report_facts *facts, int *result)
{
        json_t *object = json_object();
        uint64_t low, high;

        plan_forecast(facts->plan, &low, &high);
        json_put(object, "run", json_text(facts->head.id), result);
        json_put(object, "kind", json_text(plan_kind_name(facts->plan->kind)), result);
        json_put(object, "fleet", json_text(facts->plan->fleet), result);
        json_put(object, "scope", json_text(facts->head.scope), result);
        json_put(object, "user", json_text(facts->head.user), result);
        json_put(object, "state", json_text(run_state_name(run_state(facts->run))), result);
        json_put(object, "finished", json_boolean(run_finished(facts->run)), result);
        json_put(object, "began_us", json_integer((json_int_t)facts->began_us), result);
        json_put(object, "ended_us", json_integer((json_int_t)facts->ended_us), result);
        json_put(object, "forecast_low_us", json_integer((json_int_t)low), result);
        json_put(object, "forecast_high_us", json_integer((json_int_t)high), result);
        json_put(object, "steps_settled", json_integer((json_int_t)run_steps_settled(facts->run)), result);
        json_put(object, "gates", json_integer((json_int_t)facts->gates), result);
        json_put(object, "gates_done", json_integer((json_int_t)facts->gates_done), result);
        json_put(object, "apps_expected", json_integer((json_int_t)facts->apps_expected), result);
        json_put(object, "apps_as_saved", json_integer((json_int_t)facts->apps_as_saved), result);
        json_put(object, "score", score_json(facts, result), result);
        json_put(object, "deviations", lines_json(facts, report_deviations, result), result);
        json_put(object, "follow_ups", lines_json(facts, report_follow_ups, result), result);
        json_put(object, "steps", steps_json(facts, result), result);
        return object;
}

int report_json(store *store, const char *run, char **ret, struct error *error)
{
        struct report_facts facts = {0};
        cleanup_json json_t *object = NULL;
        char *text = NULL;
        int r = report_facts_read(&facts, store, run, error);

        if (r < 0)
                return r;
        object = facts_json(&facts, &r);
        if (r == 0)
                text = json_dumps(object, JSON_INDENT(2));
        if (r == 0 && !text)
                r = -ENOMEM;
        if (r == 0)
                *ret = text;
        report_facts_clear(&facts);
        return r;
}
