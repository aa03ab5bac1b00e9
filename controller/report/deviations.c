/* What went otherwise than planned, and what is left to do. Both are lists of lines; an empty list is what a
 * good run has. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/host_diff.h"
#include "controller/report/facts.h"

struct lines {
        report_line each;
        void *userdata;
        int result;
};

static void say(struct lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct lines *lines, const char *format, ...)
{
        char text[8 * TEXT_SIZE];
        va_list arguments;

        if (lines->result)
                return;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        lines->result = lines->each(text, lines->userdata);
}

static const char *span(char out[48], uint64_t us)
{
        time_duration_text(out, 48, us);
        return out;
}

/* What is different on a host after its reboot: each by its name. */
static void say_comparison(struct lines *lines, const struct report_event *event)
{
        for (size_t i = 0; i < event->figure_count; i++)
                say(lines, "%s after its reboot: %s: %s", event->host,
                    host_difference_text(event->figures[i].name), event->figures[i].value);
}

/* Events that are a deviation by themselves. */
static void say_event(struct lines *lines, const struct report_facts *facts, size_t index)
{
        const struct report_event *event = &facts->events[index];
        char at[48];

        span(at, event->clock_us > facts->began_us ? event->clock_us - facts->began_us : 0);
        switch (event->kind) {
        case EVENT_ATTEMPT:
        case EVENT_FAILED:
        case EVENT_DOUBT:
        case EVENT_LOST:
        case EVENT_BOOTED:
        case EVENT_PAUSED:
        case EVENT_RESUMED:
        case EVENT_RETRIED:
        case EVENT_SKIPPED:
        case EVENT_ABORTED:
        case EVENT_LATE:
                say(lines, "after %s: %s", at, event->text);
                break;
        case EVENT_COMPARED:
                say_comparison(lines, event);
                break;
        case EVENT_DONE:
                if (report_killed(facts, event))
                        say(lines, "after %s: %s", at, event->text);
                break;
        default:
                break;
        }
}

static void say_late(struct lines *lines, const struct report_facts *facts, size_t index)
{
        const struct step *plan = &facts->plan->steps[index];
        uint64_t took = report_step_took(&facts->steps[index]);
        char actual[48], low[48], high[48];

        if (took > plan->high_us)
                say(lines, "%s took %s, %s to %s was estimated (%s)", plan->name, span(actual, took),
                    span(low, plan->low_us), span(high, plan->high_us), plan->basis);
}

/* Whether a later step of the same service has figures too: then those are what counts. repeats: one that
 * does the same. */
static bool is_superseded(const struct report_facts *facts, size_t index, bool repeats)
{
        const struct step *plan = facts->plan->steps;

        for (size_t i = index + 1; i < facts->plan->step_count; i++)
                if (facts->steps[i].result && text_equal(plan[i].service.name, plan[index].service.name) &&
                    text_equal(plan[i].host, plan[index].host) &&
                    (!repeats || plan[i].operation == plan[index].operation))
                        return true;
        return false;
}

/* PM2 names what differs in figures of its report. */
static void say_differences(struct lines *lines, const struct report_facts *facts, size_t index)
{
        static const struct {
                const char *figure, *before, *after;
                bool own; /* no later step of another kind tells it */
        } named[] = {
                {"failed-app", "", "", false},
                {"failed-apps", "failed too: ", "", false},
                {"failed-log", "log of ", "", false},
                {"held-apps", "", ": errored or being stopped before, stopped now until somebody starts them",
                 false},
                {"difference", "", "", false},
                {"unready-app", "", "", true},
                {"unready-apps", "did not say either that they were ready: ", "", true},
                {"late-app", "started or changed after the save, and not restored: ", "", true},
        };
        const struct report_event *result = facts->steps[index].result;
        const struct step *plan = &facts->plan->steps[index];

        if (!result || plan->service.kind != SERVICE_PM2)
                return;
        for (size_t i = 0; i < result->figure_count; i++)
                for (size_t k = 0; k < ELEMENTS(named); k++)
                        if (text_equal(result->figures[i].name, named[k].figure) &&
                            !is_superseded(facts, index, named[k].own))
                                say(lines, "%s: %s%s%s", plan->name, named[k].before,
                                    result->figures[i].value, named[k].after);
}

/* A Redis that is not what it was, or not what it should be. */
static void say_role(struct lines *lines, const struct report_facts *facts, size_t index)
{
        const struct report_event *result = facts->steps[index].result;
        const char *declared = report_figure(result, "role-declared");
        const char *before = report_figure(result, "role-before"),
                   *after = report_figure(result, "role-after");
        const struct step *plan = &facts->plan->steps[index];
        bool changed, wrong;

        if (!declared || !after)
                return;
        changed = before && !text_equal(before, after);
        wrong = !text_equal(declared, "any") && !text_starts(after, declared);
        if (changed || wrong)
                say(lines,
                    "%s/%s came back as %s; it was %s when the run was planned, the fleet file says %s",
                    plan->host, plan->service.name, after, before ? before : "not known", declared);
}

