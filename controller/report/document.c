/* A run as a document for people, as Markdown or as a page of HTML: what happened, how long it took against
 * what was promised, what is proven.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/load_saving.h"
#include "controller/report/facts.h"
#include "controller/report/markup.h"

#define TIMELINE_MAX 2000u /* events; the report has to fit into one message */

#define TABLE(markup, ...)                                                                                   \
        markup_table_begin(markup, (const char *const[]){__VA_ARGS__},                                       \
                           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

struct writer {
        struct markup *markup;
        const struct report_facts *facts;
        size_t lines; /* of the present list */
};

/* --- texts --------------------------------------------------------------------------------------------- */

#define SPAN_SIZE 48u

static const char *span_text(char out[SPAN_SIZE], uint64_t us)
{
        time_duration_text(out, SPAN_SIZE, us);
        return out;
}

static const char *range_text(char out[2 * SPAN_SIZE + 8], uint64_t low_us, uint64_t high_us)
{
        char low[SPAN_SIZE], high[SPAN_SIZE];

        snprintf(out, 2 * SPAN_SIZE + 8, "%s to %s", span_text(low, low_us), span_text(high, high_us));
        return out;
}

/* When something was, counted from the run's begin. */
static const char *offset_text(const struct report_facts *facts, char out[SPAN_SIZE], uint64_t clock_us)
{
        uint64_t s = clock_us > facts->began_us ? (clock_us - facts->began_us) / 100000 : 0;

        snprintf(out, SPAN_SIZE, "+%02" PRIu64 ":%02" PRIu64 ".%" PRIu64, s / 600, s / 10 % 60, s % 10);
        return out;
}

/* A figure for people: sizes in bytes are named so. */
static const char *figure_text(char out[SPAN_SIZE], const char *name, const char *value)
{
        uint64_t number;

        if ((!strstr(name, "size") && !strstr(name, "bytes")) || text_to_u64(value, &number) != 0)
                return value;
        text_bytes(out, SPAN_SIZE, number);
        return out;
}

static int put_line(const char *line, void *userdata)
{
        struct writer *writer = userdata;

        if (writer->lines == 0)
                markup_list_begin(writer->markup);
        markup_item(writer->markup, "%s", line);
        writer->lines++;
        return writer->markup->result;
}

/* --- the parts ----------------------------------------------------------------------------------------- */

static void write_row(struct markup *markup, const char *name, const char *value)
{
        markup_row_begin(markup);
        markup_cell(markup, "%s", name);
        markup_cell(markup, "%s", value);
        markup_row_end(markup);
}

/* "39 of 40 services as before (97.5 %)" */
static void write_success(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        uint64_t all = facts->gates + facts->apps_expected, good = facts->gates_done + facts->apps_as_saved;

        markup_row_begin(writer->markup);
        markup_cell(writer->markup, "Success");
        markup_cell_begin(writer->markup);
        markup_text(writer->markup, "%zu of %zu steps settled", run_steps_settled(facts->run),
                    facts->plan->step_count);
        if (all)
                markup_text(writer->markup, "; %" PRIu64 " of %" PRIu64 " services as before (%.1f %%)", good,
                            all, 100.0 * (double)good / (double)all);
        markup_cell_end(writer->markup);
        markup_row_end(writer->markup);
}

static void write_header(struct writer *writer, const struct score *score)
{
        const struct report_facts *facts = writer->facts;
        struct markup *markup = writer->markup;
        uint64_t low, high;
        char when[TIME_TEXT_SIZE], took[SPAN_SIZE], forecast[2 * SPAN_SIZE + 8];

        markup_begin(markup, "%s of fleet %s: %s", facts->plan->kind == PLAN_REBOOT ? "Reboot" : "Restart",
                     facts->plan->fleet, run_state_name(run_state(facts->run)));
        markup_table_begin(markup, NULL, 2);
        write_row(markup, "Run", facts->head.id);
        write_row(markup, "Scope", facts->head.scope[0] ? facts->head.scope : "everything");
        write_row(markup, "Started by", facts->head.user);
        time_text(when, facts->began_us);
        write_row(markup, "Started", when);
        time_text(when, facts->ended_us);
        write_row(markup, run_finished(facts->run) ? "Finished" : "So far, until", when);
        plan_forecast(facts->plan, &low, &high);
        markup_row_begin(markup);
        markup_cell(markup, "Took");
        markup_cell(
                markup, "%s (forecast: %s)",
                span_text(took, facts->ended_us > facts->began_us ? facts->ended_us - facts->began_us : 0),
                range_text(forecast, low, high));
        markup_row_end(markup);
        write_success(writer);
        markup_row_begin(markup);
        markup_cell(markup, "Health");
        markup_cell(markup, "%u/100", score->points);
        markup_row_end(markup);
        markup_table_end(markup);
}

static void write_score(struct writer *writer, const struct score *score)
{
        struct markup *markup = writer->markup;

        markup_heading(markup, "Health score");
        markup_paragraph_begin(markup);
        markup_text(markup, "100");
        for (size_t i = 0; i < score->part_count; i++)
                markup_text(markup, " - %u", score->parts[i].points);
        markup_text(markup, " = ");
        markup_bold(markup, "%u", score->points);
        markup_paragraph_end(markup);
        if (score->part_count == 0) {
                markup_paragraph(markup,
                                 "Nothing was taken off: every step was done at its first attempt, and "
                                 "everything is as it was.");
                return;
        }
        markup_list_begin(markup);
        for (size_t i = 0; i < score->part_count; i++)
                markup_item(markup, "%u off: %s", score->parts[i].points, score->parts[i].why);
        markup_list_end(markup);
}

/* A list under a heading, or what stands there if it is empty. */
static void write_list(struct writer *writer, const char *heading,
                       int (*list)(const struct report_facts *, report_line, void *), const char *none)
{
        struct markup *markup = writer->markup;

        markup_heading(markup, heading);
        writer->lines = 0;
        if (markup->result == 0)
                markup->result = list(writer->facts, put_line, writer);
        if (writer->lines == 0)
                markup_paragraph(markup, "%s", none);
        else
                markup_list_end(markup);
}

/* When the first step of a phase began and the last one was done; nothing for a phase that the plan has not.
 */
static void write_phase(struct writer *writer, enum plan_phase phase)
{
        const struct report_facts *facts = writer->facts;
        struct markup *markup = writer->markup;
        uint64_t from = UINT64_MAX, to = 0;
        size_t steps = 0, done = 0;
        bool known;
        char text[3][SPAN_SIZE];

        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct report_step *step = &facts->steps[i];

                if (facts->plan->steps[i].phase != phase)
                        continue;
                steps++;
                done += step->view.state == STEP_DONE;
                if (step->begun_us && step->begun_us < from)
                        from = step->begun_us;
                if (step->done_us > to)
                        to = step->done_us;
        }
        if (steps == 0)
                return;
        known = from != UINT64_MAX && to >= from;
        markup_row_begin(markup);
        markup_cell(markup, "%s", plan_phase_name(phase));
        markup_cell(markup, "%zu of %zu", done, steps);
        markup_cell(markup, "%s", known ? offset_text(facts, text[0], from) : "-");
        markup_cell(markup, "%s", known ? offset_text(facts, text[1], to) : "-");
        markup_cell(markup, "%s", known ? span_text(text[2], to - from) : "-");
        markup_row_end(markup);
}

