/* A run as Markdown, for people: what happened, how long it took against what was promised, what is proven.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/report/facts.h"

#define TIMELINE_MAX 2000u /* events; the report has to fit into one message */

struct writer {
        struct buffer buffer;
        const struct report_facts *facts;
        size_t lines; /* of the present list */
        int result;
};

/* --- writing ------------------------------------------------------------------------------------------- */

static void put(struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct writer *writer, const char *format, ...)
{
        char text[2048];
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (writer->result == 0)
                writer->result = buffer_append(&writer->buffer, text,
                                               (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* Text from elsewhere: nothing in it is markup, and it stays on its line. */
static void put_text(struct writer *writer, const char *text)
{
        for (const char *c = text; *c && writer->result == 0; c++) {
                if (strchr("|<`\\[*", *c))
                        writer->result = buffer_append(&writer->buffer, "\\", 1);
                if (writer->result == 0)
                        writer->result = buffer_append(&writer->buffer,
                                                       (unsigned char)*c < ' ' || *c == 0x7f ? " " : c, 1);
        }
}

static void put_cell(struct writer *writer, const char *text)
{
        put_text(writer, text[0] ? text : "-");
        put(writer, " | ");
}

static void put_span(struct writer *writer, uint64_t us)
{
        char text[48];

        time_duration_text(text, sizeof(text), us);
        put(writer, "%s", text);
}

static void put_range(struct writer *writer, uint64_t low_us, uint64_t high_us)
{
        put_span(writer, low_us);
        put(writer, " to ");
        put_span(writer, high_us);
}

/* When something was, counted from the run's begin. */
static void put_offset(struct writer *writer, uint64_t clock_us)
{
        uint64_t s = clock_us > writer->facts->began_us ? (clock_us - writer->facts->began_us) / 100000 : 0;

        put(writer, "+%02" PRIu64 ":%02" PRIu64 ".%" PRIu64, s / 600, s / 10 % 60, s % 10);
}

static int put_line(const char *line, void *userdata)
{
        struct writer *writer = userdata;

        put(writer, "- ");
        put_text(writer, line);
        put(writer, "\n");
        writer->lines++;
        return writer->result;
}

/* --- the parts ----------------------------------------------------------------------------------------- */

static void write_row(struct writer *writer, const char *name, const char *value)
{
        put(writer, "| %s | ", name);
        put_text(writer, value);
        put(writer, " |\n");
}

/* "39 of 40 services as before (97.5 %)" */
static void write_success(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        uint64_t all = facts->gates + facts->apps_expected, good = facts->gates_done + facts->apps_as_saved;

        put(writer, "| Success | %zu of %zu steps settled", run_steps_settled(facts->run),
            facts->plan->step_count);
        if (all)
                put(writer, "; %" PRIu64 " of %" PRIu64 " services as before (%.1f %%)", good, all,
                    100.0 * (double)good / (double)all);
        put(writer, " |\n");
}

static void write_header(struct writer *writer, const struct score *score)
{
        const struct report_facts *facts = writer->facts;
        const char *state = run_state_name(run_state(facts->run));
        uint64_t low, high;
        char when[TIME_TEXT_SIZE];

        put(writer, "# %s of fleet ", facts->plan->kind == PLAN_REBOOT ? "Reboot" : "Restart");
        put_text(writer, facts->plan->fleet);
        put(writer, ": %s\n\n| | |\n|---|---|\n", state);
        write_row(writer, "Run", facts->head.id);
        write_row(writer, "Scope", facts->head.scope[0] ? facts->head.scope : "everything");
        write_row(writer, "Started by", facts->head.user);
        time_text(when, facts->began_us);
        write_row(writer, "Started", when);
        time_text(when, facts->ended_us);
        write_row(writer, run_finished(facts->run) ? "Finished" : "So far, until", when);
        put(writer, "| Took | ");
        put_span(writer, facts->ended_us > facts->began_us ? facts->ended_us - facts->began_us : 0);
        plan_forecast(facts->plan, &low, &high);
        put(writer, " (forecast: ");
        put_range(writer, low, high);
        put(writer, ") |\n");
        write_success(writer);
        put(writer, "| Health | %u/100 |\n\n", score->points);
}

static void write_score(struct writer *writer, const struct score *score)
{
        put(writer, "## Health score\n\n100");
        for (size_t i = 0; i < score->part_count; i++)
                put(writer, " - %u", score->parts[i].points);
        put(writer, " = **%u**\n\n", score->points);
        for (size_t i = 0; i < score->part_count; i++) {
                put(writer, "- %u off: ", score->parts[i].points);
                put_text(writer, score->parts[i].why);
                put(writer, "\n");
        }
        if (score->part_count == 0)
                put(writer,
                    "Nothing was taken off: every step was done at its first attempt, and everything is as "
                    "it was.\n");
        put(writer, "\n");
}

/* A list under a heading, or what stands there if it is empty. */
static void write_list(struct writer *writer, const char *heading,
                       int (*list)(const struct report_facts *, report_line, void *), const char *none)
{
        put(writer, "## %s\n\n", heading);
        writer->lines = 0;
        if (writer->result == 0)
                writer->result = list(writer->facts, put_line, writer);
        if (writer->lines == 0)
                put(writer, "%s\n", none);
        put(writer, "\n");
}

/* When the first step of a phase began and the last one was done. */
static void write_phases(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;

        put(writer, "## Phases\n\n| phase | steps | from | to | took |\n|---|---|---|---|---|\n");
        for (int phase = PHASE_CHECK; phase <= PHASE_VERIFY; phase++) {
                uint64_t from = UINT64_MAX, to = 0;
                size_t steps = 0, done = 0;

                for (size_t i = 0; i < facts->plan->step_count; i++) {
                        const struct report_step *step = &facts->steps[i];

                        if (facts->plan->steps[i].phase != (enum plan_phase)phase)
                                continue;
                        steps++;
                        done += step->view.state == STEP_DONE;
                        if (step->begun_us && step->begun_us < from)
                                from = step->begun_us;
                        if (step->done_us > to)
                                to = step->done_us;
                }
                if (steps == 0)
                        continue;
                put(writer, "| %s | %zu of %zu | ", plan_phase_name((enum plan_phase)phase), done, steps);
                if (from == UINT64_MAX || to < from) {
                        put(writer, "- | - | - |\n");
                        continue;
                }
                put_offset(writer, from);
                put(writer, " | ");
                put_offset(writer, to);
                put(writer, " | ");
                put_span(writer, to - from);
                put(writer, " |\n");
        }
        put(writer, "\n");
}

static void write_hosts(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        bool any = false;

        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct report_step *step = &facts->steps[i];

                if (facts->plan->steps[i].operation != OPERATION_HOST_REBOOT)
                        continue;
                if (!any)
                        put(writer,
                            "## Hosts\n\nA reboot is proven by another boot id, read in a fresh session.\n\n"
                            "| host | boot id before | boot id after | proven | took |\n"
                            "|---|---|---|---|---|\n");
                any = true;
                put(writer, "| ");
                put_cell(writer, facts->plan->steps[i].host);
                put_cell(writer, step->boot_from);
                put_cell(writer, step->boot_to);
                put(writer, "%s | ",
                    step->boot_to[0] && !text_equal(step->boot_from, step->boot_to) ? "yes" : "**no**");
                put_span(writer, report_step_took(step));
                put(writer, " |\n");
        }
        if (any)
                put(writer, "\n");
}

/* A figure for people: sizes in bytes are named so. */
static void put_figure(struct writer *writer, const char *name, const char *value)
{
        uint64_t number;
        char text[32];

        if ((strstr(name, "size") || strstr(name, "bytes")) && text_to_u64(value, &number) == 0) {
                text_bytes(text, sizeof(text), number);
                put(writer, "%s", text);
        } else {
                put_text(writer, value);
        }
}

/* "NAME-before" and "NAME-after" as one row each; the numbers that a rewrite is judged by. */
static void write_pairs(struct writer *writer, const struct step *plan, const struct report_step *step)
{
        for (size_t i = 0; i < step->result->figure_count; i++) {
                const struct figure *before = &step->result->figures[i];
                char other[NAME_SIZE + 8], what[NAME_SIZE];
                const char *after;

                if (!text_ends(before->name, "-before"))
                        continue;
                TEXT_COPY(what, before->name);
                what[strlen(what) - strlen("-before")] = '\0';
                snprintf(other, sizeof(other), "%s-after", what);
                after = report_figure(step->result, other);
                if (!after)
                        continue;
                put(writer, "| ");
                put_cell(writer, plan->name);
                put_cell(writer, what);
                put_figure(writer, what, before->value);
                put(writer, " | ");
                put_figure(writer, what, after);
                put(writer, " | ");
                put_span(writer, report_step_took(step));
                put(writer, " |\n");
        }
}

static void write_compact(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        bool any = false;

        for (size_t i = 0; i < facts->plan->step_count; i++) {
                if (facts->plan->steps[i].phase != PHASE_COMPACT || !facts->steps[i].result)
                        continue;
                if (!any)
                        put(writer, "## Rewrites\n\n| step | figure | before | after | took "
                                    "|\n|---|---|---|---|---|\n");
                any = true;
                write_pairs(writer, &facts->plan->steps[i], &facts->steps[i]);
        }
        if (any)
                put(writer, "\n");
}

static void write_pm2(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        bool any = false;

        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct report_event *result = facts->steps[i].result;
                bool first = true;

                if (facts->plan->steps[i].service.kind != SERVICE_PM2 || !result)
                        continue;
                if (!any)
                        put(writer, "## PM2\n\n| step | state | figures |\n|---|---|---|\n");
                any = true;
                put(writer, "| ");
                put_cell(writer, facts->plan->steps[i].name);
                put_cell(writer, step_state_name(facts->steps[i].view.state));
                for (size_t k = 0; k < result->figure_count; k++) {
                        put(writer, "%s", first ? "" : ", ");
                        put_text(writer, result->figures[k].name);
                        put(writer, " ");
                        put_figure(writer, result->figures[k].name, result->figures[k].value);
                        first = false;
                }
                put(writer, " |\n");
        }
        if (any)
                put(writer, "\n");
}

static void write_steps(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;

        put(writer,
            "## Steps\n\n| step | state | began | took | estimate | attempts |\n|---|---|---|---|---|---|\n");
        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct step *plan = &facts->plan->steps[i];
                const struct report_step *step = &facts->steps[i];
                uint64_t took = report_step_took(step);

                put(writer, "| ");
                put_cell(writer, plan->name);
                put_cell(writer, step_state_name(step->view.state));
                if (step->begun_us)
                        put_offset(writer, step->begun_us);
                else
                        put(writer, "-");
                put(writer, " | ");
                if (step->done_us) {
                        put_span(writer, took);
                        if (took > plan->high_us)
                                put(writer, " (over)");
                } else {
                        put(writer, "-");
                }
                put(writer, " | ");
                put_range(writer, plan->low_us, plan->high_us);
                put(writer, " | %u |\n", step->tries);
        }
        put(writer, "\n");
}