/* What was to keep its kernel and did not. */
static void say_full(struct lines *lines, const struct report_facts *facts, size_t index)
{
        const struct report_step *step = &facts->steps[index];
        const struct step *plan = &facts->plan->steps[index];

        if (plan->soft && step->boot_to[0] && !boot_id_same_kernel(step->boot_to, step->boot_meant))
                say(lines, "%s: it was a full reboot", plan->name);
}

int report_deviations(const struct report_facts *facts, report_line each, void *userdata)
{
        struct lines lines = {each, userdata, 0};

        for (size_t i = 0; i < facts->event_count; i++)
                say_event(&lines, facts, i);
        for (size_t i = 0; i < facts->plan->step_count; i++) {
                say_late(&lines, facts, i);
                say_differences(&lines, facts, i);
                say_role(&lines, facts, i);
                say_full(&lines, facts, i);
        }
        return lines.result;
}

/* What somebody has to look at on a host that came back otherwise than it went. */
static void follow_comparison(struct lines *lines, const struct report_event *event)
{
        for (size_t i = 0; i < event->figure_count; i++) {
                const struct figure *figure = &event->figures[i];

                if (text_equal(figure->name, "failed-unit"))
                        say(lines, "on %s: systemctl status '%s'; journalctl -b -u '%s'", event->host,
                            figure->value, figure->value);
                else if (text_equal(figure->name, "old-kernel"))
                        say(lines, "on %s: look at what its boot loader starts: it %s", event->host,
                            figure->value);
                else if (text_equal(figure->name, "mount-gone"))
                        say(lines, "on %s: %s is not mounted: is it in /etc/fstab, and is its device there?",
                            event->host, figure->value);
        }
}

/* Whoever was killed will be killed again by the next stop. */
static void follow_killed(struct lines *lines, const struct report_facts *facts,
                          const struct report_event *event)
{
        const struct step *plan = &facts->plan->steps[event->step];
        const char *how = report_killed(facts, event);

        say(lines,
            "on %s: journalctl -u '%s': %s was killed as it was stopped (%s)%s; look whether its data is "
            "whole",
            plan->host, plan->service.unit, plan->service.name, how,
            text_equal(how, "timeout") ? ", so give its unit a longer TimeoutStopSec" : "");
}

/* What ran when PM2 was stopped, and the snapshot of the run does not know as it was, is in one of its own.
 */
static void follow_late(struct lines *lines, const struct report_facts *facts, size_t index)
{
        const struct report_event *result = facts->steps[index].result;
        const char *late = report_figure(result, "late"), *snapshot = report_figure(result, "late-snapshot");
        const char *service = facts->plan->steps[index].service.name;

        if (late && snapshot && !is_superseded(facts, index, true))
                say(lines,
                    "%s apps of %s were started or changed after the save: muster pm2 diff %s --from %s "
                    "shows "
                    "what is missing of them, muster pm2 restore %s %s brings back what ran then",
                    late, service, service, snapshot, service, snapshot);
}

static int follow_way_up(const char *line, void *userdata)
{
        struct lines *lines = userdata;

        say(lines, "%s", line);
        return lines->result;
}

int report_follow_ups(const struct report_facts *facts, report_line each, void *userdata)
{
        struct lines lines = {each, userdata, 0};
        char waiting[RUN_WAITING_SIZE] = "";

        if (!run_finished(facts->run)) {
                run_waiting_for(facts->run, waiting, sizeof(waiting));
                say(&lines, "the run is not over%s%s", waiting[0] ? ": " : "", waiting);
        } else if (run_way_up(facts->run, follow_way_up, &lines) == -ENOMEM) {
                lines.result = -ENOMEM;
        }
        for (size_t i = 0; i < facts->plan->step_count; i++) {
                const struct step *plan = &facts->plan->steps[i];
                enum step_state state = facts->steps[i].view.state;

                if (state == STEP_FAILED || state == STEP_DOUBT)
                        say(&lines, "%s did not succeed: look at %s%s%s with muster status %s", plan->name,
                            plan->host, plan->service.name[0] ? "/" : "", plan->service.name,
                            plan->service.name[0] ? plan->service.name : plan->host);
                else if (state == STEP_SKIPPED ||
                         (state == STEP_CANCELLED && !run_step_is_left(facts->run, i)))
                        say(&lines, "%s was %s: whether it still has to be done is for a person to say",
                            plan->name, step_state_name(state));
                follow_late(&lines, facts, i);
        }
        for (size_t i = 0; i < facts->event_count; i++)
                if (facts->events[i].kind == EVENT_COMPARED)
                        follow_comparison(&lines, &facts->events[i]);
                else if (report_killed(facts, &facts->events[i]))
                        follow_killed(&lines, facts, &facts->events[i]);
        if (facts->apps_as_saved < facts->apps_expected)
                say(&lines, "%llu PM2 apps are not as they were saved; the deviations name them",
                    (unsigned long long)(facts->apps_expected - facts->apps_as_saved));
        for (size_t i = 0; i < facts->plan->warning_count; i++)
                say(&lines, "known before the run: %s", facts->plan->warnings[i]);
        return lines.result;
}