static void write_phases(struct writer *writer)
{
        markup_heading(writer->markup, "Phases");
        TABLE(writer->markup, "phase", "steps", "from", "to", "took");
        for (int phase = PHASE_CHECK; phase <= PHASE_VERIFY; phase++)
                write_phase(writer, (enum plan_phase)phase);
        markup_table_end(writer->markup);
}

static void write_hosts(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        struct markup *markup = writer->markup;
        char took[SPAN_SIZE];
        bool any = false;

        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct report_step *step = &facts->steps[i];

                if (facts->plan->steps[i].operation != OPERATION_HOST_REBOOT)
                        continue;
                if (!any) {
                        markup_heading(markup, "Hosts");
                        markup_paragraph(markup,
                                         "A reboot is proven by another boot id, read in a fresh session.");
                        TABLE(markup, "host", "boot id before", "boot id after", "proven", "took");
                }
                any = true;
                markup_row_begin(markup);
                markup_cell(markup, "%s%s", facts->plan->steps[i].host,
                            facts->plan->steps[i].soft ? " (soft)" : "");
                markup_cell(markup, "%s", step->boot_from);
                markup_cell(markup, "%s", step->boot_to);
                markup_cell_begin(markup);
                if (step->boot_to[0] && !text_equal(step->boot_from, step->boot_to))
                        markup_text(markup, "yes");
                else
                        markup_bold(markup, "no");
                markup_cell_end(markup);
                markup_cell(markup, "%s", span_text(took, report_step_took(step)));
                markup_row_end(markup);
        }
        if (any)
                markup_table_end(markup);
}

