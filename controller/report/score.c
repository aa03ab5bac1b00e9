/* The health score: 100, less points for each thing that did not go as it should, each with its reason. It is
 * a sum that anybody can check, not a measurement. */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/host_diff.h"
#include "controller/report/facts.h"

static void take_off(struct score *score, unsigned points, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void take_off(struct score *score, unsigned points, const char *format, ...)
{
        struct score_part *part = &score->parts[score->part_count];
        char text[4 * TEXT_SIZE];
        va_list arguments;

        points = points < score->points ? points : score->points;
        if (points == 0 || score->part_count == SCORE_PARTS_MAX)
                return;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        text_copy_cut(part->why, sizeof(part->why), text);
        part->points = points;
        score->points -= points;
        score->part_count++;
}

static unsigned at_most(size_t points, unsigned limit)
{
        return points < limit ? (unsigned)points : limit;
}

static void score_steps(struct score *score, const struct report_facts *facts)
{
        size_t failed = 0, skipped = 0, cancelled = 0, retries = 0, lost = 0, late = 0;

        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct report_step *step = &facts->steps[i];

                failed += step->view.state == STEP_FAILED || step->view.state == STEP_DOUBT;
                skipped += step->view.state == STEP_SKIPPED;
                cancelled += step->view.state == STEP_CANCELLED;
                retries +=
                        facts->plan->steps[i].kind == STEP_OPERATION && step->tries > 1 ? step->tries - 1 : 0;
                lost += step->losses;
                late += report_step_took(step) > facts->plan->steps[i].high_us;
        }
        take_off(score, at_most(10 * failed, 50), "%zu step%s failed", failed, failed == 1 ? "" : "s");
        take_off(score, at_most(5 * skipped, 30), "%zu step%s skipped", skipped, skipped == 1 ? "" : "s");
        take_off(score, at_most(5 * cancelled, 30), "%zu step%s cancelled by the abort", cancelled,
                 cancelled == 1 ? "" : "s");
        take_off(score, at_most(2 * lost, 10), "%zu time%s a service was ready and then not", lost,
                 lost == 1 ? "" : "s");
        take_off(score, at_most(retries, 10), "%zu repeated attempt%s", retries, retries == 1 ? "" : "s");
        take_off(score, at_most(late, 5), "%zu step%s longer than estimated", late,
                 late == 1 ? " took" : "s took");
}

void report_score(struct score *ret, const struct report_facts *facts)
{
        struct score score = {.points = 100};
        size_t surprises = 0, differences = 0, killed = 0;

        for (size_t i = 0; i < facts->event_count; i++) {
                surprises += facts->events[i].kind == EVENT_BOOTED;
                killed += report_killed(facts, &facts->events[i]) != NULL;
        }
        for (size_t i = 0; i < facts->event_count; i++)
                for (size_t k = 0;
                     facts->events[i].kind == EVENT_COMPARED && k < facts->events[i].figure_count; k++)
                        differences += host_difference_is_bad(facts->events[i].figures[k].name);
        if (facts->apps_expected > facts->apps_as_saved) {
                uint64_t missing = facts->apps_expected - facts->apps_as_saved;

                /* A share of 40 points, and never nothing. */
                take_off(&score, 1 + (unsigned)(39 * missing / facts->apps_expected),
                         "%llu of %llu PM2 apps are not as they were saved", (unsigned long long)missing,
                         (unsigned long long)facts->apps_expected);
        }
        score_steps(&score, facts);
        take_off(&score, at_most(10 * killed, 40), "%zu service%s killed as %s stopped", killed,
                 killed == 1 ? " was" : "s were", killed == 1 ? "it was" : "they were");
        take_off(&score, at_most(5 * surprises, 20), "%zu boot%s that the run had not asked for", surprises,
                 surprises == 1 ? "" : "s");
        take_off(&score, at_most(2 * differences, 20), "%zu thing%s on rebooted hosts not as before",
                 differences, differences == 1 ? "" : "s");
        if (run_state(facts->run) == RUN_ABORTED)
                take_off(&score, 20, "the run was aborted");
        if (run_state(facts->run) == RUN_FAILED)
                take_off(&score, 20, "the run failed");
        *ret = score;
}