static void write_timeline(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;

        put(writer, "## Timeline\n\n| | |\n|---|---|\n");
        for (size_t i = 0; i < facts->event_count && i < TIMELINE_MAX; i++) {
                const struct report_event *event = &facts->events[i];

                put(writer, "| ");
                put_offset(writer, event->clock_us);
                put(writer, " | %s: ", run_event_kind_name(event->kind));
                put_text(writer, event->text);
                put(writer, " |\n");
        }
        if (facts->event_count > TIMELINE_MAX)
                put(writer, "\n%zu more events are in the journal: `muster run show` has all.\n",
                    facts->event_count - TIMELINE_MAX);
}

static void write_all(struct writer *writer)
{
        struct score score;

        report_score(&score, writer->facts);
        write_header(writer, &score);
        write_score(writer, &score);
        write_list(writer, "Deviations", report_deviations, "None.");
        write_list(writer, "Follow-ups", report_follow_ups, "None.");
        write_phases(writer);
        write_hosts(writer);
        write_compact(writer);
        write_pm2(writer);
        write_steps(writer);
        write_timeline(writer);
}

int report_markdown(store *store, const char *run, char **ret, struct error *error)
{
        struct report_facts facts = {0};
        struct writer writer = {.facts = &facts};
        int r = report_facts_read(&facts, store, run, error);

        if (r < 0)
                return r;
        write_all(&writer);
        if (writer.result == 0)
                writer.result = buffer_append(&writer.buffer, "", 1);
        if (writer.result == 0)
                *ret = (char *)TAKE(writer.buffer.data);
        buffer_clear(&writer.buffer);
        report_facts_clear(&facts);
        return writer.result;
}