/* By the rate that the plan went by when it foresaw the load; "-" where the figures do not tell. */
static const char *saving_text(const struct report_facts *facts, char out[2 * SPAN_SIZE + 8],
                               const struct step *plan, const struct report_event *result)
{
        struct plan_rate rate = {0};
        struct load_saving saving;

        for (size_t i = 0; i < facts->plan->step_count; i++)
                if (facts->plan->steps[i].phase == PHASE_LOAD && facts->plan->steps[i].kind == STEP_GATE &&
                    text_equal(facts->plan->steps[i].service.name, plan->service.name))
                        rate = facts->plan->steps[i].rate;
        if (!load_saving(&saving, result->figures, result->figure_count, &rate))
                return "-";
        return range_text(out, saving.low_us, saving.high_us);
}

/* "NAME-before" and "NAME-after" as one row each; the numbers that a rewrite is judged by. */
static void write_pairs(struct writer *writer, const struct step *plan, const struct report_step *step)
{
        char saves[2 * SPAN_SIZE + 8];

        for (size_t i = 0; i < step->result->figure_count; i++) {
                const struct figure *before = &step->result->figures[i];
                char other[NAME_SIZE + 8], what[NAME_SIZE], text[SPAN_SIZE];
                const char *after;

                if (!text_ends(before->name, "-before"))
                        continue;
                TEXT_COPY(what, before->name);
                what[strlen(what) - strlen("-before")] = '\0';
                snprintf(other, sizeof(other), "%s-after", what);
                after = report_figure(step->result, other);
                if (!after)
                        continue;
                markup_row_begin(writer->markup);
                markup_cell(writer->markup, "%s", plan->name);
                markup_cell(writer->markup, "%s", what);
                markup_cell(writer->markup, "%s", figure_text(text, what, before->value));
                markup_cell(writer->markup, "%s", figure_text(text, what, after));
                markup_cell(writer->markup, "%s", span_text(text, report_step_took(step)));
                markup_cell(writer->markup, "%s",
                            text_equal(what, "size") ? saving_text(writer->facts, saves, plan, step->result)
                                                     : "");
                markup_row_end(writer->markup);
        }
}

static void write_compact(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        bool any = false;

        for (size_t i = 0; i < facts->plan->step_count; i++) {
                if (facts->plan->steps[i].phase != PHASE_COMPACT || !facts->steps[i].result)
                        continue;
                if (!any) {
                        markup_heading(writer->markup, "Rewrites");
                        TABLE(writer->markup, "step", "figure", "before", "after", "took",
                              "saves at the next load");
                }
                any = true;
                write_pairs(writer, &facts->plan->steps[i], &facts->steps[i]);
        }
        if (any)
                markup_table_end(writer->markup);
}

