/* Events as JSON: the lines of the journal; and the names of what they hold. */
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/core/event.h"
#include "controller/core/json.h"

static const char *const kind_names[EVENT_KIND_END] = {
        [EVENT_STARTED] = "started", [EVENT_INTENT] = "intent",     [EVENT_OPENED] = "opened",
        [EVENT_DONE] = "done",       [EVENT_ATTEMPT] = "attempt",   [EVENT_FAILED] = "failed",
        [EVENT_DOUBT] = "doubt",     [EVENT_LOST] = "lost",         [EVENT_BOOTED] = "booted",
        [EVENT_PAUSED] = "paused",   [EVENT_RESUMED] = "resumed",   [EVENT_RETRIED] = "retried",
        [EVENT_SKIPPED] = "skipped", [EVENT_ABORTED] = "aborted",   [EVENT_FINISHED] = "finished",
        [EVENT_NOTED] = "noted",     [EVENT_COMPARED] = "compared", [EVENT_BATCH] = "batch",
        [EVENT_LATE] = "late",
};

static const char *const step_words[EVENT_KIND_END] = {
        [EVENT_INTENT] = "running",  [EVENT_OPENED] = "running",  [EVENT_DONE] = "done",
        [EVENT_ATTEMPT] = "waiting", [EVENT_FAILED] = "failed",   [EVENT_DOUBT] = "failed",
        [EVENT_LOST] = "running",    [EVENT_RETRIED] = "waiting", [EVENT_SKIPPED] = "skipped",
};

static const char *const state_names[] = {
        [RUN_RUNNING] = "running", [RUN_PAUSED] = "paused", [RUN_DONE] = "done",
        [RUN_PART] = "part",       [RUN_FAILED] = "failed", [RUN_ABORTED] = "aborted",
};

static const char *name_at(const char *const *names, size_t count, unsigned index)
{
        return index < count && names[index] ? names[index] : "";
}

static unsigned name_find(const char *const *names, size_t count, const char *name)
{
        for (unsigned i = 1; i < count; i++)
                if (text_equal(names[i], name))
                        return i;
        return 0;
}

const char *run_event_kind_name(enum run_event_kind kind)
{
        return name_at(kind_names, ELEMENTS(kind_names), kind);
}

const char *run_state_name(enum run_state state)
{
        return name_at(state_names, ELEMENTS(state_names), state);
}

const char *run_event_step_state(const struct run_event *event)
{
        return event->step < 0 ? "" : name_at(step_words, ELEMENTS(step_words), event->kind);
}

/* [[name, value], …]: names may repeat (one "failed-app" an app). */
static json_t *figures_to_json(const struct run_event *event, int *result)
{
        json_t *array = json_array();

        if (!array)
                *result = -ENOMEM;
        for (size_t i = 0; i < event->figure_count && *result == 0; i++) {
                json_t *pair = json_pack("[o,o]", json_text(event->figures[i].name),
                                         json_text(event->figures[i].value));

                if (!pair || json_array_append_new(array, pair) < 0)
                        *result = -ENOMEM;
        }
        return array;
}

int run_event_to_json(const struct run_event *event, char **ret)
{
        cleanup_json json_t *object = json_object();
        int r = object ? 0 : -ENOMEM;
        char *text;

        json_put_text(object, "kind", run_event_kind_name(event->kind), &r);
        json_put_number(object, "clock_us", event->clock_us, &r);
        if (event->step >= 0)
                json_put(object, "step", json_integer(event->step), &r);
        json_put_number(object, "attempt", event->attempt, &r);
        json_put_text(object, "operation", event->operation, &r);
        json_put_text(object, "host", event->host, &r);
        json_put_text(object, "boot_id", event->boot_id, &r);
        json_put_text(object, "identity", event->identity, &r);
        json_put_text(object, "seed", event->seed, &r);
        json_put_text(object, "user", event->user, &r);
        json_put_bool(object, "interrupted", event->interrupted, &r);
        json_put_bool(object, "unknown", event->unknown, &r);
        json_put_bool(object, "leave", event->leave, &r);
        json_put_text(object, "state", run_state_name(event->state), &r);
        json_put_text(object, "text", event->text, &r);
        if (event->figure_count)
                json_put(object, "figures", figures_to_json(event, &r), &r);
        if (r < 0)
                return r;
        text = json_dumps(object, JSON_COMPACT);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

static void figures_from_json(struct json_reader *reader, struct run_event *event)
{
        json_t *array = json_take(reader, "figures", JSON_ARRAY), *pair;
        size_t i;

        if (!array)
                return;
        json_array_foreach(array, i, pair)
        {
                struct figure *figure = &event->figures[event->figure_count];
                const char *name, *value;

                if (event->figure_count == FIGURE_MAX || json_unpack(pair, "[s,s!]", &name, &value) < 0 ||
                    TEXT_COPY(figure->name, name) < 0 || TEXT_COPY(figure->value, value) < 0) {
                        reader->result =
                                error_set(reader->error, -EINVAL, "a figure of the event is not sound");
                        return;
                }
                event->figure_count++;
        }
}

int run_event_from_json(struct run_event *ret, const char *json, struct error *error)
{
        cleanup_json json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
        struct json_reader reader = json_reader_begin(object, "the event", error);
        cleanup_free struct run_event *event = calloc(1, sizeof(*event));
        char kind[NAME_SIZE] = "", state[NAME_SIZE] = "";
        uint64_t step = INT32_MAX, attempt = 0;
        int r;

        if (!event)
                return -ENOMEM;
        json_take_text(&reader, "kind", kind, sizeof(kind));
        json_take_number(&reader, "clock_us", &event->clock_us);
        json_take_number(&reader, "step", &step);
        json_take_number(&reader, "attempt", &attempt);
        json_take_text(&reader, "operation", event->operation, sizeof(event->operation));
        json_take_text(&reader, "host", event->host, sizeof(event->host));
        json_take_text(&reader, "boot_id", event->boot_id, sizeof(event->boot_id));
        json_take_text(&reader, "identity", event->identity, sizeof(event->identity));
        json_take_text(&reader, "seed", event->seed, sizeof(event->seed));
        json_take_text(&reader, "user", event->user, sizeof(event->user));
        json_take_bool(&reader, "interrupted", &event->interrupted);
        json_take_bool(&reader, "unknown", &event->unknown);
        json_take_bool(&reader, "leave", &event->leave);
        json_take_text(&reader, "state", state, sizeof(state));
        json_take_text(&reader, "text", event->text, sizeof(event->text));
        figures_from_json(&reader, event);
        r = json_reader_end(&reader);
        if (r < 0)
                return r;
        event->kind = (enum run_event_kind)name_find(kind_names, ELEMENTS(kind_names), kind);
        event->state = (enum run_state)name_find(state_names, ELEMENTS(state_names), state);
        if (!event->kind || (state[0] && !event->state) || step > INT32_MAX || attempt > UINT32_MAX)
                return error_set(error, -EINVAL, "an event of kind '%s' is not known here", kind);
        event->step = step == INT32_MAX ? -1 : (int)step;
        event->attempt = (uint32_t)attempt;
        *ret = *event;
        return 0;
}