static void write_pm2(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        struct markup *markup = writer->markup;
        bool any = false;

        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct report_event *result = facts->steps[i].result;

                if (facts->plan->steps[i].service.kind != SERVICE_PM2 || !result)
                        continue;
                if (!any) {
                        markup_heading(markup, "PM2");
                        TABLE(markup, "step", "state", "figures");
                }
                any = true;
                markup_row_begin(markup);
                markup_cell(markup, "%s", facts->plan->steps[i].name);
                markup_cell(markup, "%s", step_state_name(facts->steps[i].view.state));
                markup_cell_begin(markup);
                for (size_t k = 0; k < result->figure_count; k++) {
                        const struct figure *figure = &result->figures[k];
                        char text[SPAN_SIZE];

                        markup_text(markup, "%s%s %s", k ? ", " : "", figure->name,
                                    figure_text(text, figure->name, figure->value));
                }
                markup_cell_end(markup);
                markup_row_end(markup);
        }
        if (any)
                markup_table_end(markup);
}

static void write_step(struct writer *writer, const struct step *plan, const struct report_step *step)
{
        struct markup *markup = writer->markup;
        uint64_t took = report_step_took(step);
        char text[SPAN_SIZE], range[2 * SPAN_SIZE + 8];

        markup_row_begin(markup);
        markup_cell(markup, "%s", plan->name);
        markup_cell(markup, "%s", step_state_name(step->view.state));
        markup_cell(markup, "%s", step->begun_us ? offset_text(writer->facts, text, step->begun_us) : "-");
        if (step->done_us)
                markup_cell(markup, "%s%s", span_text(text, took), took > plan->high_us ? " (over)" : "");
        else
                markup_cell(markup, "-");
        markup_cell(markup, "%s", range_text(range, plan->low_us, plan->high_us));
        markup_cell(markup, "%u", step->tries);
        markup_row_end(markup);
}

static void write_steps(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;

        markup_heading(writer->markup, "Steps");
        TABLE(writer->markup, "step", "state", "began", "took", "estimate", "attempts");
        for (size_t i = 0; i < facts->plan->step_count; i++)
                write_step(writer, &facts->plan->steps[i], &facts->steps[i]);
        markup_table_end(writer->markup);
}

static void write_timeline(struct writer *writer)
{
        const struct report_facts *facts = writer->facts;
        struct markup *markup = writer->markup;

        markup_heading(markup, "Timeline");
        markup_table_begin(markup, NULL, 2);
        for (size_t i = 0; i < facts->event_count && i < TIMELINE_MAX; i++) {
                const struct report_event *event = &facts->events[i];
                char when[SPAN_SIZE];

                markup_row_begin(markup);
                markup_cell(markup, "%s", offset_text(facts, when, event->clock_us));
                markup_cell(markup, "%s: %s", run_event_kind_name(event->kind), event->text);
                markup_row_end(markup);
        }
        markup_table_end(markup);
        if (facts->event_count > TIMELINE_MAX)
                markup_paragraph(markup, "%zu more events are in the journal: muster run show has all.",
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
        markup_end(writer->markup);
}

static int report_in(enum markup_form form, store *store, const char *run, char **ret, struct error *error)
{
        struct report_facts facts = {0};
        struct markup markup = {.form = form};
        int r = report_facts_read(&facts, store, run, error);

        if (r < 0)
                return r;
        write_all(&(struct writer){.markup = &markup, .facts = &facts});
        if (markup.result == 0)
                markup.result = buffer_append(&markup.buffer, "", 1);
        if (markup.result == 0)
                *ret = (char *)TAKE(markup.buffer.data);
        buffer_clear(&markup.buffer);
        report_facts_clear(&facts);
        return markup.result;
}

int report_markdown(store *store, const char *run, char **ret, struct error *error)
{
        return report_in(MARKUP_MARKDOWN, store, run, ret, error);
}

int report_html(store *store, const char *run, char **ret, struct error *error)
{
        return report_in(MARKUP_HTML, store, run, ret, error);
}
